"""``python -m benchmarks.leaving``: from the answer to "they left" until nobody lets them in and everybody knows."""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import click
import orjson
import psutil
import uvloop

from benchmarks.__main__ import engine_versions
from benchmarks.ground import Ground, Tenant, laid_out, superuser
from benchmarks.load import request
from benchmarks.report import surroundings
from benchmarks.servers import cpu_seconds, free_port, started
from benchmarks.talking import Talker
from rollcall.crypto import NOBODY, TokenKind, digest, new_token

LATER_SECONDS = 5.0
"""How long after the answer a person's credentials are asked about once more, at the most."""

IDLE_SECONDS = 0.6
"""Between two departures while there is nothing else to do; spread by as much again."""

PACE = 50
"""Departures a second, under load."""

WAITING_SECONDS = 900.0

_SCIM = "application/scim+json"
_FORM = "application/x-www-form-urlencoded"
_DEACTIVATION = orjson.dumps(
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
)
_LIVE = b'"active":true'


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody who will leave: the request that says so, and the questions about their session and token."""

    id: UUID
    departure: bytes
    status: int
    questions: tuple[bytes, bytes]


@dataclass(slots=True)
class Refusals:
    """What was heard about the credentials of people who left."""

    departures: int = 0
    seconds: float = 0.0
    good_before: int = 0
    accepted_meanwhile: int = 0
    """Asked before the answer and called good: the departure was under way."""
    refused_meanwhile: int = 0
    asked_at_once: int = 0
    asked_later: int = 0
    accepted_after: int = 0
    """Asked after the answer and called good all the same. There must be none."""
    slowest_departure: float = 0.0


@dataclass(frozen=True, slots=True)
class Telling:
    """How long it took until the webhook's receiver knew, and until there was a receipt. Seconds."""

    departures: int
    a_second: float
    """Departures that were answered in a second."""
    told_p50: float
    told_p99: float
    slowest_told: float
    told_twice: int
    told_a_second: float
    """Of the departures, from the first answer to the last call."""
    receipt_p50: float
    receipt_p99: float
    slowest_receipt: float
    last_told: float
    """From the first answer to the last call."""
    all_done: float
    """From the first answer to the last receipt."""
    bound_met: int
    """Receipts that say that everybody was told within the bound."""
    processor: dict[str, float]
    """Milliseconds of processor time that each part took for a departure, from the first one to the last receipt."""


