"""A tenant that loses SCIM: what only takes away still passes, and nothing is given."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from api.expect import refused
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op


async def lapse(tenant: Tenant) -> None:
    """Put the tenant on a plan without SCIM."""
    answer = await tenant.callers.operator.patch(tenant.v1, json={"plan": "free"})
    assert answer.status_code == 200, answer.text


async def come_back(tenant: Tenant) -> None:
    answer = await tenant.callers.operator.patch(tenant.v1, json={"plan": "business"})
    assert answer.status_code == 200, answer.text


async def shown(tenant: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    answer = await tenant.scim.get(f"/Users/{person['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def said(answer: httpx.Response) -> str:
    """The detail of a refusal for the plan's sake, which says plan, date and remedy."""
    detail = refused(answer, 403)["detail"]
    assert "The plan Free does not include SCIM since 20" in detail
    assert "the plans that do: " in detail
    assert "Ask the vendor to change the plan; the token stays as it is." in detail
    return detail


async def test_a_leaver_is_cut_off(callers: Callers) -> None:
    """Somebody who leaves after the plan has lost SCIM is cut off at once, as ever, by PATCH, PUT and DELETE."""
    acme = await a_tenant(callers)
    people = [await acme.person() for _ in range(4)]
    sessions = [await acme.session(person) for person in people]
    await lapse(acme)
    first, second, third, fourth = people
    answer = await acme.scim.patch(f"/Users/{first['id']}", json=deactivation())
    assert (answer.status_code, answer.json()["active"]) == (200, False), answer.text
    body = {"schemas": [USER], "userName": second["userName"], "active": False}
    answer = await acme.scim.put(f"/Users/{second['id']}", json=body)
    assert (answer.status_code, answer.json()["active"]) == (200, False), answer.text
    assert (await acme.scim.delete(f"/Users/{third['id']}")).status_code == 204
    assert [await callers.is_live(session) for session in sessions] == [False, False, False, True]
    again = await acme.scim.patch(f"/Users/{first['id']}", json=deactivation())
    assert again.status_code == 200, "repeating it is harmless"
    assert (await shown(acme, fourth))["active"] is True


async def test_reads_and_discovery_pass(callers: Callers) -> None:
    """What changes nothing passes: lists, look-ups, searches, one person, discovery."""
    acme = await a_tenant(callers)
    person = await acme.person()
    await lapse(acme)
    assert (await acme.scim.get("/Users")).json()["totalResults"] == 2
    assert (await shown(acme, person))["userName"] == person["userName"]
    for address in ("/Groups", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Me"):
        assert (await acme.scim.get(address)).status_code == 200, address
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'active eq "true"'}
    assert (await acme.scim.post("/Users/.search", json=search)).status_code == 200


Gift = Callable[[Tenant, dict[str, Any]], Awaitable[httpx.Response]]


async def created(acme: Tenant, _person: dict[str, Any]) -> httpx.Response:
    return await acme.scim.post("/Users", json={"schemas": [USER], "userName": "joiner@gifts.test"})


async def renamed(acme: Tenant, person: dict[str, Any]) -> httpx.Response:
    operation = {"op": "replace", "path": "displayName", "value": "Other"}
    return await acme.scim.patch(f"/Users/{person['id']}", json=patch_op(operation))


async def mailed(acme: Tenant, person: dict[str, Any]) -> httpx.Response:
    body = {"schemas": [USER], "userName": person["userName"], "emails": [{"value": "new@gifts.test"}]}
    return await acme.scim.put(f"/Users/{person['id']}", json=body)


