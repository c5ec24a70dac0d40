"""People who leave, whoever may still let them in, and the one check that every story ends with."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import httpx
from standardwebhooks import Webhook

from factories import DART_RULE, deactivation
from faults.installation import Installation
from faults.receivers import Receiver
from faults.ways_in import Product, WaysIn, insist
from journeys.conftest import client, eventually
from other_libraries import read_by_authlib
from rollcall.access.ways_in import NAMES, WAYS_IN
from rollcall.crypto import TokenKind, digest, new_token
from rollcall.db import DatabaseError
from rollcall.proof import verifying

AT_ONCE = 8
"""Connections that an identity provider has in these stories."""

EQUIPPED = 12
"""About how many of those who leave have every way in that there is; the others have a session and a token."""

_NUMBERS = count(1)


@dataclass
class Leaver:
    """Somebody who can come in, and is going to leave."""

    id: str
    user_name: str
    removed: bool
    """Whether the provider will send DELETE; otherwise it is PATCH ``active=false``."""
    ways: WaysIn
    asked_at: float = 0.0
    answered_at: float = 0.0
    """By the clock that only goes forward; from here on nobody may be let in."""
    tries: int = 0


@dataclass(frozen=True)
class Figures:
    """What a story came to."""

    story: str
    departures: int
    tried_again: int
    accepted: int
    """Credentials that were called good after their person's departure had been answered."""
    calls: int
    taken: int
    repeats: int
    """Calls that were taken although the same message had been taken before."""
    slowest_answer: float
    told_p99: float
    slowest_told: float
    """Seconds from the SCIM answer to the last destination's taking it; healthy ones where some are ill."""
    slowest_receipt: float
    """Seconds from the request's arrival to the signed receipt."""
    receipts: int


REPORT: list[Figures] = []
"""What the stories of this run came to, in their order."""


