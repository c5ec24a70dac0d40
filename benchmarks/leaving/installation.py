"""The installation that people leave: its processes, a receiver of webhooks, and people with their credentials."""

import asyncio
import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import click
import orjson
import psutil

from benchmarks.dataset import Dataset, Tenant, superuser
from benchmarks.http_client import HttpClient
from benchmarks.load import request
from benchmarks.servers import cpu_seconds, free_port, started
from rollcall.crypto import NOBODY, TokenKind, digest, new_token

_SCIM = "application/scim+json"


_FORM = "application/x-www-form-urlencoded"


_DEACTIVATION = orjson.dumps(
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
)


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody who will leave: the request that says so, and the questions about their session and token."""

    id: UUID
    departure: bytes
    status: int
    questions: tuple[bytes, bytes]


@dataclass(slots=True)
class Installation:
    """The installation under load, whom to ask, and who listens."""

    dataset: Dataset
    port: int
    receiver_port: int
    parts: Mapping[str, psutil.Process]
    tenant: Tenant = field(init=False)

    def __post_init__(self) -> None:
        self.tenant = self.dataset.tenants[0]

    def leavers(self, count: int) -> list[Leaver]:
        """New people with a session and a personal token each; every second one will be removed."""
        people = [person for _, person in self.dataset.newcomers([self.tenant], count)]
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
        async with superuser(self.dataset.engines) as connection:
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
        product = {"Authorization": f"Bearer {self.dataset.application_key}", "Content-Type": _FORM}
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

    async def notified(self) -> dict[str, tuple[int, float]]:
        """Whom the receiver was called about so far: how often, and when first."""
        async with HttpClient(self.receiver_port) as receiver:
            _, body = await receiver.ask(request("GET", "/", {}))
        return {person: (times, first) for person, (times, first) in orjson.loads(body).items()}

    async def completed(self, leavers: Sequence[Leaver]) -> int:
        """How many of their receipts are complete."""
        complete = "SELECT count(*) FROM receipts WHERE account_id = ANY ($1) AND completed_at IS NOT NULL"
        async with superuser(self.dataset.engines) as connection:
            return await connection.fetchval(complete, [leaver.id for leaver in leavers])

    async def receipts(self, leavers: Sequence[Leaver]) -> tuple[list[float], int]:
        """After how many seconds from a request's arrival on each receipt was complete; and how many met the bound."""
        async with superuser(self.dataset.engines) as connection:
            rows = await connection.fetch(
                "SELECT extract(epoch FROM completed_at - arrived_at)::float AS seconds, statement FROM receipts"
                " WHERE account_id = ANY ($1) AND completed_at IS NOT NULL ORDER BY 1",
                [leaver.id for leaver in leavers],
            )
        return [row["seconds"] for row in rows], sum(_said_met(row["statement"]) for row in rows)

    def processor_seconds(self) -> dict[str, float]:
        """How much processor time each part has taken so far."""
        return {name: cpu_seconds(process) for name, process in self.parts.items()}


_PARTS = {"relay": ("relay",), "settling": ("worker",), "delivery": ("worker", "--queues", "delivery,delivery-slow")}


@contextmanager
def installed(dataset: Dataset, folder: Path) -> Generator[Installation]:
    """Two web processes, a relay, both workers and a receiver, as an installation runs them."""
    port, receiver_port = free_port(), free_port()
    environment = {**dataset.environment(), "ROLLCALL_ALLOW_PRIVATE_DESTINATIONS": "true"}
    # What was sealed as the dataset was prepared was sealed under another key.
    for of_receipts in ((), ("--receipts",)):
        _rollcall(environment, "signing-keys", "rotate", "--now", *of_receipts)
    with ExitStack() as parts:
        receiver = started(["-m", "benchmarks.webhook_receiver", str(receiver_port)], receiver_port, {}, ready="/")
        serve = ["-m", "rollcall", "serve", "--port", str(port), "--workers", "2"]
        running = {
            "PostgreSQL": psutil.Process(dataset.engines.postgres.process.pid),
            "receiver": parts.enter_context(receiver).process,
            "web": parts.enter_context(started(serve, port, environment, ready="/health/ready")).process,
        }
        for name, arguments in _PARTS.items():
            running[name] = parts.enter_context(_beside(folder / f"{name}.log", environment, arguments))
        asyncio.run(_hook(dataset, port, receiver_port))
        yield Installation(dataset, port, receiver_port, running)


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


async def _hook(dataset: Dataset, port: int, receiver_port: int) -> None:
    """Register the receiver for the departures of every tenant."""
    key_id = uuid4()
    key = new_token(TokenKind.OPERATOR, NOBODY, key_id)
    async with superuser(dataset.engines) as connection:
        await connection.execute(
            "INSERT INTO installation_keys (id, kind, label, digest) VALUES ($1, 'op', 'bench', $2)",
            key_id,
            digest(key),
        )
    wanted = {"url": f"http://127.0.0.1:{receiver_port}/", "label": "bench", "topics": ["user.deactivated"]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    path = f"/v1/tenants/{dataset.tenants[0].slug}/destinations"
    async with HttpClient(port) as operator:
        status, body = await operator.ask(request("POST", path, headers, orjson.dumps(wanted)))
    if status != 201:
        raise click.ClickException(f"the receiver was not registered: {body.decode()}")


def _said_met(statement: str) -> bool:
    """Whether a signed receipt says that everybody was told within the bound."""
    payload = statement.split(".")[1]
    return orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["destinations"]["met"]


async def leave(provider: HttpClient, leaver: Leaver) -> None:
    status, body = await provider.ask(leaver.departure)
    if status != leaver.status:
        raise click.ClickException(f"a departure was answered {status}: {body.decode()}")
