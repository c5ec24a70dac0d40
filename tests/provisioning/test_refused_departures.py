"""Who leaves while their tenant is suspended is refused then, and taken out in the moment in which it is resumed."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.expect import refused
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection
from rollcall.directory import refused_departures
from rollcall.proof import receipts
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

KEPT = "Whoever leaves by this call is taken out as that is done."
LISTED = "SELECT account_id FROM refused_departures WHERE tenant_id = $1 ORDER BY account_id"


async def suspend(tenant: Tenant) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/suspend")
    assert answer.status_code == 200, answer.text


async def resume(tenant: Tenant) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/resume", headers={"X-Request-Id": "the-resuming"})
    assert (answer.status_code, answer.json()["status"]) == (200, "active"), answer.text


async def listed(owner: Connection, tenant: Tenant) -> list[str]:
    return [str(row["account_id"]) for row in await owner.fetch(LISTED, UUID(tenant.id))]


async def is_active(tenant: Tenant, person: dict[str, Any]) -> bool:
    answer = await tenant.scim.get(f"/Users/{person['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()["active"]


async def test_leavers_are_taken_out(callers: Callers, owner: Connection) -> None:
    """By PATCH, PUT or DELETE refused meanwhile: from the resuming on they are out, with audit, receipt and event."""
    acme = await a_tenant(callers)
    people = [await acme.person() for _ in range(4)]
    sessions = [await acme.session(person) for person in people]
    await suspend(acme)
    first, second, third, _ = people
    for answer in (
        await acme.scim.patch(f"/Users/{first['id']}", json=deactivation(), headers={"X-Request-Id": "leaving-1"}),
        await acme.scim.put(
            f"/Users/{second['id']}", json={"schemas": [USER], "userName": second["userName"], "active": "False"}
        ),
        await acme.scim.delete(f"/Users/{third['id']}"),
        await acme.scim.delete(f"/Users/{third['id']}"),
    ):
        assert KEPT in refused(answer, 403)["detail"]
    assert len(await listed(owner, acme)) == 3

    await resume(acme)

    assert [await callers.is_live(session) for session in sessions] == [False, False, False, True]
    assert [await is_active(acme, person) for person in people] == [False, False, False, True]
    assert await listed(owner, acme) == []
    entries = await acme.audit(action="user.deactivated", request_id="the-resuming")
    assert len(entries) == 3
    assert {entry["actor_kind"] for entry in entries} == {"operator"}
    messages = await owner.fetch(
        "SELECT id, payload::text FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'", UUID(acme.id)
    )
    assert len(messages) == 3
    assert [row for row in messages if "request leaving-1" in row["payload"] and "was suspended" in row["payload"]]
    async with acme.work() as work:
        assert len(await receipts.settle(work, *(row["id"] for row in messages))) == 3
    await resume(acme)
    assert len(await acme.audit(action="user.deactivated")) == 3, "doing it twice is the same as doing it once"


async def test_the_provider_has_the_last_word(callers: Callers, owner: Connection) -> None:
    """Somebody of whom it says meanwhile that they are active is left in; and it lets in whoever was taken out."""
    acme = await a_tenant(callers)
    maria, noor = await acme.person(), await acme.person()
    await suspend(acme)
    for person in (maria, noor):
        await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    back = patch_op({"op": "replace", "value": {"active": True}})
    assert KEPT not in refused(await acme.scim.patch(f"/Users/{noor['id']}", json=back), 403)["detail"]
    renamed = patch_op({"op": "replace", "path": "displayName", "value": "Maria"})
    refused(await acme.scim.patch(f"/Users/{maria['id']}", json=renamed), 403)
    await resume(acme)
    assert (await is_active(acme, maria), await is_active(acme, noor)) == (False, True)
    assert (await acme.scim.patch(f"/Users/{maria['id']}", json=back)).json()["active"] is True


async def test_bulk(callers: Callers, owner: Connection) -> None:
    """The departures of a Bulk are kept like calls of their own; the last word on a person counts."""
    acme = await a_tenant(callers)
    people = [await acme.person() for _ in range(3)]
    await suspend(acme)
    back = patch_op({"op": "replace", "path": "active", "value": True})
    operations = [
        {"method": "DELETE", "path": f"/Users/{people[0]['id']}"},
        {"method": "PATCH", "path": f"/Users/{people[1]['id']}", "data": deactivation()},
        {"method": "PATCH", "path": f"/Users/{people[2]['id']}", "data": deactivation()},
        {"method": "PATCH", "path": f"/Users/{people[2]['id']}", "data": back},
        {"method": "POST", "path": "/Users", "bulkId": "new", "data": {"schemas": [USER], "userName": "new@bulk.test"}},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    assert KEPT in refused(await acme.scim.post("/Bulk", json=body), 403)["detail"]
    await resume(acme)
    assert [await is_active(acme, person) for person in people] == [False, False, True]


async def test_who_may_not_is_not_heard(callers: Callers, owner: Connection) -> None:
    """A token that would not be let in anyway, by scope, plan or end, keeps nothing; nor does another tenant's."""
    acme, other = await a_tenant(callers), await a_tenant(callers)
    person = await acme.person()
    reader = await acme.issue_token(scopes=["scim:read"])
    ended = await acme.issue_token()
    assert (await callers.operator.post(f"{acme.v1}/tokens/{ended['id']}/revoke")).status_code == 200
    await suspend(acme)
    await suspend(other)
    for token in (reader["token"], ended["token"], other.token["token"]):
        answer = await callers.bearer(token, path="/scim/v2").delete(f"/Users/{person['id']}")
        assert answer.status_code in (401, 403)
        assert KEPT not in answer.text
    await callers.operator.patch(acme.v1, json={"plan": "free"})
    await callers.operator.post(f"{acme.v1}/lapse/close")
    assert KEPT not in (await acme.scim.delete(f"/Users/{person['id']}")).text
    assert await listed(owner, acme) == []