@dataclass(slots=True)
class Stage:
    """The installation under load, whom to ask, and who listens."""

    ground: Ground
    port: int
    listener: int
    parts: Mapping[str, psutil.Process]
    tenant: Tenant = field(init=False)

    def __post_init__(self) -> None:
        self.tenant = self.ground.tenants[0]

    def leavers(self, count: int) -> list[Leaver]:
        """New people with a session and a personal token each; every second one will be removed."""
        people = [person for _, person in self.ground.newcomers([self.tenant], count)]
        return asyncio.run(self._let_in(people))

    async def _let_in(self, people: Sequence[UUID]) -> list[Leaver]:
        until = datetime.now(UTC) + timedelta(hours=8)
        leavers: list[Leaver] = []
        sessions: list[tuple[object, ...]] = []
        tokens: list[tuple[object, ...]] = []
        for position, person in enumerate(people):
            session_id, token_id = uuid4(), uuid4()
            session = new_token(TokenKind.SESSION, self.tenant.id, session_id)
            token = new_token(TokenKind.PERSONAL, self.tenant.id, token_id)
            sessions.append((self.tenant.id, session_id, person, digest(session), until))
            tokens.append((self.tenant.id, token_id, person, digest(token)))
            leavers.append(self._leaver(person, session, token, removed=position % 2 == 1))
        async with superuser(self.ground.engines) as connection:
            await connection.executemany(
                "INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, expires_at)"
                " VALUES ($1, $2, $3, 1, $4, $5)",
                sessions,
            )
            await connection.executemany(
                "INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by)"
                " VALUES ($1, $2, 'their own', '{repo:read}', $3, 1, $4, 'bench')",
                tokens,
            )
            await connection.execute("ANALYZE")  # these people have been there for longer than a minute
        return leavers

    def _leaver(self, person: UUID, session: str, token: str, *, removed: bool) -> Leaver:
        provider = {"Authorization": f"Bearer {self.tenant.token}"}
        product = {"Authorization": f"Bearer {self.ground.application_key}", "Content-Type": _FORM}
        path = f"/scim/v2/Users/{person}"
        departure = (
            request("DELETE", path, provider)
            if removed
            else request("PATCH", path, provider | {"Content-Type": _SCIM}, _DEACTIVATION)
        )
        of_session, of_token = (
            request("POST", "/oauth/introspect", product, f"token={text}".encode()) for text in (session, token)
        )
        return Leaver(person, departure, 204 if removed else 200, (of_session, of_token))

    async def heard(self) -> dict[str, tuple[int, float]]:
        """Whom the receiver has heard of so far: how often, and when first."""
        async with Talker(self.listener) as listener:
            _, body = await listener.ask(request("GET", "/", {}))
        return {person: (times, first) for person, (times, first) in orjson.loads(body).items()}

    async def completed(self, leavers: Sequence[Leaver]) -> int:
        """How many of their receipts are complete."""
        complete = "SELECT count(*) FROM receipts WHERE account_id = ANY ($1) AND completed_at IS NOT NULL"
        async with superuser(self.ground.engines) as connection:
            return await connection.fetchval(complete, [leaver.id for leaver in leavers])

    async def receipts(self, leavers: Sequence[Leaver]) -> tuple[list[float], int]:
        """After how many seconds from a request's arrival on each receipt was complete; and how many met the bound."""
        async with superuser(self.ground.engines) as connection:
            rows = await connection.fetch(
                "SELECT extract(epoch FROM completed_at - arrived_at)::float AS seconds, statement FROM receipts"
                " WHERE account_id = ANY ($1) AND completed_at IS NOT NULL ORDER BY 1",
                [leaver.id for leaver in leavers],
            )
        return [row["seconds"] for row in rows], sum(_said_met(row["statement"]) for row in rows)

    def processor_seconds(self) -> dict[str, float]:
        """How much processor time each part has taken so far."""
        return {name: cpu_seconds(process) for name, process in self.parts.items()}


@click.command()
@click.option(
    "--people",
    default=10_000,
    show_default=True,
    type=click.IntRange(20, 1_000_000),
    help="Who leave and are asked about.",
)
@click.option(
    "--at-once",
    default=10_000,
    show_default=True,
    type=click.IntRange(2, 1_000_000),
    help="Who leave as fast as they can.",
)
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1, 256), help="Busy at a time.")
@click.option("--idle", default=60, show_default=True, type=click.IntRange(2, 10_000), help="Who leave one by one.")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 600), help=f"At {PACE} a second.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(people: int, at_once: int, connections: int, idle: int, seconds: float, json_file: Path | None) -> None:
    """Have people leave, and measure what follows, on engines and processes of its own."""
    with tempfile.TemporaryDirectory(prefix="rollcall-leaving-") as folder, ExitStack() as running:
        ground = running.enter_context(laid_out(Path(folder) / "ground", people=200, tenants=1, say=click.echo))
        stage = running.enter_context(_staged(ground, Path(folder)))
        around = surroundings(engine_versions(ground))
        click.echo("\n".join(["", *(f"{name:<12} {what}" for name, what in around.items()), ""]))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_warm_up(stage))
            alone = _one_by_one(loop, stage, idle)
            paced = _at_pace(loop, stage, round(PACE * seconds))
            flood = _at_once(loop, stage, at_once, connections)
            leavers = stage.leavers(people)
            refusals = loop.run(_refuse(stage, leavers, connections))
            click.echo(_of_refusals(refusals, connections))
        if json_file is not None:
            tellings = {"one by one": alone, f"{PACE} a second": paced, "as fast as they go": flood}
            figures = {
                "surroundings": around,
                "connections": connections,
                "refusals": asdict(refusals),
                "telling": {name: asdict(telling) for name, telling in tellings.items()},
            }
            json_file.write_text(json.dumps(figures, indent=2))
    if refusals.accepted_after:
        sys.exit("A credential was called good after its person's departure had been answered.")


