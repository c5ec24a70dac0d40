"""Mass changes: departures are obeyed, an alert is raised once, and what can't be undone waits for its release."""

import asyncio
from uuid import UUID, uuid4

import pytest

from cli.shell import Shell
from factories import Callers, Tenant, a_tenant, deactivation
from rollcall.db import Connection
from rollcall.proof import mass_changes, receipts
from rollcall.proof.mass_changes import MassChangeUnderWay
from rollcall.settings import Settings


async def leave(tenant: Tenant, owner: Connection, count: int) -> list[UUID]:
    """So many people leave; returns the messages that say so, which nobody has settled yet."""
    people = [await tenant.person() for _ in range(count)]
    for person in people:
        answer = await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
        assert (answer.status_code, answer.json()["active"]) == (200, False)
    ids = [UUID(person["id"]) for person in people]
    rows = await owner.fetch(
        "SELECT id FROM outbox WHERE account_id = ANY($1) AND topic = 'user.deactivated' ORDER BY id", ids
    )
    return [row["id"] for row in rows]


async def settle(tenant: Tenant, message: UUID) -> None:
    async with tenant.work() as work:
        assert await receipts.settle(work, message)


async def left(tenant: Tenant, owner: Connection, count: int) -> None:
    """So many people leave, and the worker has settled it."""
    for message in await leave(tenant, owner, count):
        await settle(tenant, message)


async def check(tenant: Tenant) -> None:
    async with tenant.work() as work:
        await mass_changes.check(work)


async def alerts(tenant: Tenant) -> list[dict[str, object]]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/alerts")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_up_to_the_threshold(callers: Callers, owner: Connection) -> None:
    """As many departures as the threshold says are no alert."""
    tenant = await a_tenant(callers, mass_change_threshold=3)
    await left(tenant, owner, 3)
    assert await alerts(tenant) == []
    await check(tenant)


async def test_beyond_the_threshold(callers: Callers, owner: Connection) -> None:
    """One more raises an alert, once however many follow; all of them are obeyed, and what can't be undone waits."""
    tenant = await a_tenant(callers, mass_change_threshold=3)
    await left(tenant, owner, 6)
    (alert,) = await alerts(tenant)
    assert (alert["count"], alert["threshold"], alert["departures"]) == (4, 3, 6)
    assert (alert["released_at"], alert["released_by"]) == (None, None)
    with pytest.raises(MassChangeUnderWay, match="release"):
        await check(tenant)
    entries = await tenant.audit(action="tenant.mass_change")
    assert [(entry["target"], entry["payload"]["departures"]) for entry in entries] == [(alert["id"], 4)]
    assert (
        await owner.fetchval(
            "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND topic = 'tenant.mass_change'", UUID(tenant.id)
        )
        == 1
    )


async def test_noticed_at_the_same_moment(callers: Callers, owner: Connection) -> None:
    """Workers that settle departures at the same moment raise one alert."""
    tenant = await a_tenant(callers, mass_change_threshold=2)
    messages = await leave(tenant, owner, 8)
    await asyncio.gather(*(settle(tenant, message) for message in messages))
    assert len(await alerts(tenant)) == 1
    assert len(await tenant.audit(action="tenant.mass_change")) == 1


async def test_before_the_worker_has_noticed(callers: Callers, owner: Connection) -> None:
    """What can't be undone waits from the departures' commits on, also while the worker is behind."""
    tenant = await a_tenant(callers, mass_change_threshold=2)
    await leave(tenant, owner, 2)
    await check(tenant)
    await leave(tenant, owner, 1)
    assert await alerts(tenant) == []
    with pytest.raises(MassChangeUnderWay):
        await check(tenant)


