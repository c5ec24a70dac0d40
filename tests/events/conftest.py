"""Receivers that really listen, and what delivering to them needs."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from factories import ORIGIN, Callers, Tenant, a_tenant
from rollcall.crypto import Sealer
from rollcall.db import Connection, Database
from rollcall.events import destinations, fanout
from rollcall.events.addresses import AddressRules
from rollcall.events.delivering import DeliveryContext, DeliveryTally, deliver
from rollcall.events.destinations import NewDestination, Wanted
from rollcall.events.outgoing import Signing
from rollcall.events.sending import Sender
from rollcall.journal import record
from rollcall.journal.events import UserUpdated
from rollcall.settings import Settings
from rollcall.work import SYSTEM, TenantRef, open_fleet, open_work

INSIDE = AddressRules(allow_private=True)
CALL_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its ``webhook-id``."""
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        """What it tells."""
        return orjson.loads(self.body)["data"]


Behaviour = Callable[[Call], Awaitable[bytes | None]]


def answering(status: int, *headers: str, body: str = "") -> Behaviour:
    """A receiver that always answers the same."""
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *headers, "", body]

    async def behave(_call: Call) -> bytes:
        return "\r\n".join(lines).encode()

    return behave


async def hanging(_call: Call) -> None:
    """A receiver that takes the request and never answers."""
    await asyncio.sleep(3600)


async def closing(_call: Call) -> None:
    """A receiver that hangs up."""


@dataclass
class Receiver:
    """Somebody who listens on a port of this machine, and behaves as told."""

    behave: Behaviour = field(default_factory=lambda: answering(204))
    calls: list[Call] = field(default_factory=list[Call])
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                call = Call(first.split(" ")[1], headers, body)
                self.calls.append(call)
                answer = await self.behave(call)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@pytest_asyncio.fixture
async def listen() -> AsyncGenerator[Callable[..., Awaitable[Receiver]]]:
    """Start receivers; they stop when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(behave: Behaviour | None = None, *, tls: ssl.SSLContext | None = None) -> Receiver:
            receiver = Receiver() if behave is None else Receiver(behave)
            talks: set[asyncio.Task[None]] = set()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.create_task(receiver.serve(reader, writer))
                talks.add(task)
                await task

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
            receiver.port = server.sockets[0].getsockname()[1]

            async def stop() -> None:
                server.close()
                for talk in talks:
                    talk.cancel()
                await asyncio.gather(*talks, return_exceptions=True)

            stack.push_async_callback(stop)
            return receiver

        yield start


Listen = Callable[..., Awaitable[Receiver]]


@pytest.fixture
def signing(settings: Settings) -> Signing:
    """What a process that sends has."""
    return Signing(Sealer.of(settings), settings.public_url)


@pytest_asyncio.fixture
async def context(database: Database, signing: Signing) -> AsyncGenerator[DeliveryContext]:
    """A worker's way out, which may call this machine, and is impatient."""
    sender = Sender(INSIDE, seconds=CALL_SECONDS)
    yield DeliveryContext(database, signing, sender, lease_seconds=30)
    await sender.close()


@dataclass(frozen=True)
class Post:
    """A tenant under test, the worker, and the clock's owner."""

    tenant: Tenant
    context: DeliveryContext
    owner: Connection

    async def hook(self, receiver: Receiver, *topics: str) -> NewDestination:
        """Register a webhook of the tenant."""
        async with self.tenant.work() as work:
            wanted = Wanted("webhook", receiver.url, "hook", topics)
            return await destinations.create(work, wanted, INSIDE, self.context.signing.sealer)

    async def installation_hook(self, receiver: Receiver, *topics: str) -> NewDestination:
        """Register a webhook that hears of every tenant."""
        async with open_work(self.context.database, destinations.WHOLE_INSTALLATION, SYSTEM, ORIGIN) as work:
            wanted = Wanted("webhook", receiver.url, "fleet hook", topics)
            return await destinations.create(work, wanted, INSIDE, self.context.signing.sealer)

    async def announce(self, *people: dict[str, Any], times: int = 1) -> None:
        """Have something happen to each of these people, so many times over, and fan it out."""
        for _ in range(times):
            for person in people:
                async with self.tenant.work() as work:
                    await record.record(work, UserUpdated(), account_id=await self.account(person))
        await self.fan_out()

    async def account(self, person: dict[str, Any]) -> UUID:
        """The account behind a SCIM resource."""
        return await self.owner.fetchval("SELECT account_id FROM users WHERE id = $1", UUID(person["id"]))

    async def fan_out(self) -> None:
        """Do what a relay does before it publishes."""
        async with open_fleet(self.context.database, SYSTEM, ORIGIN) as fleet:
            while await fanout.fan_out(fleet, limit=500, handled=["user.deactivated"]):
                pass

    async def deliver(self, hook: NewDestination, context: DeliveryContext | None = None) -> DeliveryTally:
        """Do what a worker does with a destination."""
        return await deliver(context or self.context, hook.row.tenant_id, hook.row.id)

    async def due_now(self, hook: NewDestination) -> None:
        """Let the time pass for which a receiver and its deliveries are left alone."""
        await self.owner.execute(
            "UPDATE deliveries SET next_try_at = now() WHERE destination_id = $1 AND state = 'pending'", hook.row.id
        )
        await self.owner.execute("UPDATE destinations SET next_try_at = NULL WHERE id = $1", hook.row.id)

    async def states(self, hook: NewDestination) -> list[str]:
        """How each delivery stands, in the order of the messages."""
        rows = await self.owner.fetch(
            "SELECT state FROM deliveries WHERE destination_id = $1 ORDER BY message_id", hook.row.id
        )
        return [row["state"] for row in rows]

    async def column(self, hook: NewDestination, name: str, table: str = "deliveries") -> Any:
        """One column of the only delivery, or of the destination."""
        key = "destination_id" if table == "deliveries" else "id"
        return await self.owner.fetchval(f"SELECT {name} FROM {table} WHERE {key} = $1", hook.row.id)

    def patient(self, seconds: float) -> DeliveryContext:
        """A worker whose claims last *seconds* and a call."""
        return replace(self.context, lease_seconds=seconds)

    def ref(self) -> TenantRef:
        """The tenant."""
        return TenantRef(UUID(self.tenant.id), self.tenant.slug)


@pytest_asyncio.fixture
async def post(callers: Callers, context: DeliveryContext, owner: Connection) -> Post:
    """A fresh tenant, of whom nothing is left to be told."""
    post = Post(await a_tenant(callers), context, owner)
    await post.fan_out()
    return post