async def promoted(acme: Tenant, person: dict[str, Any]) -> httpx.Response:
    operation = {"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]}
    return await acme.scim.patch(f"/Users/{person['id']}", json=patch_op(operation))


@pytest.mark.parametrize("gift", [created, renamed, mailed, promoted])
async def test_nothing_is_given(callers: Callers, gift: Gift) -> None:
    """Whoever would get something gets nothing; with the plan back, the same call with the same token passes."""
    acme = await a_tenant(callers)
    person = await acme.person()
    await lapse(acme)
    said(await gift(acme, person))
    said(await gift(acme, person))
    assert await shown(acme, person) == person
    await come_back(acme)
    assert (await gift(acme, person)).is_success


async def test_nobody_is_let_in_again(callers: Callers) -> None:
    """Whoever is out stays out, though the provider says otherwise."""
    acme = await a_tenant(callers)
    person = await acme.person(active=False)
    await lapse(acme)
    body = patch_op({"op": "replace", "path": "active", "value": True})
    assert "Not done: active." in said(await acme.scim.patch(f"/Users/{person['id']}", json=body))
    assert (await shown(acme, person))["active"] is False


async def test_a_mixed_patch(callers: Callers) -> None:
    """Of a PATCH that gives and takes the departure is done, and the answer says what was and what was not."""
    acme = await a_tenant(callers)
    person = await acme.person(displayName="Before")
    session = await acme.session(person)
    await lapse(acme)
    body = patch_op(
        {"op": "replace", "path": "displayName", "value": "After"}, {"op": "replace", "path": "active", "value": False}
    )
    detail = said(await acme.scim.patch(f"/Users/{person['id']}", json=body))
    assert "Done: the person was deactivated. Not done: displayName." in detail
    now = await shown(acme, person)
    assert (now["active"], now["displayName"]) == (False, "Before")
    assert not await callers.is_live(session)
    entry = (await acme.audit(action="scim.users.patch"))[0]
    assert (entry["outcome"], entry["status"]) == ("done", 403)
    assert "left out: displayName" in entry["detail"]
    assert "Not done: displayName." in said(await acme.scim.patch(f"/Users/{person['id']}", json=body))


async def test_a_put_is_compared(callers: Callers) -> None:
    """A PUT that says what is stored is answered with it; one that differs is told in what."""
    acme = await a_tenant(callers)
    person = await acme.person(displayName="Maria")
    await lapse(acme)
    body = {"schemas": [USER], "userName": person["userName"], "displayName": "Maria", "active": True}
    answer = await acme.scim.put(f"/Users/{person['id']}", json=body)
    assert (answer.status_code, answer.json()) == (200, person)
    body |= {"displayName": "Marie", "title": "Dr"}
    assert "Not done: displayName, title." in said(await acme.scim.put(f"/Users/{person['id']}", json=body))


async def test_one_who_was_let_in_before(callers: Callers) -> None:
    """A process that remembers its caller from before the lapse gives nothing either, and takes away as ever."""
    acme = await a_tenant(callers)
    person = await acme.person()
    assert (await renamed(acme, person)).status_code == 200
    before = await shown(acme, person)
    await lapse(acme)
    body = patch_op({"op": "replace", "path": "displayName", "value": "Third"})
    said(await acme.scim.patch(f"/Users/{person['id']}", json=body))
    assert await shown(acme, person) == before


async def test_one_that_never_had_it(callers: Callers) -> None:
    """A tenant that never had SCIM is refused whatever it asks for."""
    acme = await a_tenant(callers, plan="free")
    for answer in (
        await acme.scim.get("/Users"),
        await acme.scim.patch(f"/Users/{acme.admin['id']}", json=deactivation()),
        await acme.scim.delete(f"/Users/{acme.admin['id']}"),
    ):
        detail = refused(answer, 403)["detail"]
        assert "The plan Free does not include SCIM; the plans that do: " in detail


GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def a_group(acme: Tenant, name: str, *people: dict[str, Any]) -> dict[str, Any]:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": person["id"]} for person in people]}
    answer = await acme.scim.post("/Groups", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def members(acme: Tenant, group: dict[str, Any]) -> set[str]:
    answer = await acme.scim.get(f"/Groups/{group['id']}")
    assert answer.status_code == 200, answer.text
    return {member["value"] for member in answer.json().get("members", [])}


async def role(acme: Tenant, person: dict[str, Any]) -> str:
    answer = await acme.callers.operator.get(f"{acme.v1}/people/{person['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()["role"]


NAMES = pytest.mark.parametrize("name", ["Sales", "dart-guests"])
"""A group that makes nobody's role, and one that does."""


@NAMES
async def test_members_are_taken_out(callers: Callers, name: str) -> None:
    """Members are taken out one by one and all together, with the role that they had by it; then the group goes."""
    acme = await a_tenant(callers)
    first, second, third = [await acme.person() for _ in range(3)]
    group = await a_group(acme, name, first, second, third)
    await lapse(acme)
    address = f"/Groups/{group['id']}"
    one = patch_op({"op": "remove", "path": f'members[value eq "{first["id"]}"]'})
    for _ in range(2):
        answer = await acme.scim.patch(address, json=one)
        assert answer.status_code == 200, answer.text
    assert await members(acme, group) == {second["id"], third["id"]}
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": second["id"]}]}
    assert (await acme.scim.put(address, json=body)).status_code == 200
    assert await members(acme, group) == {second["id"]}
    assert await role(acme, third) == "member"
    assert (await acme.scim.delete(address)).status_code == 204
    assert await role(acme, second) == "member"


@NAMES
async def test_nobody_is_put_in(callers: Callers, name: str) -> None:
    """Nobody is put into a group, no group is made or renamed; repeating what is stored is no gift."""
    acme = await a_tenant(callers)
    inside, outside = await acme.person(), await acme.person()
    group = await a_group(acme, name, inside)
    await lapse(acme)
    address = f"/Groups/{group['id']}"
    add = patch_op({"op": "add", "path": "members", "value": [{"value": outside["id"]}, {"value": inside["id"]}]})
    assert "Not done: members." in said(await acme.scim.patch(address, json=add))
    rename = patch_op({"op": "replace", "path": "displayName", "value": "dart-admins"})
    assert "Not done: displayName." in said(await acme.scim.patch(address, json=rename))
    said(await acme.scim.post("/Groups", json={"schemas": [GROUP], "displayName": "Another"}))
    same = {"schemas": [GROUP], "displayName": name, "members": [{"value": inside["id"]}]}
    assert (await acme.scim.put(address, json=same)).status_code == 200
    repeated = patch_op({"op": "add", "path": "members", "value": [{"value": inside["id"]}]})
    assert (await acme.scim.patch(address, json=repeated)).status_code == 200
    assert await members(acme, group) == {inside["id"]}
    assert await role(acme, outside) == "member"
    refusals = await acme.audit(action="scim.groups.patch", outcome="refused")
    assert [entry["status"] for entry in refusals] == [403, 403]


@NAMES
async def test_a_mixed_change_of_a_group(callers: Callers, name: str) -> None:
    """Of a change that puts in and takes out, who is to be out is out, and the answer says what was not done."""
    acme = await a_tenant(callers)
    inside, outside, third = await acme.person(), await acme.person(), await acme.person()
    group = await a_group(acme, name, inside, third)
    await lapse(acme)
    body = {
        "schemas": [GROUP],
        "displayName": f"{name}s",
        "externalId": "g1",
        "members": [{"value": outside["id"]}, {"value": third["id"]}],
    }
    detail = said(await acme.scim.put(f"/Groups/{group['id']}", json=body))
    assert "Done: members were taken out. Not done: displayName, externalId, members." in detail
    assert await members(acme, group) == {third["id"]}
    assert await role(acme, inside) == "member"
    entry = (await acme.audit(action="scim.groups.replace"))[0]
    assert (entry["outcome"], entry["status"]) == ("done", 403)
    assert entry["detail"] == "left out: displayName, externalId, members"
    assert "Done: " not in said(await acme.scim.put(f"/Groups/{group['id']}", json=body)), "nothing is left to take"
    both = patch_op(
        {"op": "remove", "path": "members"},
        {"op": "add", "path": "members", "value": [{"value": third["id"]}, {"value": outside["id"]}]},
    )
    said(await acme.scim.patch(f"/Groups/{group['id']}", json=both))
    assert await members(acme, group) == {third["id"]}, "whoever is taken out and put in again by one call stays"


async def test_a_bulk_is_split(callers: Callers) -> None:
    """Each operation of a Bulk is judged by itself: what takes away is done, the rest is 403."""
    acme = await a_tenant(callers)
    leaver, stayer = await acme.person(), await acme.person()
    group = await a_group(acme, "Sales", leaver, stayer)
    await lapse(acme)
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": "1",
            "data": {"schemas": [USER], "userName": "joiner@bulk.test"},
        },
        {"method": "PATCH", "path": f"/Users/{leaver['id']}", "data": deactivation()},
        {
            "method": "PATCH",
            "path": f"/Users/{stayer['id']}",
            "data": patch_op({"op": "replace", "path": "title", "value": "Dr"}),
        },
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": patch_op({"op": "remove", "path": "members"})},
        {"method": "DELETE", "path": f"/Users/{leaver['id']}"},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    answer = await acme.scim.post("/Bulk", json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["Operations"]
    assert [result["status"] for result in results] == ["403", "200", "403", "200", "204"]
    assert "does not include SCIM since" in results[0]["response"]["detail"]
    assert "Not done: title." in results[2]["response"]["detail"]
    assert (await acme.scim.get(f"/Users/{leaver['id']}")).status_code == 404
    assert await members(acme, group) == set()


async def set_dates(tenant: Tenant, **dates: Any) -> dict[str, Any]:
    answer = await tenant.callers.operator.patch(f"{tenant.v1}/lapse", json=dates)
    assert answer.status_code == 200, answer.text
    return answer.json()["lapse"]


async def test_the_dates_decide(callers: Callers) -> None:
    """Grace, offboarding only, and closed are what the clock makes of the dates, which ops may set."""
    acme = await a_tenant(callers)
    person = await acme.person()
    body = patch_op({"op": "add", "path": "title", "value": "Dr"})
    await lapse(acme)
    assert (await set_dates(acme, offboarding_from="2099-01-01T00:00:00Z"))["state"] == "grace"
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=body)).status_code == 200
    assert (await set_dates(acme, offboarding_from="2026-01-01T00:00:00Z"))["state"] == "offboarding_only"
    again = patch_op({"op": "add", "path": "title", "value": "Prof"})
    said(await acme.scim.patch(f"/Users/{person['id']}", json=again))
    shown_dates = await set_dates(acme, closes_at="2026-02-01T00:00:00Z")
    assert (shown_dates["state"], shown_dates["closes_at"]) == ("closed", "2026-02-01T00:00:00Z")
    detail = refused(await acme.scim.patch(f"/Users/{person['id']}", json=deactivation()), 403)["detail"]
    assert "since 2026-02-01 nothing passes any more" in detail
    assert (await set_dates(acme, closes_at=None))["state"] == "offboarding_only"
    closed = await callers.operator.post(f"{acme.v1}/lapse/close")
    assert closed.json()["lapse"]["state"] == "closed"
    await come_back(acme)
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=again)).status_code == 200
    topics = [entry["action"] for entry in await acme.audit(action="tenant")]
    assert topics[:2] == ["tenant.lapse_ended", "tenant.plan_changed"]
    assert topics.count("tenant.lapse_changed") == 5
    assert "tenant.lapsed" in topics
