"""``python -m benchmarks.neighbours``: what one tenant notices while another one works its process as hard as it can.

One web process, as ``rollcall serve`` starts it. The one tenant reads, writes and has sessions introspected, and the
balancer asks whether the process is ready; whoever works it hard is a process of its own, and takes processor time
from the server as any neighbour on the machine does.
"""

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import click
import orjson
import psutil

from benchmarks.dataset import RULE, Dataset, Groups, prepared, superuser
from benchmarks.http_client import HttpClient
from benchmarks.load import request
from benchmarks.servers import Server, free_port, started
from rollcall.crypto import NOBODY, TokenKind, digest, new_token

LONGEST_MS = 250.0
"""The most that the other tenant's p99 may be, on a machine that nothing else needs."""

MOST_MB = 200.0
"""The most that the web process may hold."""

PAUSE = 0.05
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
TERMS = 40
FILLED = 15_000
"""Members of a group that is made by one call; its body has room for so many."""


@dataclass(frozen=True, slots=True)
class Large:
    """A large tenant at the server at *port*, and what it does there all the time; each method never ends."""

    port: int
    slug: str
    token: str
    key: str
    everybody: Groups
    people: tuple[str, ...]

    async def rule(self) -> None:
        """Ops edit its role rule, while twelve of its creations wait."""
        rules = [RULE, {**RULE, "default": "guest"}]

        async def edit(talker: HttpClient, number: int) -> None:
            await talker.ask(self._management("PUT", "/role-rule", rules[number % 2]))

        async def create(talker: HttpClient, number: int) -> None:
            await talker.ask(self._scim("POST", "/Users", {"userName": f"new-{uuid4()}-{number}"}))

        await asyncio.gather(self._again(1, edit), self._again(12, create))

    async def rename(self) -> None:
        """The group that everybody is in comes to count for a role, and stops."""
        names = ("dart-guests", "everybody")

        async def one(talker: HttpClient, number: int) -> None:
            change = {"op": "replace", "path": "displayName", "value": names[number % 2]}
            await talker.ask(self._patch(f"/Groups/{self.everybody.ids[0]}", change))

        await self._again(1, one)

    async def fill(self) -> None:
        """A group of thousands that means a role comes and goes."""
        async with HttpClient(self.port) as talker:
            status, body = await talker.ask(self._scim("GET", f"/Groups/{self.everybody.ids[0]}?attributes=members"))
        if status != 200:
            raise click.ClickException(f"the large tenant's provider is not let in any more: {body.decode()}")
        members = [{"value": member["value"]} for member in orjson.loads(body)["members"][:FILLED]]

        async def one(talker: HttpClient, _number: int) -> None:
            status, body = await talker.ask(
                self._scim("POST", "/Groups", {"displayName": "dart-guests", "members": members})
            )
            if status == 201:
                await talker.ask(self._scim("DELETE", f"/Groups/{orjson.loads(body)['id']}"))

        await self._again(1, one)

    async def one_row(self) -> None:
        """Sixteen change one person, as fast as they are answered."""

        async def one(talker: HttpClient, number: int) -> None:
            change = {"op": "replace", "path": "title", "value": f"number {number}"}
            await talker.ask(self._patch(f"/Users/{self.people[0]}", change))

        await self._again(16, one)

    async def searches(self) -> None:
        """Sixteen searches of forty terms at a time."""
        terms = " or ".join(f'title co "{number}zz"' for number in range(TERMS))

        async def one(talker: HttpClient, _number: int) -> None:
            await talker.ask(self._scim("GET", f"/Users?filter={quote(terms)}"))

        await self._again(16, one)

    async def bulks(self) -> None:
        """Bulks of a thousand changes of one group, whose clients go away after two seconds."""
        operations = [
            {
                "method": "PATCH",
                "path": f"/Groups/{self.everybody.ids[0]}",
                "data": {
                    "schemas": [PATCH],
                    "Operations": [{"op": "add", "path": "members", "value": [{"value": self.people[number % 50]}]}],
                },
            }
            for number in range(1_000)
        ]

        async def one(talker: HttpClient, _number: int) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await talker.ask(self._scim("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}))

        await self._again(4, one, anew=True)

    async def pages(self) -> None:
        """Sixteen long pages of its people in the management API at a time."""

        async def one(talker: HttpClient, _number: int) -> None:
            await talker.ask(self._management("GET", "/people?limit=200"))

        await self._again(16, one)

    async def groups(self) -> None:
        """Four lists of its groups with all their members at a time."""

        async def one(talker: HttpClient, _number: int) -> None:
            await talker.ask(self._scim("GET", "/Groups?count=200"))

        await self._again(4, one)

    def _scim(self, method: str, address: str, body: object = None) -> bytes:
        return json_request(method, f"/scim/v2{address}", self.token, body)

    def _patch(self, address: str, change: object) -> bytes:
        return self._scim("PATCH", address, {"schemas": [PATCH], "Operations": [change]})

    def _management(self, method: str, address: str, body: object = None) -> bytes:
        return json_request(method, f"/v1/tenants/{self.slug}{address}", self.key, body)

    async def _again(self, many: int, one: Callable[[HttpClient, int], Awaitable[None]], *, anew: bool = False) -> None:
        """Do it over *many* connections again and again, each time over a new one or until it is closed."""

        async def go_on() -> None:
            number = 0
            while True:
                with suppress(OSError, EOFError):
                    async with HttpClient(self.port) as talker:
                        while True:
                            await one(talker, number)
                            number += 1
                            if anew:
                                break
                await asyncio.sleep(0.01)

        await asyncio.gather(*(go_on() for _ in range(many)))


WORK = {
    "edits its rule while it creates": "rule",
    "renames a group of everybody to a role": "rename",
    "fills and deletes a group of a role": "fill",
    "16 change one person": "one_row",
    f"16 searches of {TERMS} terms": "searches",
    "4 Bulks of 1,000, left after 2 s": "bulks",
    "16 pages of 200 in /v1": "pages",
    "4 lists of all groups": "groups",
}


@dataclass
class Noticed:
    """What the other tenant noticed: how long its calls took, and how many were not answered as usual."""

    took: list[float] = field(default_factory=list[float])
    failed: int = 0
    unready: int = 0

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return sorted(self.took)[int(len(self.took) * 0.99)] * 1000


@click.command()
@click.option("--people", default=20_000, show_default=True, type=click.IntRange(1_000), help="Of the large tenant.")
@click.option("--seconds", default=8.0, show_default=True, type=click.FloatRange(1, 600), help="How long each takes.")
@click.option(
    "--longest-ms", default=LONGEST_MS, show_default=True, help="The most that the other tenant's p99 may be."
)
@click.option("--only", multiple=True, type=click.Choice([*WORK.values()]), help="These alone.")
def main(people: int, seconds: float, longest_ms: float, only: tuple[str, ...]) -> None:
    """Measure what one tenant notices of another, on engines of its own; fails where it is more than it should be."""
    worst: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-neighbours-") as folder,
        _served(Path(folder), people) as (dataset, server),
    ):
        key = asyncio.run(operator_key(dataset))
        sample = tuple(str(person.id) for person in dataset.club.sample)
        large = Large(server.port, "club", dataset.club.token, key, dataset.groups[-1], sample)
        asyncio.run(_notice(dataset, server.port, 2))
        click.echo(f"load of the machine: {', '.join(f'{each:.1f}' for each in psutil.getloadavg())}\n")
        click.echo(f"{'the large tenant':<42}{'p50 ms':>8}{'p99 ms':>8}{'failed':>8}{'unready':>8}{'MB':>6}")
        for name, method in {"does nothing": "", **WORK}.items():
            if method and only and method not in only:
                continue
            with _beside(large, method):
                noticed = asyncio.run(_notice(dataset, server.port, seconds))
                memory = server.memory() / 2**20
            median = statistics.median(noticed.took) * 1000
            click.echo(
                f"{name:<42}{median:>8.1f}{noticed.p99:>8.1f}{noticed.failed:>8}{noticed.unready:>8}{memory:>6.0f}"
            )
            if noticed.p99 > longest_ms or noticed.failed or noticed.unready or memory > MOST_MB:
                worst.append(name)
    if worst:
        raise click.ClickException(f"noticed more than it should be: {'; '.join(worst)}")


def run(large: Large, method: str) -> None:
    """Do it until somebody ends this process."""
    asyncio.run(getattr(large, method)())


async def _notice(dataset: Dataset, port: int, seconds: float) -> Noticed:
    """Read, look up, write and introspect in turn, and ask whether the process is ready."""
    tenant, noticed = dataset.tenants[0], Noticed()
    person = tenant.sample[0]
    form = {"Authorization": f"Bearer {dataset.application_key}", "Content-Type": "application/x-www-form-urlencoded"}
    change = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "Dr"}]}
    look_up = quote(f'userName eq "{person.user_name}"')
    questions = [
        json_request("GET", f"/scim/v2/Users/{person.id}", tenant.token),
        json_request("GET", f"/scim/v2/Users?filter={look_up}", tenant.token),
        json_request("PATCH", f"/scim/v2/Users/{person.id}", tenant.token, change),
        request("POST", "/oauth/introspect", form, f"token={quote(person.session)}".encode()),
    ]
    ready = request("GET", "/health/ready", {})
    until = time.monotonic() + seconds
    async with HttpClient(port) as talker:
        while time.monotonic() < until:
            for question in questions:
                begun = time.monotonic()
                status, _ = await talker.ask(question)
                noticed.took.append(time.monotonic() - begun)
                noticed.failed += status != 200
            status, _ = await talker.ask(ready)
            noticed.unready += status != 200
            await asyncio.sleep(PAUSE)
    return noticed


