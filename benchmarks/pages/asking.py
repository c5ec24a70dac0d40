"""Asks a web process for pages, one after the other, and notes how long each took and which statements it needed."""

import asyncio
import http.client
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.dataset import superuser
from benchmarks.pages.addresses import OF_LONG_AGO, Page, Who
from benchmarks.pages.installation import Installation
from rollcall.cli.embedded import Engines

SETTLES = 3
"""How often each page is asked for before anything is noted."""

_STATEMENT = re.compile(r"duration: ([0-9.]+) ms  (?:execute [^:]*|statement): ([^\n]*)")
_FRAME = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SELECT set_config\('rollcall|SET LOCAL ROLE)", re.IGNORECASE
)
"""What opens and ends a transaction, and says for which tenant it is; no table is looked at."""


class NotThePage(RuntimeError):
    """Something else was answered than the page that was asked for."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page took."""

    page: Page
    seconds: Sequence[float]
    """Each time it was asked for, sorted."""
    statements: int
    """Statements of one answer but for those that open and end transactions: the least of three times."""
    slowest: tuple[float, str]
    """The longest of them, in milliseconds, and how it begins."""
    size: int
    """Bytes of the answer; of a file, of its beginning."""

    @property
    def median(self) -> float:
        """Seconds that half of the answers did not take."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """Seconds that one answer in a hundred took longer than; of fewer than a hundred, the longest."""
        return self.seconds[min(len(self.seconds) - 1, round(0.99 * len(self.seconds)))]


class Asker:
    """A browser of each kind of visitor, to one web process."""

    def __init__(self, installation: Installation, port: int) -> None:
        self._installation = installation
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._log = installation.engines.postgres.log.path

    def ask(self, page: Page) -> tuple[float, int]:
        """Ask for a page; returns the seconds until it was there (of a file, until it began) and its bytes.

        Raises:
            NotThePage: another status was answered than the page's.
        """
        address = page.address.format(**self._installation.facts)
        began = time.perf_counter()
        self._connection.request("GET", address, headers=self._headers(page))
        answer = self._connection.getresponse()
        body = answer.read(1) if page.is_file else answer.read()
        took = time.perf_counter() - began
        if page.is_file:
            self._connection.close()  # nobody needs the rest
        if answer.status != page.status:
            said = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", body.decode(errors="replace")))[-700:]
            raise NotThePage(f"{page.name}: {address} answered {answer.status} instead of {page.status}: {said}")
        return took, len(body)

    def _headers(self, page: Page) -> dict[str, str]:
        headers = {"Accept": "text/html", "Host": "rollcall.bench.example"}
        sessions = self._installation.sessions
        if page.who is Who.ADMIN:
            session = sessions.pop() if page.is_file and len(sessions) > 2 else sessions[page.name not in OF_LONG_AGO]
            headers["Cookie"] = f"__Host-rollcall-session={session}"
        elif page.who is Who.OPERATOR:
            headers["Cookie"] = f"__Host-rollcall-operator={self._installation.operator}"
        return headers

    def check(self, chosen: Sequence[Page]) -> None:
        """Ask for each of them once.

        Raises:
            NotThePage: of some another status was answered; says of which.
        """
        wrong: list[str] = []
        for page in chosen:
            try:
                self.ask(page)
            except NotThePage as error:
                wrong.append(str(error))
        if wrong:
            raise NotThePage("\n".join(wrong))

    def measure(self, page: Page, times: int) -> tuple[list[float], int]:
        """Ask *times* times; returns the seconds, sorted, and the bytes of an answer."""
        for _ in range(SETTLES):
            self.ask(page)
        taken = [self.ask(page) for _ in range(min(times, 20) if page.is_file else times)]
        return sorted(seconds for seconds, _ in taken), taken[-1][1]

    def statements(self, page: Page) -> tuple[int, tuple[float, str]]:
        """How many statements an answer needs, and the longest; PostgreSQL writes all of them down meanwhile."""
        found = [self._noted(page) for _ in range(3)]
        fewest = min(found, key=len)
        return len(fewest), max(fewest, default=(0.0, ""))

    def _noted(self, page: Page) -> list[tuple[float, str]]:
        before = self._log.stat().st_size
        self.ask(page)
        time.sleep(0.05 if page.is_file else 0.01)
        with self._log.open("rb") as log:
            log.seek(before)
            said = log.read().decode(errors="replace")
        noted = [(float(each[1]), each[2].strip()) for each in _STATEMENT.finditer(said)]
        return [(took, text) for took, text in noted if not _FRAME.match(text.rstrip(";"))]


def note_statements(engines: Engines, *, on: bool) -> None:
    """Have PostgreSQL write down each statement and what it took, or not."""

    async def told() -> None:
        async with superuser(engines) as connection:
            await connection.execute(f"ALTER SYSTEM SET log_min_duration_statement = {0 if on else -1}")
            await connection.execute("SELECT pg_reload_conf()")

    asyncio.run(told())
    time.sleep(0.5)


def measured(installation: Installation, port: int, chosen: Sequence[Page], times: int) -> Sequence[Taken]:
    """Ask for all of them."""
    asker = Asker(installation, port)
    asker.check(chosen)
    taken = [asker.measure(page, times) for page in chosen]
    note_statements(installation.engines, on=True)
    needed = [asker.statements(page) for page in chosen]
    note_statements(installation.engines, on=False)
    return [
        Taken(page, seconds, number, slowest, size)
        for page, (seconds, size), (number, slowest) in zip(chosen, taken, needed, strict=True)
    ]
