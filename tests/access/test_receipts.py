"""Receipts: what the worker does after somebody left, once, however often it is asked."""

import asyncio
from uuid import UUID, uuid4

from factories import Callers, Tenant, a_tenant, deactivation
from rollcall.access import receipts
from rollcall.db import Connection


async def departed(tenant: Tenant, owner: Connection) -> tuple[str, UUID]:
    """Somebody with a session who just left, and the message that says so."""
    maria = await tenant.person()
    await tenant.session(maria)
    headers = {"X-Request-Id": f"leave-{maria['id'][-12:]}"}
    answer = await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation(), headers=headers)
    assert answer.status_code == 200, answer.text
    message = await owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated' ORDER BY id DESC", UUID(maria["id"])
    )
    return maria["id"], message


async def settle(tenant: Tenant, message: UUID) -> bool:
    async with tenant.work() as work:
        return await receipts.settle(work, message)


async def test_receipt(callers: Callers, owner: Connection) -> None:
    """The receipt says what was closed and when, by which request, and what was purged after it."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    assert await settle(tenant, message)
    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()
    assert receipt["closed"] == {"sessions": 1, "tokens": 0}
    assert receipt["purged"] == {"sessions": 1}
    assert receipt["request_id"] == f"leave-{person[-12:]}"
    assert receipt["arrived_at"] <= receipt["closed_at"] <= receipt["settled_at"]
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", UUID(person)) == 0


async def test_settling_twice(callers: Callers, owner: Connection) -> None:
    """Run twice, one after the other or at the same moment, the task acts once."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    assert sorted(await asyncio.gather(*(settle(tenant, message) for _ in range(3)))) == [False, False, True]
    assert not await settle(tenant, message)
    assert len((await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()) == 1


async def test_later_sessions_stay(callers: Callers, owner: Connection) -> None:
    """Settled late, after the person came back, it purges nothing of their new life."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    await callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    session = await tenant.session({"id": person})
    assert await settle(tenant, message)
    assert await callers.is_live(session)


async def test_a_receipt_for_each_departure(callers: Callers, owner: Connection) -> None:
    """Who leaves twice has two receipts, newest first."""
    tenant = await a_tenant(callers)
    person, first = await departed(tenant, owner)
    await settle(tenant, first)
    await callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    await callers.operator.post(f"{tenant.v1}/people/{person}/deactivate", json={"reason": "for good"})
    rest = await owner.fetch(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated' AND done_at IS NULL", UUID(person)
    )
    assert [await settle(tenant, row["id"]) for row in rest] == [True]
    found = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()
    assert [each["reason"] for each in found] == ["for good", "deactivated by the identity provider"]


async def test_no_such_message(callers: Callers, owner: Connection) -> None:
    """An unknown message, or another tenant's, is nothing to do."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    _, message = await departed(other, owner)
    assert not await settle(tenant, message)
    assert not await settle(tenant, uuid4())
    assert await settle(other, message)
