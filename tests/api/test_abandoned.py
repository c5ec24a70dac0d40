"""Callers who go away, on the server that production has: reads stop, and nothing that matters is left undone."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import pytest_asyncio
from litestar import Litestar

from api.scim.test_bulk import bulk, change, person, title
from api.test_headers import server
from factories import Tenant, deactivation
from rollcall.db import Connection


@pytest_asyncio.fixture(scope="module")
async def address(app: Litestar) -> AsyncGenerator[str]:
    """Where the server listens."""
    async with server(app) as address:
        yield address


@pytest.fixture
def say(address: str, acme: Tenant) -> Callable[..., Awaitable[asyncio.StreamWriter]]:
    """Send a request of the tenant's provider, and give its connection back without waiting for an answer."""

    async def send(method: str, path: str, body: Any = None) -> asyncio.StreamWriter:
        where = urlsplit(address)
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /scim/v2{path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
        head += f"Authorization: Bearer {acme.token['token']}\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()
        return writer

    return send


Say = Callable[..., Awaitable[asyncio.StreamWriter]]


async def until(watcher: Connection, waiting: bool) -> None:
    """Return once a statement waits for a lock, or once none does."""
    async with asyncio.timeout(30):
        while bool(await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")) is not waiting:
            await asyncio.sleep(0.01)


async def test_a_search_stops(acme: Tenant, say: Say, rival: Connection, watcher: Connection) -> None:
    """A search that nobody waits for any more leaves PostgreSQL, before its time is over."""
    async with rival.transaction():
        await rival.execute("LOCK TABLE group_closure IN ACCESS EXCLUSIVE MODE")
        for path in ("/Groups?filter=members.display%20co%20%22x%22&sortBy=displayName", "/Users?sortBy=title"):
            await rival.execute("LOCK TABLE users, groups IN ACCESS EXCLUSIVE MODE")
            began = asyncio.get_running_loop().time()
            connection = await say("GET", path)
            await until(watcher, waiting=True)
            connection.close()
            await until(watcher, waiting=False)
            assert asyncio.get_running_loop().time() - began < 1.9, "the lock's own bound ended it"
    assert (await acme.scim.get("/Users")).status_code == 200


async def test_a_change_goes_on(acme: Tenant, say: Say, rival: Connection, watcher: Connection) -> None:
    """A departure that has begun is finished, though nobody waits for the answer."""
    maria = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchval("SELECT true FROM accounts WHERE id = $1 FOR UPDATE", UUID(maria["id"]))
        connection = await say("PATCH", f"/Users/{maria['id']}", deactivation())
        await until(watcher, waiting=True)
        connection.close()
        await asyncio.sleep(0.4)
    await until(watcher, waiting=False)
    assert await eventually_left(acme, maria)


async def test_a_bulk_begins_nothing_more(acme: Tenant, say: Say, rival: Connection, watcher: Connection) -> None:
    """Of a Bulk whose client has gone what has begun is finished, and of the rest only the departures are done."""
    maria, otto, noor = [await acme.person(name) for name in ("maria", "otto", "noor")]
    leaves = {"op": "replace", "path": "active", "value": False}
    body = bulk(
        change(f"/Users/{maria['id']}", title("Dr"), {"op": "replace", "path": "userName", "value": "mary"}),
        person("new"),
        person("newer"),
        change(f"/Users/{otto['id']}", leaves),
        {"method": "DELETE", "path": f"/Users/{noor['id']}"},
    )
    async with rival.transaction():
        await rival.fetchval("SELECT true FROM accounts WHERE id = $1 FOR UPDATE", UUID(maria["id"]))
        connection = await say("POST", "/Bulk", body)
        await until(watcher, waiting=True)
        connection.close()
        await asyncio.sleep(0.8)
    assert await eventually_left(acme, otto)
    async with asyncio.timeout(30):
        while (await acme.scim.get(f"/Users/{noor['id']}")).status_code != 404:
            await asyncio.sleep(0.02)
    assert (await acme.scim.get(f"/Users/{maria['id']}")).json()["userName"] == "mary"
    found = await acme.scim.get("/Users", params={"filter": 'userName sw "new"'})
    assert found.json()["totalResults"] == 0


async def eventually_left(acme: Tenant, somebody: dict[str, Any]) -> bool:
    """Whether somebody has left, at last."""
    async with asyncio.timeout(30):
        while (await acme.scim.get(f"/Users/{somebody['id']}")).json()["active"]:
            await asyncio.sleep(0.02)
    return True
