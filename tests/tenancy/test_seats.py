"""Seats: counted as people come and go, the last one taken once, and nobody cut off for want of one."""

import asyncio
from itertools import count
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from factories import ORIGIN, USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection, Database
from rollcall.functions import qualified
from rollcall.tenancy import plans, seats
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.seats import SeatPolicy
from rollcall.work import SYSTEM, open_fleet
from rows import until_waiting

_NUMBERS = count(1)


async def plan_with(database: Database, number: int | None, policy: SeatPolicy = "refuse", key: str = "") -> str:
    """Define a plan with so many seats."""
    key = key or f"seated-{next(_NUMBERS)}"
    terms = PlanTerms(name=f"Plan {key}", features=("scim",), seats=number, seat_policy=policy, rate_per_second=0)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, key, terms)
    return key


async def create(tenant: Tenant, user_name: str, **attributes: Any) -> httpx.Response:
    return await tenant.scim.post("/Users", json={"schemas": [USER], "userName": user_name, **attributes})


async def used(tenant: Tenant) -> int:
    async with tenant.work() as work:
        found = await seats.own(work)
    return found.used


async def active_rows(owner: Connection, tenant: Tenant) -> tuple[int, int]:
    """How many people, and how many accounts, are active, counted anew."""
    asked = "SELECT count(*) FROM {} WHERE tenant_id = $1::uuid AND active"
    return (
        await owner.fetchval(asked.format("users"), tenant.id),
        await owner.fetchval(asked.format("accounts"), tenant.id),
    )


async def test_counted_through_every_door(callers: Callers, owner: Connection) -> None:
    """Whoever comes, goes, returns or is removed, by whichever door, the count is what is stored."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person(externalId="n-1")
    await tenant.person(active=False)
    assert await used(tenant) == 3  # ada, maria, noor
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert await used(tenant) == 2
    put = {"schemas": [USER], "userName": maria["userName"], "active": True}
    assert (await tenant.scim.put(f"/Users/{maria['id']}", json=put)).status_code == 200
    assert await used(tenant) == 3
    assert (await tenant.scim.delete(f"/Users/{noor['id']}")).status_code == 204
    assert await used(tenant) == 2
    await tenant.person(externalId="n-1")  # takes the former account up again
    assert await used(tenant) == 3
    address = f"{tenant.v1}/people/{maria['id']}"
    for act, after in (("deactivate", 2), ("reactivate", 3), ("deactivate", 2)):
        assert (await callers.operator.post(f"{address}/{act}", json={})).status_code == 200
        assert await used(tenant) == after
    assert await active_rows(owner, tenant) == (2, 2)


async def test_refused_and_let_in_again(callers: Callers, database: Database) -> None:
    """With no seat left a newcomer is refused in words an admin understands; who leaves makes room at once."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 2))
    maria = await tenant.person()
    refused = await create(tenant, "late")
    assert refused.status_code == 403
    detail = refused.json()["detail"]
    for said in ("Plan seated-", "2 seats", "2 people are active", "Deactivate somebody", "more seats"):
        assert said in detail
    assert (await tenant.scim.get("/Users", params={"filter": 'userName eq "late"'})).json()["totalResults"] == 0
    assert (await create(tenant, "dormant", active=False)).status_code == 201
    entry = (await tenant.audit(outcome="refused"))[0]
    assert (entry["status"], detail.startswith(entry["detail"])) == (403, True)
    assert (await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())).status_code in (200, 204)
    assert (await create(tenant, "late")).status_code == 201


