"""One tenant holds its share of a process and no more: what the others, the product and the balancer see meanwhile."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall import db
from rollcall.db import Connection
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_fleet, open_work
from rows import until_waiting

LONG = 1.5
"""Seconds that nobody else's call may take: less than the two that one waits for a lock."""

TITLE = patch_op({"op": "replace", "path": "title", "value": "Dr"})


@pytest.fixture
async def other(callers: Callers) -> Tenant:
    """Another tenant, that does nothing unusual."""
    return await a_tenant(callers)


@asynccontextmanager
async def held_up(acme: Tenant, rival: Connection, people: list[dict[str, Any]]) -> AsyncGenerator[None]:
    """Nobody can change these people meanwhile."""
    transaction: Any = rival.transaction()
    await transaction.start()
    await rival.fetch(
        "SELECT FROM accounts WHERE tenant_id = $1 AND id = ANY ($2) FOR UPDATE",
        UUID(acme.id),
        [UUID(person["id"]) for person in people],
    )
    try:
        yield
    finally:
        await transaction.rollback()


async def timed(client: httpx.AsyncClient, method: str, address: str, **call: Any) -> float:
    """How long a call took, which has to be answered as usual."""
    began = time.monotonic()
    answer = await client.request(method, address, **call)
    assert answer.status_code in (200, 201), f"{method} {address}: {answer.status_code} {answer.text}"
    return time.monotonic() - began


async def test_beside_somebody_slow(acme: Tenant, other: Tenant, rival: Connection) -> None:
    """While 64 calls of a tenant wait for rows, others read, write and are introspected, and the process is ready."""
    people = await asyncio.gather(*(acme.person() for _ in range(16)))
    maria = await other.person("maria")
    session = await other.session(maria)
    callers = other.callers
    slow: list[asyncio.Task[httpx.Response]] = []
    async with held_up(acme, rival, people):
        for person in people * 2:
            slow.append(asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=deactivation())))
            address = f"{acme.v1}/people/{person['id']}/deactivate"
            slow.append(asyncio.create_task(callers.operator.post(address, json={})))
        await asyncio.sleep(0.2)
        took = [
            duration
            for _ in range(5)
            for duration in (
                await timed(other.scim, "GET", f"/Users/{maria['id']}"),
                await timed(other.scim, "GET", "/Users", params={"filter": 'title co "r"'}),
                await timed(other.scim, "PATCH", f"/Users/{maria['id']}", json=TITLE),
                await timed(callers.operator, "GET", f"{other.v1}/people"),
                await timed(callers.product, "POST", "/oauth/introspect", data={"token": session}),
                await timed(callers.product, "GET", "/health/ready"),
            )
        ]
    assert max(took) < LONG
    answers = await asyncio.gather(*slow)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)
    assert (await acme.scim.get(f"/Users/{people[0]['id']}")).status_code == 200


async def test_a_lock_not_had(acme: Tenant, rival: Connection) -> None:
    """A lock that is not had in time is 503 with Retry-After on every surface, and nothing of the call was done."""
    maria = await acme.person("maria")
    session, token = await acme.session(maria), await acme.personal_token(maria)
    callers = acme.callers
    began = time.monotonic()
    async with held_up(acme, rival, [maria]), rival.transaction():
        await rival.fetch("SELECT FROM sessions WHERE tenant_id = $1 FOR UPDATE", UUID(acme.id))
        answers = await asyncio.gather(
            acme.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
            callers.operator.post(f"{acme.v1}/people/{maria['id']}/deactivate", json={}),
            callers.product.post("/oauth/revoke", data={"token": session}),
        )
    assert time.monotonic() - began < 30, "it waited for the driver, not for PostgreSQL's own bound"
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
    assert await callers.is_live(session)
    assert await callers.is_live(token)
    assert (await acme.scim.get(f"/Users/{maria['id']}")).json()["active"] is True


async def test_a_call_that_was_given_up(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A call whose caller gave up while it waited for a lock writes nothing once the lock is free."""
    maria = await acme.person("maria")
    async with held_up(acme, rival, [maria]):
        call = asyncio.create_task(acme.scim.patch(f"/Users/{maria['id']}", json=TITLE | deactivation()))
        await until_waiting(watcher, call)
        call.cancel()
        await asyncio.wait([call])
        await until_nobody_waits(watcher)
    assert (await acme.scim.get(f"/Users/{maria['id']}")).json()["active"] is True


async def until_nobody_waits(watcher: Connection) -> None:
    """Return once PostgreSQL has seen that nobody is there to hear."""
    async with asyncio.timeout(30):
        while await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.02)


async def test_the_role_has_the_bounds(acme: Tenant, settings: Settings) -> None:
    """Whoever connects as the running role has them, whatever lies between; long work has its own."""
    here, origin = acme.callers.database, RequestOrigin(request_id="bounds")
    there = await db.connect(settings)
    show = text("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
    for database, wanted in ((here, ("2s", "5s")), (there, ("10s", "110s"))):
        assert await database.pool.fetchval("SHOW client_connection_check_interval") == "500ms"
        async with open_work(database, TenantRef(UUID(acme.id), acme.slug), SYSTEM, origin) as work:
            assert tuple((await work.db.execute(show)).one()) == wanted
        async with open_fleet(database, SYSTEM, origin) as fleet:
            assert tuple((await fleet.db.execute(show)).one()) == wanted
            assert await fleet.db.scalar(text("SELECT current_user")) == db.FLEET_ROLE
    await there.close()