@contextmanager
def _staged(ground: Ground, folder: Path) -> Generator[Stage]:
    """Two web processes, a relay, both workers and a receiver, as an installation runs them."""
    port, listener = free_port(), free_port()
    environment = {**ground.environment(), "ROLLCALL_ALLOW_PRIVATE_DESTINATIONS": "true"}
    # What was sealed as the ground was laid out was sealed under another key.
    _rollcall(environment, "signing-keys", "rotate", "--now")
    with ExitStack() as parts:
        receiver = started(["-m", "benchmarks.listening", str(listener)], listener, {}, ready="/")
        serve = ["-m", "rollcall", "serve", "--port", str(port), "--workers", "2"]
        running = {
            "PostgreSQL": psutil.Process(ground.engines.postgres.process.pid),
            "receiver": parts.enter_context(receiver).process,
            "web": parts.enter_context(started(serve, port, environment, ready="/health/ready")).process,
        }
        for name, arguments in _PARTS.items():
            running[name] = parts.enter_context(_beside(folder / f"{name}.log", environment, arguments))
        asyncio.run(_hook(ground, port, listener))
        yield Stage(ground, port, listener, running)


_PARTS = {"relay": ("relay",), "settling": ("worker",), "delivery": ("worker", "--queues", "delivery,delivery-slow")}