@pytest.mark.parametrize("method", ["put", "patch", "bulk", "v1"])
async def test_reactivation_takes_a_seat(callers: Callers, database: Database, method: str) -> None:
    """Whoever is let in again takes a seat; where none is left nothing of the change is made."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 2))
    away = (await create(tenant, "away", active=False)).json()
    await tenant.person()
    path, whole = f"/Users/{away['id']}", {"schemas": [USER], "userName": "renamed", "active": True}
    change = patch_op({"op": "replace", "path": "active", "value": True}, {"op": "add", "path": "title", "value": "x"})
    match method:
        case "put":
            answer = await tenant.scim.put(path, json=whole)
        case "patch":
            answer = await tenant.scim.patch(path, json=change)
        case "v1":
            answer = await callers.operator.post(f"{tenant.v1}/people/{away['id']}/reactivate", json={})
            assert answer.json()["code"] == "seats_exhausted"
        case _:
            operation = {"method": "PATCH", "path": path, "data": change}
            bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}
            answer = await tenant.scim.post("/Bulk", json=bulk)
            assert answer.json()["Operations"][0]["status"] == "403"
    assert answer.status_code == (200 if method == "bulk" else 403)
    stored = (await tenant.scim.get(path)).json()
    assert (stored["active"], stored["userName"], "title" in stored) == (False, "away", False)


async def test_no_seat_by_hand(callers: Callers, database: Database) -> None:
    """By hand nobody is let in either, and the refusal has a code of its own."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 1))
    refused = await callers.operator.post(f"{tenant.v1}/people", json={"user_name": "late"})
    assert (refused.status_code, refused.json()["code"]) == (403, "seats_exhausted")


@pytest.mark.parametrize("left", [1, 3, 40, 70])
async def test_many_for_the_last_seats(callers: Callers, database: Database, owner: Connection, left: int) -> None:
    """Of many who come at the same moment as many are let in as there are seats, and no more."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 1 + left))
    answers = await asyncio.gather(*(create(tenant, f"p{number}") for number in range(left + 12)))
    statuses = sorted(answer.status_code for answer in answers)
    again = [number for number, answer in enumerate(answers) if answer.status_code == 503]  # too many at once: later
    while again:
        number = again.pop()
        answer = await create(tenant, f"p{number}")
        if answer.status_code == 503:
            again.append(number)
        statuses.append(answer.status_code)
    assert statuses.count(201) == left
    assert statuses.count(403) == 12
    assert await active_rows(owner, tenant) == (1 + left, 1 + left)


@pytest.mark.parametrize(
    ("number", "policy", "mode", "status"), [(1, "refuse", "", 403), (1, "overage", "_shared", 201)]
)
async def test_nobody_waits(
    callers: Callers, database: Database, owner: Connection, number: int, policy: SeatPolicy, mode: str, status: int
) -> None:
    """While somebody else has the tenant's turn, whoever finds no seat is refused; by overage newcomers share it."""
    tenant = await a_tenant(callers, plan=await plan_with(database, number, policy))
    async with owner.transaction(), asyncio.timeout(60):
        turn = f"SELECT pg_advisory_xact_lock{mode}(hashtextextended('seats ' || $1, 0))"
        await owner.execute(turn, tenant.id)
        assert (await create(tenant, "late")).status_code == status


async def test_who_waited_goes_by_the_plan_as_it_is(callers: Callers, database: Database, owner: Connection) -> None:
    """Whoever waited while the tenant was put on a plan that refuses is refused, though it let everybody in before."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 1, "overage"))
    refusing = await plan_with(database, 1)
    async with owner.transaction(), asyncio.timeout(60):
        await owner.execute("SELECT pg_advisory_xact_lock(hashtextextended('seats ' || $1, 0))", tenant.id)
        late = asyncio.create_task(create(tenant, "late"))
        await until_waiting(owner, late)
        await owner.execute("UPDATE tenants SET plan = $2 WHERE id = $1::uuid", tenant.id, refusing)
    assert (await late).status_code == 403


async def test_who_counted_early_ends_nothing(callers: Callers, database: Database, owner: Connection) -> None:
    """A newcomer who counted before others came neither ends that a tenant is over its seats nor announces it."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 2, "overage"))
    for _ in range(3):
        await tenant.person()
    async with tenant.work() as work:
        said = text(qualified("SELECT fn.mark_seats(:tenant, 2, 2, 'early', true)"))
        assert await work.db.scalar(said, {"tenant": tenant.id}) == []
    over = "SELECT over_since IS NOT NULL FROM seat_marks WHERE tenant_id = $1::uuid"
    assert await owner.fetchval(over, tenant.id)