async def test_release(callers: Callers, owner: Connection) -> None:
    """Released, what can't be undone goes on and counting begins anew; the next wave is the next alert."""
    tenant = await a_tenant(callers, mass_change_threshold=2)
    await left(tenant, owner, 4)
    (alert,) = await alerts(tenant)
    address = f"{tenant.v1}/alerts/{alert['id']}/release"
    released, again = await callers.operator.post(address), await callers.operator.post(address)
    assert (released.status_code, released.json()["released_by"]) == (200, "ops under test")
    assert again.json() == released.json()
    assert len(await tenant.audit(action="tenant.mass_change_released")) == 1
    await check(tenant)
    await left(tenant, owner, 2)
    await check(tenant)
    assert len(await alerts(tenant)) == 1
    await left(tenant, owner, 1)
    newest, oldest = await alerts(tenant)
    assert (newest["released_at"], newest["departures"]) == (None, 3)
    assert (oldest["id"], oldest["departures"]) == (alert["id"], 4)
    with pytest.raises(MassChangeUnderWay):
        await check(tenant)


async def test_spread_over_time(callers: Callers, owner: Connection) -> None:
    """Departures more than an hour ago do not count."""
    tenant = await a_tenant(callers, mass_change_threshold=2)
    await left(tenant, owner, 2)
    for table, column in (("receipts", "closed_at"), ("accounts", "deactivated_at")):
        await owner.execute(
            f"UPDATE {table} SET {column} = {column} - interval '61 minutes' WHERE tenant_id = $1", UUID(tenant.id)
        )
    await left(tenant, owner, 2)
    assert await alerts(tenant) == []
    await check(tenant)


async def test_the_threshold_is_the_tenants(callers: Callers, owner: Connection) -> None:
    """Ops set it for each tenant; it can't be nought and can't be taken away, and 100 is what a new tenant has."""
    tenant = await a_tenant(callers)
    assert (await callers.operator.get(tenant.v1)).json()["mass_change_threshold"] == 100
    changed = await callers.operator.patch(tenant.v1, json={"mass_change_threshold": 1})
    assert (changed.status_code, changed.json()["mass_change_threshold"]) == (200, 1)
    for wrong in (0, -1, None, "many"):
        refused = await callers.operator.patch(tenant.v1, json={"mass_change_threshold": wrong})
        assert refused.status_code == 400, wrong
        assert "mass_change_threshold" in refused.json()["detail"]
    await left(tenant, owner, 2)
    assert len(await alerts(tenant)) == 1


async def test_whose_alerts(callers: Callers, owner: Connection) -> None:
    """A tenant's admin releases their own, never another's; the product reads none; ops see all that wait."""
    tenant, other = [await a_tenant(callers, mass_change_threshold=1) for _ in range(2)]
    await left(tenant, owner, 2)
    (alert,) = await alerts(tenant)
    admins = [
        callers.bearer((await each.issue_token(owner=each.admin["id"], scopes=["admin"]))["token"])
        for each in (tenant, other)
    ]
    address = f"alerts/{alert['id']}/release"
    assert (await admins[1].post(f"{other.v1}/{address}")).status_code == 404
    assert (await admins[1].post(f"{tenant.v1}/{address}")).status_code == 404
    assert (await admins[0].post(f"{tenant.v1}/alerts/{uuid4()}/release")).status_code == 404
    assert (await callers.product.get(f"{tenant.v1}/alerts")).status_code == 403
    assert (await callers.product.get("/v1/alerts")).status_code == 403
    assert (await admins[0].get("/v1/alerts")).status_code == 403
    everywhere = (await callers.operator.get("/v1/alerts")).json()["data"]
    assert (tenant.slug, alert["id"]) in [(each["tenant"], each["id"]) for each in everywhere]
    assert (await admins[0].post(f"{tenant.v1}/{address}")).status_code == 200
    assert alert["id"] not in [each["id"] for each in (await callers.operator.get("/v1/alerts")).json()["data"]]


async def test_commands(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Ops list what waits in all tenants, and release it."""
    tenant = await a_tenant(callers, mass_change_threshold=1)
    await left(tenant, owner, 2)
    (alert,) = await alerts(tenant)
    shell = Shell(settings)

    async def rollcall(*words: str) -> str:
        return (await shell("alerts", *words)).well

    everywhere, own = await asyncio.gather(rollcall("list"), rollcall("list", tenant.slug))
    assert str(alert["id"]) in everywhere
    assert tenant.slug in everywhere
    assert "2 people left within an hour; more than 1 are an alert." in own
    assert await rollcall("release", tenant.slug, str(alert["id"])) == "Released; 2 people had left.\n"
    await check(tenant)