@contextmanager
def _beside(log: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> Generator[psutil.Process]:
    """Run a part beside the web processes until the block ends; it writes to *log*."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rollcall", *arguments],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        yield psutil.Process(process.pid)
        if process.poll() is not None:
            raise click.ClickException(f"a part has ended: {' '.join(arguments)}")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _rollcall(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "rollcall", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        check=True,
    )


async def _hook(ground: Ground, port: int, listener: int) -> None:
    """Register the receiver for the departures of every tenant."""
    key_id = uuid4()
    key = new_token(TokenKind.OPERATOR, NOBODY, key_id)
    async with superuser(ground.engines) as connection:
        await connection.execute(
            "INSERT INTO installation_keys (id, kind, label, digest) VALUES ($1, 'op', 'bench', $2)",
            key_id,
            digest(key),
        )
    wanted = {"url": f"http://127.0.0.1:{listener}/", "label": "bench", "topics": ["user.deactivated"]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    path = f"/v1/tenants/{ground.tenants[0].slug}/destinations"
    async with Talker(port) as operator:
        status, body = await operator.ask(request("POST", path, headers, orjson.dumps(wanted)))
    if status != 201:
        raise click.ClickException(f"the receiver was not registered: {body.decode()}")


def _one_by_one(loop: asyncio.Runner, stage: Stage, count: int) -> Telling:
    """Departures at moments that have nothing to do with the relay's, while there is nothing else to do."""
    leavers = stage.leavers(count)
    lot = random.Random(8935)

    async def measure() -> Telling:
        answered: dict[str, float] = {}
        before = stage.processor_seconds()
        async with Talker(stage.port) as provider:
            for leaver in leavers:
                await asyncio.sleep(IDLE_SECONDS * (1 + lot.random()))
                await _leave(provider, leaver)
                answered[str(leaver.id)] = time.monotonic()
        return await _told(stage, leavers, answered, before)

    return _said("one by one", loop.run(measure()))


def _at_pace(loop: asyncio.Runner, stage: Stage, count: int) -> Telling:
    """Departures at a pace that this machine keeps up with."""
    leavers = stage.leavers(count)

    async def measure() -> Telling:
        begun, before = time.monotonic(), stage.processor_seconds()
        answered = await _over_connections(stage, leavers, 16, lambda position: begun + position / PACE)
        return await _told(stage, leavers, answered, before)

    return _said(f"{PACE} a second", loop.run(measure()))


def _at_once(loop: asyncio.Runner, stage: Stage, count: int, connections: int) -> Telling:
    """Departures as fast as they are answered."""
    leavers = stage.leavers(count)

    async def measure() -> Telling:
        before = stage.processor_seconds()
        answered = await _over_connections(stage, leavers, connections, lambda _: 0.0)
        return await _told(stage, leavers, answered, before)

    return _said("as fast as they go", loop.run(measure()))


async def _warm_up(stage: Stage) -> None:
    """Have somebody leave and wait for the receipt: by then every part has started."""
    leavers = await asyncio.to_thread(stage.leavers, 20)
    await _over_connections(stage, leavers, 1, lambda _: 0.0)
    await _until_told(stage, leavers)


async def _over_connections(
    stage: Stage, leavers: Sequence[Leaver], connections: int, not_before: Callable[[int], float]
) -> dict[str, float]:
    """Have people leave over so many connections, each when it is their turn; returns when each was answered."""
    waiting = deque(enumerate(leavers))
    answered: dict[str, float] = {}

    async def run() -> None:
        async with Talker(stage.port) as provider:
            while waiting:
                position, leaver = waiting.popleft()
                await asyncio.sleep(max(0.0, not_before(position) - time.monotonic()))
                await _leave(provider, leaver)
                answered[str(leaver.id)] = time.monotonic()

    await asyncio.gather(*(run() for _ in range(connections)))
    return answered


async def _leave(provider: Talker, leaver: Leaver) -> None:
    status, body = await provider.ask(leaver.departure)
    if status != leaver.status:
        raise click.ClickException(f"a departure was answered {status}: {body.decode()}")


async def _told(
    stage: Stage, leavers: Sequence[Leaver], answered: Mapping[str, float], before: Mapping[str, float]
) -> Telling:
    """Wait until everybody was told of and has a receipt; *before* is what processor time each part had taken."""
    await _until_told(stage, leavers)
    done, after = time.monotonic(), stage.processor_seconds()
    heard, (receipts, met) = await stage.heard(), await stage.receipts(leavers)
    delays = sorted(heard[person][1] - at for person, at in answered.items())
    first, last = min(answered.values()), max(answered.values())
    last_told = max(heard[person][1] for person in answered)
    return Telling(
        departures=len(leavers),
        a_second=len(leavers) / max(last - first, 1e-3),
        told_p50=_share(delays, 0.5),
        told_p99=_share(delays, 0.99),
        slowest_told=delays[-1],
        told_twice=sum(heard[person][0] > 1 for person in answered),
        told_a_second=len(leavers) / max(last_told - first, 1e-3),
        receipt_p50=_share(receipts, 0.5),
        receipt_p99=_share(receipts, 0.99),
        slowest_receipt=receipts[-1],
        last_told=last_told - first,
        all_done=done - first,
        bound_met=met,
        processor={name: (after[name] - before[name]) / len(leavers) * 1e3 for name in after},
    )


async def _until_told(stage: Stage, leavers: Sequence[Leaver]) -> None:
    deadline = time.monotonic() + WAITING_SECONDS
    while (completed := await stage.completed(leavers)) < len(leavers):
        if time.monotonic() > deadline:
            raise click.ClickException(f"{completed:,} of {len(leavers):,} receipts, and no more")
        await asyncio.sleep(0.5)


async def _refuse(stage: Stage, leavers: Sequence[Leaver], connections: int) -> Refusals:
    """Have people leave, and ask about their credentials: before, meanwhile, at once after the answer, and later."""
    found = Refusals()
    waiting = deque(leavers)
    later: list[asyncio.Task[None]] = []
    lot = random.Random(7662)
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        spare: asyncio.Queue[Talker] = asyncio.Queue()
        for _ in range(connections):
            spare.put_nowait(await stack.enter_async_context(Talker(stage.port)))

        async def run() -> None:
            async with Talker(stage.port) as provider, Talker(stage.port) as product:
                while waiting:
                    leaver = waiting.popleft()
                    await _watch(found, provider, product, leaver)
                    later.append(asyncio.create_task(_ask_later(found, spare, leaver, LATER_SECONDS * lot.random())))

        await asyncio.gather(*(run() for _ in range(connections)))
        found.seconds = time.monotonic() - begun
        await asyncio.gather(*later)
    return found


async def _watch(found: Refusals, provider: Talker, product: Talker, leaver: Leaver) -> None:
    """Have somebody leave while another connection asks about them without a pause."""
    for question in leaver.questions:
        good = await _is_good(product, question)  # first the answer, then the sum: others add to it meanwhile
        found.good_before += good
    begun = time.monotonic()
    departure = asyncio.create_task(_leave(provider, leaver))
    turn = 0
    while not departure.done():
        if await _is_good(product, leaver.questions[turn % 2]):
            found.accepted_meanwhile += 1
        else:
            found.refused_meanwhile += 1
        turn += 1
    await departure
    found.departures += 1
    found.slowest_departure = max(found.slowest_departure, time.monotonic() - begun)
    for question in leaver.questions:
        good = await _is_good(product, question)
        found.asked_at_once += 1
        found.accepted_after += good


async def _ask_later(found: Refusals, spare: "asyncio.Queue[Talker]", leaver: Leaver, seconds: float) -> None:
    await asyncio.sleep(seconds)
    product = await spare.get()
    for question in leaver.questions:
        good = await _is_good(product, question)
        found.asked_later += 1
        found.accepted_after += good
    spare.put_nowait(product)


async def _is_good(product: Talker, question: bytes) -> bool:
    status, body = await product.ask(question)
    if status != 200:
        raise click.ClickException(f"a question was answered {status}: {body.decode()}")
    return _LIVE in body


def _said(name: str, told: Telling) -> Telling:
    click.echo(
        f"{name}: {told.departures:,} departures, {told.a_second:,.0f} a second\n"
        f"  webhook heard after {told.told_p50 * 1e3:,.0f} ms (p50), {told.told_p99 * 1e3:,.0f} ms (p99), "
        f"{told.slowest_told:.2f} s (slowest); {told.told_a_second:,.0f} a second; {told.told_twice} twice\n"
        f"  receipt complete after {told.receipt_p50:.2f} s (p50), {told.receipt_p99:.2f} s (p99), "
        f"{told.slowest_receipt:.2f} s (slowest)\n"
        f"  first answer to last webhook {told.last_told:.1f} s, to last receipt {told.all_done:.1f} s; "
        f"{told.bound_met:,} receipts say that the bound was met\n"
        "  processor time for a departure: "
        + ", ".join(f"{part} {taken:.2f} ms" for part, taken in told.processor.items())
    )
    return told


def _said_met(statement: str) -> bool:
    """Whether a signed receipt says that everybody was told within the bound."""
    payload = statement.split(".")[1]
    return orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["destinations"]["met"]


def _of_refusals(found: Refusals, connections: int) -> str:
    asked = found.asked_at_once + found.asked_later
    return (
        f"refusals: {found.departures:,} departures over {connections} connections in {found.seconds:.0f} s "
        f"(slowest {found.slowest_departure * 1e3:,.0f} ms); {found.good_before:,} credentials good before; "
        f"meanwhile {found.accepted_meanwhile:,} times good and {found.refused_meanwhile:,} times not; "
        f"after the answer asked {asked:,} times ({found.asked_at_once:,} at once), "
        f"{found.accepted_after} times called good"
    )


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[int((len(ordered) - 1) * share)]


if __name__ == "__main__":
    sys.exit(main())