async def test_overage_is_announced_once(callers: Callers, database: Database, owner: Connection) -> None:
    """By the policy overage newcomers are let in; it is announced once, and once that it is over."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 2, "overage"))
    people = [await tenant.person() for _ in range(3)]
    asked = (
        "SELECT topic, payload::text FROM outbox WHERE tenant_id = $1::uuid AND topic LIKE 'tenant.%_seats' ORDER BY id"
    )
    assert [row["topic"] for row in await owner.fetch(asked, tenant.id)] == ["tenant.over_seats"]
    for person in people[:2]:
        await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    for _ in range(2):
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            await seats.look(fleet)
    assert [row["topic"] for row in await owner.fetch(asked, tenant.id)] == ["tenant.over_seats", "tenant.within_seats"]
    noted = [event for entry in await tenant.audit() for event in entry["events"] if event.endswith("_seats")]
    assert noted == ["tenant.within_seats", "tenant.over_seats"]


async def test_downgrade_cuts_nobody_off(callers: Callers, database: Database) -> None:
    """With fewer seats than people nobody is cut off and nobody comes in; departures are never refused."""
    plan = await plan_with(database, 5)
    tenant = await a_tenant(callers, plan=plan)
    people = [await tenant.person() for _ in range(3)]
    session = await tenant.session(people[0])
    await plan_with(database, 2, key=plan)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await seats.look(fleet)
    assert await callers.is_live(session)
    assert (await create(tenant, "late")).status_code == 403
    async with tenant.work() as work:
        found = await seats.own(work)
    assert (found.used, found.allowed) == (4, 2)
    assert found.over_since is not None
    assert found.full_since is not None
    renamed = patch_op({"op": "replace", "path": "title", "value": "Lead"})
    assert (await tenant.scim.patch(f"/Users/{people[1]['id']}", json=renamed)).status_code in (200, 204)
    for person in people:
        assert (await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())).status_code in (200, 204)
    assert (await create(tenant, "late")).status_code == 201


async def test_shown(callers: Callers, database: Database, owner: Connection) -> None:
    """An admin and ops see what is used and allowed, and since when nothing is left; figures name no tenant."""
    tenant = await a_tenant(callers, plan=await plan_with(database, 2))
    before = (await callers.operator.get(f"{tenant.v1}/seats")).json()
    assert (before["used"], before["allowed"], before["policy"], before["full_since"]) == (1, 2, "refuse", None)
    maria = await tenant.person()
    full = (await callers.operator.get(f"{tenant.v1}/seats")).json()
    assert (full["used"], full["over_since"]) == (2, None)
    assert full["full_since"] is not None
    figures = (await callers.operator.get("/metrics")).text
    assert "rollcall_tenants_full " in figures
    assert tenant.slug not in figures
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    again = (await callers.operator.get(f"{tenant.v1}/seats")).json()
    assert (again["used"], again["full_since"]) == (1, None)


async def test_overage_from_before_ends(callers: Callers, database: Database, owner: Connection) -> None:
    """Who was over as seats began to count is in overage with an alert, and as everybody else once they fit."""
    plan = await plan_with(database, 5)
    tenant = await a_tenant(callers, plan=plan)
    people = [await tenant.person() for _ in range(2)]
    grace = '{"seat_policy": {"value": "overage", "reason": "r", "by": "rollcall", "until_within": true}}'
    await owner.execute("UPDATE tenants SET overrides = $2::jsonb WHERE id = $1::uuid", tenant.id, grace)
    await plan_with(database, 2, key=plan)
    assert (await create(tenant, "more")).status_code == 201
    for person in people:
        await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await seats.look(fleet)
    assert await owner.fetchval("SELECT overrides FROM tenants WHERE id = $1::uuid", tenant.id) is None
    assert (await create(tenant, "one-more")).status_code == 403