@dataclass
class Company:
    """A tenant, its identity provider, and those who listen."""

    installation: Installation
    slug: str
    id: UUID
    scim_token: str
    receivers: dict[str, Receiver] = field(default_factory=dict[str, Receiver])
    accepted: int = 0
    left: list[Leaver] = field(default_factory=list[Leaver])

    def tell(self, receiver: Receiver) -> None:
        """Register a webhook for departures."""
        wanted = {"url": receiver.url, "label": receiver.name, "topics": ["user.deactivated"]}
        made = self.installation.operator.post(f"/v1/tenants/{self.slug}/destinations", json=wanted)
        assert made.status_code == 201, made.text
        receiver.secret = made.json()["secret"]
        self.receivers[receiver.name] = receiver

    def hire(self, number: int) -> list[Leaver]:
        """Have the identity provider create people, every second of whom it will remove, and let them in."""
        names = [f"leaver-{position}@{self.slug}.test" for position in range(number)]
        created: list[dict[str, Any]] = []

        def create(scim: httpx.Client, name: str) -> None:
            answer = scim.post("/Users", json={"userName": name, "active": True})
            assert answer.status_code == 201, answer.text
            created.append(answer.json())

        self._side_by_side(create, names)
        return self._let_in(created)

    def _let_in(self, people: Sequence[dict[str, Any]]) -> list[Leaver]:
        leavers: list[Leaver] = []
        sessions: list[tuple[object, ...]] = []
        tokens: list[tuple[object, ...]] = []
        until = datetime.now(UTC) + timedelta(hours=8)
        with self.installation.sql() as sql:
            accounts = {
                str(row["id"]): row["account_id"]
                for row in sql.fetch("SELECT id, account_id FROM users WHERE tenant_id = $1", self.id)
            }
            for position, person in enumerate(people):
                session_id, token_id, account = uuid4(), uuid4(), accounts[person["id"]]
                session = new_token(TokenKind.SESSION, self.id, session_id)
                token = new_token(TokenKind.PERSONAL, self.id, token_id)
                sessions.append((self.id, session_id, account, digest(session), until))
                tokens.append((self.id, token_id, account, digest(token)))
                leavers.append(Leaver(person["id"], person["userName"], position % 2 == 1, WaysIn([session, token])))
            sql.executemany(
                "INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, expires_at)"
                " VALUES ($1, $2, $3, 1, $4, $5)",
                sessions,
            )
            sql.executemany(
                "INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by)"
                " VALUES ($1, $2, 'their own', '{repo:read}', $3, 1, $4, 'test')",
                tokens,
            )
        good = sum(leaver.ways.number for leaver in leavers)
        with self._product() as product:
            for leaver in leavers[:: max(3, len(leavers) // EQUIPPED) | 1]:  # an odd step: some of both kinds
                product.equip(leaver.id, leaver.ways)
                good += 2
        assert self.let_in(leavers) == good, "they are all let in before they leave"
        return leavers

    def dismiss(self, leavers: Sequence[Leaver], *, per_second: float | None = None) -> None:
        """Have the provider say that they left; each answer is followed at once by a try to get in.

        What gets no answer, or a 5xx, is sent again, as providers do.
        """
        begun = time.monotonic()
        with self._product() as product:

            def leave(scim: httpx.Client, planned: tuple[int, Leaver]) -> None:
                position, leaver = planned
                if per_second is not None:
                    time.sleep(max(0.0, begun + position / per_second - time.monotonic()))
                self._dismiss(scim, leaver)
                self.accepted += product.let_in(leaver.ways)

            self._side_by_side(leave, list(enumerate(leavers)))
        self.left += leavers

    def _dismiss(self, scim: httpx.Client, leaver: Leaver) -> None:
        def ask() -> httpx.Response:
            leaver.tries += 1
            path = f"/Users/{leaver.id}"
            return scim.delete(path) if leaver.removed else scim.patch(path, json=deactivation())

        leaver.asked_at = time.monotonic()
        answer = insist(ask)
        leaver.answered_at = time.monotonic()
        # Whoever sends DELETE again, because the answer was lost, learns that there is nobody any more.
        expected = {204, 404} if leaver.tries > 1 else {204}
        assert answer.status_code in (expected if leaver.removed else {200}), answer.text

    def let_in(self, leavers: Iterable[Leaver]) -> int:
        """How many of their credentials are good."""
        with self._product() as product:
            return product.let_in(*(leaver.ways for leaver in leavers))

    def completed(self) -> int:
        """How many receipts are complete; none while the database can't say."""
        completed = "SELECT count(*) FROM receipts WHERE tenant_id = $1 AND completed_at IS NOT NULL"
        try:
            with self.installation.sql() as sql:
                return sql.fetchval(completed, self.id)
        except (OSError, *DatabaseError):
            return 0

    def settle(
        self,
        story: str,
        *,
        within: float,
        once: bool = True,
        states: dict[str, str] | None = None,
        healthy: Sequence[str] | None = None,
    ) -> Figures:
        """Wait until everybody knows, then check everything there is to check about those who left.

        With *once*, each destination took each message exactly once; without it, at least once and under one id.
        *states* names the destinations that were not told and how they ended; *healthy*, those whose delay counts.
        """
        eventually(lambda: self.completed() >= len(self.left), within=within)
        assert self.accepted == 0, "a credential was called good after its person's departure had been answered"
        assert self.let_in(self.left) == 0
        assert self._open() == dict.fromkeys(NAMES, 0)
        delays = sorted(
            delay
            for name, receiver in self.receivers.items()
            if name not in (states or {})
            for delay in self._check_receiver(receiver, once=once, counts=healthy is None or name in healthy)
        )
        slowest = self._check_receipts(states or {})
        calls = [call for receiver in self.receivers.values() for call in receiver.heard]
        taken = [call for call in calls if call.taken]
        figures = Figures(
            story=story,
            departures=len(self.left),
            tried_again=sum(leaver.tries - 1 for leaver in self.left),
            accepted=self.accepted,
            calls=len(calls),
            taken=len(taken),
            repeats=len(taken) - len({(call.headers["host"], call.id) for call in taken}),
            slowest_answer=max(leaver.answered_at - leaver.asked_at for leaver in self.left),
            told_p99=delays[int((len(delays) - 1) * 0.99)],
            slowest_told=delays[-1],
            slowest_receipt=slowest,
            receipts=len(self.left),
        )
        REPORT.append(figures)
        return figures

    def _open(self) -> dict[str, int]:
        """How many credentials of each class those who left have that are not closed, as the tables have it."""
        names = [leaver.user_name for leaver in self.left]
        with self.installation.sql() as sql:
            return {
                way.name: sql.fetchval(
                    f"SELECT count(*) FROM {way.table} c JOIN accounts a"
                    f" ON a.tenant_id = c.tenant_id AND a.id = c.{way.account}"
                    f" WHERE a.tenant_id = $1 AND a.user_name = ANY ($2) AND c.{way.closed} IS NULL",
                    self.id,
                    names,
                )
                for way in WAYS_IN
            }

    def _check_receiver(self, receiver: Receiver, *, once: bool, counts: bool) -> list[float]:
        """Everybody who left was told of, signed, under one id each; returns after how many seconds, if it *counts*."""
        taken = [call for call in receiver.heard if call.taken]
        ids: dict[str, set[str]] = {}
        for call in taken:
            Webhook(receiver.secret).verify(call.body, call.headers)
            ids.setdefault(call.person, set()).add(call.id)
        assert set(ids) == {leaver.user_name for leaver in self.left}, receiver.name
        assert all(len(each) == 1 for each in ids.values()), f"{receiver.name}: one departure under two ids"
        if once:
            again = [name for name, times in Counter(call.person for call in taken).items() if times > 1]
            assert again == [], f"{receiver.name} was told again"
        first: dict[str, float] = {}
        for call in taken:
            first.setdefault(call.person, call.at)
        return [first[leaver.user_name] - leaver.answered_at for leaver in self.left] if counts else []

    def _check_receipts(self, states: dict[str, str]) -> float:
        """There is one signed receipt for each departure, and it says what happened; returns the slowest's seconds."""
        keys = httpx.get(f"{self.installation.base_url}/.well-known/receipt-keys.json").raise_for_status()
        ours = verifying.read_keys(keys.content)
        delivered = {receiver.name: "delivered" for receiver in self.receivers.values() if receiver.name not in states}
        receipts = list(self._receipts())
        closed = {leaver.user_name: leaver.ways.closed for leaver in self.left}
        slowest = 0.0
        for receipt in receipts:
            said = verifying.verify(receipt["statement"], ours)
            assert said == dict(read_by_authlib(receipt["statement"], keys.json()))
            counted = {each["class"]: each["count"] for each in said["closed"]["credentials"]}
            assert counted == closed[said["person"]["user_name"]]
            told = {each["label"]: each["state"] for each in said["destinations"]["each"]}
            # Whoever was disabled before somebody left is no destination of that departure.
            assert told == delivered | {name: state for name, state in states.items() if name in told}
            arrived, completed = (datetime.fromisoformat(said[name]) for name in ("arrived_at", "completed_at"))
            slowest = max(slowest, (completed - arrived).total_seconds())
        assert sorted(verifying.verify(each["statement"], ours)["person"]["user_name"] for each in receipts) == sorted(
            leaver.user_name for leaver in self.left
        )
        return slowest

    def _receipts(self) -> Generator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            parameters = {"limit": "200"} | ({} if cursor is None else {"cursor": cursor})
            page = self.installation.operator.get(f"/v1/tenants/{self.slug}/receipts", params=parameters)
            assert page.status_code == 200, page.text
            yield from page.json()["data"]
            if (cursor := page.json()["next_cursor"]) is None:
                return

    @contextmanager
    def _product(self) -> Generator[Product]:
        with client(self.installation.base_url, self.installation.application_key) as http:
            yield Product(http, f"/v1/tenants/{self.slug}")

    def _side_by_side(self, each: Callable[[httpx.Client, Any], None], things: Sequence[Any]) -> None:
        """Do something about each of *things*, in order, over several connections of the provider."""
        waiting: SimpleQueue[Any] = SimpleQueue()
        for thing in things:
            waiting.put(thing)

        def run() -> None:
            with client(f"{self.installation.base_url}/scim/v2", self.scim_token) as scim:
                while True:
                    try:
                        thing = waiting.get_nowait()
                    except Empty:
                        return
                    each(scim, thing)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(run) for _ in range(AT_ONCE)]:
                done.result()


def a_company(installation: Installation, *receivers: Receiver) -> Company:
    """A customer without a rate limit, and those who want to hear of its departures."""
    slug = f"company-{next(_NUMBERS)}"
    terms = {"slug": slug, "name": slug, "plan": "enterprise", "rate_per_second": 0, "role_rule": DART_RULE}
    operator = installation.operator
    made = operator.post("/v1/tenants", json=terms)
    assert made.status_code == 201, made.text
    admin = operator.post(f"/v1/tenants/{slug}/people", json={"user_name": f"ada@{slug}.test", "role": "admin"}).json()
    token = operator.post(f"/v1/tenants/{slug}/tokens", json={"label": "provider", "owner": admin["id"]}).json()
    company = Company(installation, slug, UUID(made.json()["id"]), token["token"])
    for receiver in receivers:
        company.tell(receiver)
    return company