async def test_nobody_is_written_down_who_is_not_there(callers: Callers, owner: Connection) -> None:
    """Neither strangers, nor who is out already, nor a body that can't be read leave a row."""
    acme = await a_tenant(callers)
    out = await acme.person(active=False)
    await suspend(acme)
    answers = [
        await acme.scim.patch(f"/Users/{out['id']}", json=deactivation()),
        await acme.scim.delete("/Users/01980000-0000-7000-8000-000000000000"),
        await acme.scim.delete("/Users/nobody"),
        await acme.scim.patch(
            f"/Users/{acme.admin['id']}", content=b"{", headers={"Content-Type": "application/scim+json"}
        ),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert await listed(owner, acme) == []


async def test_let_in_by_hand_meanwhile(callers: Callers) -> None:
    """Whoever was deactivated and reactivated by hand after the refused departure stays in."""
    acme = await a_tenant(callers)
    person = await acme.person()
    await suspend(acme)
    await acme.scim.delete(f"/Users/{person['id']}")
    people = f"{acme.v1}/people/{person['id']}"
    for verb in ("deactivate", "reactivate"):
        assert (await callers.operator.post(f"{people}/{verb}")).status_code == 200
    await resume(acme)
    assert await is_active(acme, person)


async def test_one_that_is_remembered(callers: Callers, owner: Connection) -> None:
    """A process that remembers its caller from before the suspension keeps the departure too."""
    acme = await a_tenant(callers)
    first, second = await acme.person(), await acme.person()
    assert (await acme.scim.patch(f"/Users/{first['id']}", json=deactivation())).status_code == 200
    await suspend(acme)
    assert KEPT in refused(await acme.scim.patch(f"/Users/{second['id']}", json=deactivation()), 403)["detail"]
    assert len(await listed(owner, acme)) == 1


async def test_resumed_at_that_moment(acme: Tenant, owner: Connection, rival: Connection) -> None:
    """A departure that is being kept as the tenant is resumed is not lost: it waits, and is judged anew."""
    person = await acme.person()
    await suspend(acme)
    async with rival.transaction():
        await rival.execute("UPDATE tenants SET status = 'active' WHERE id = $1", UUID(acme.id))
        call = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=deactivation()))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%keep_refused%'"
        while not await owner.fetchval(waits) and not call.done():
            await asyncio.sleep(0.01)
    answer = await call
    assert answer.status_code in (200, 503), answer.text
    if answer.status_code == 200:
        assert answer.json()["active"] is False
    assert await listed(owner, acme) == []


async def test_a_crash_loses_nothing(callers: Callers, owner: Connection) -> None:
    """What falls over before the resuming is committed leaves the tenant suspended and the list as it was."""
    acme = await a_tenant(callers)
    person = await acme.person()
    await suspend(acme)
    await acme.scim.delete(f"/Users/{person['id']}")

    class Crashed(Exception):
        pass

    with pytest.raises(Crashed):
        async with open_fleet(callers.database, SYSTEM, RequestOrigin(request_id="crash")) as fleet:
            assert await refused_departures.resume(fleet, await tenants.find(fleet, acme.slug)) == 1
            raise Crashed
    assert (await callers.operator.get(acme.v1)).json()["status"] == "suspended"
    assert len(await listed(owner, acme)) == 1
    await resume(acme)
    assert not await is_active(acme, person)


async def test_over_the_limit(callers: Callers, owner: Connection) -> None:
    """Whoever is over the rate limit is told to come again, as a departure that is not read could be lost."""
    acme = await a_tenant(callers)
    people = [await acme.person() for _ in range(2)]
    await callers.operator.patch(acme.v1, json={"rate_per_second": 25, "rate_burst": 1})
    await suspend(acme)
    for person in people:
        while (answer := await acme.scim.delete(f"/Users/{person['id']}")).status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(0.1)  # longer than a permit takes
        assert KEPT in refused(answer, 403)["detail"]
    assert len(await listed(owner, acme)) == 2


async def test_many(callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, all of them are out by the resuming."""
    monkeypatch.setattr(refused_departures, "AT_ONCE", 2)
    acme = await a_tenant(callers)
    people = [await acme.person() for _ in range(5)]
    await suspend(acme)
    for person in people:
        await acme.scim.delete(f"/Users/{person['id']}")
    await resume(acme)
    assert [await is_active(acme, person) for person in people] == [False] * 5
    assert len(await acme.audit(action="user.deactivated")) == 5