def json_request(method: str, path: str, key: str, body: object = None) -> bytes:
    """A request with a key and, unless it is None, a body in JSON, written out."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return request(method, path, headers, b"" if body is None else orjson.dumps(body))


@contextmanager
def _served(folder: Path, people: int) -> Generator[tuple[Dataset, Server]]:
    port = free_port()
    with prepared(folder / "dataset", people=people, tenants=1, say=click.echo) as dataset:
        command = ["-m", "rollcall", "serve", "--port", str(port)]
        with started(command, port, dataset.environment(), ready="/health/ready") as server:
            yield dataset, server


@contextmanager
def _beside(large: Large, method: str) -> Generator[None]:
    if not method:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=run, args=(large, method), daemon=True)
    process.start()
    time.sleep(2)
    try:
        yield
        if not process.is_alive():
            raise click.ClickException(f"{method} has ended by itself")
    finally:
        process.terminate()
        process.join(10)
        time.sleep(2)


async def operator_key(dataset: Dataset) -> str:
    """A key of ops for the installation that is measured."""
    key_id = uuid4()
    key = new_token(TokenKind.OPERATOR, NOBODY, key_id)
    async with superuser(dataset.engines) as connection:
        await connection.execute(
            "INSERT INTO installation_keys (id, kind, label, digest) VALUES ($1, 'op', 'bench', $2)",
            key_id,
            digest(key),
        )
    return key


if __name__ == "__main__":
    main()
