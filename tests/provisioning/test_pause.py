"""A tenant that is paused: its provider comes again later, but for what reads or only takes away."""

from typing import Any

import httpx
import pytest

from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def pause(acme: Tenant, seconds: int = 600) -> None:
    answer = await acme.callers.operator.post(f"{acme.v1}/pause", json={"seconds": seconds})
    assert answer.status_code == 200, answer.text
    assert answer.json()["paused_until"] is not None


async def unpause(acme: Tenant) -> None:
    answer = await acme.callers.operator.post(f"{acme.v1}/unpause")
    assert (answer.status_code, answer.json()["paused_until"]) == (200, None)


def waits(answer: httpx.Response) -> str:
    """The detail of an answer that has the provider come again within the pause."""
    assert answer.status_code == 503, answer.text
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    detail = answer.json()["detail"]
    assert "it is paused" in detail
    return detail


async def test_gifts_wait(callers: Callers) -> None:
    """What gives is 503 with Retry-After until somebody ends the pause; then the same call passes."""
    acme = await a_tenant(callers)
    person = await acme.person()
    rename = patch_op({"op": "replace", "path": "title", "value": "Dr"})
    await pause(acme)
    waits(await acme.scim.post("/Users", json={"schemas": [USER], "userName": "joiner"}))
    waits(await acme.scim.post("/Groups", json={"schemas": [GROUP], "displayName": "Sales"}))
    assert "Not done: title." in waits(await acme.scim.patch(f"/Users/{person['id']}", json=rename))
    assert (await acme.scim.get(f"/Users/{person['id']}")).json() == person
    assert (await acme.scim.get("/Users")).json()["totalResults"] == 2
    await unpause(acme)
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=rename)).status_code == 200


async def test_it_ends_by_the_clock(callers: Callers, owner: Connection) -> None:
    """A pause ends at its time; nothing has to end it."""
    acme = await a_tenant(callers)
    await pause(acme)
    await owner.execute("UPDATE tenants SET paused_until = clock_timestamp() WHERE slug = $1", acme.slug)
    await acme.person()


async def test_leavers_do_not_wait(callers: Callers) -> None:
    """Leavers are cut off and members taken out; of what is mixed the one half is done, and said."""
    acme = await a_tenant(callers)
    first, second, third = [await acme.person() for _ in range(3)]
    sessions = [await acme.session(person) for person in (first, second, third)]
    members = [{"value": person["id"]} for person in (first, second)]
    body = {"schemas": [GROUP], "displayName": "dart-guests", "members": members}
    group = (await acme.scim.post("/Groups", json=body)).json()
    await pause(acme)
    assert (await acme.scim.patch(f"/Users/{first['id']}", json=deactivation())).status_code == 200
    mixed = patch_op({"op": "add", "path": "title", "value": "Dr"}, {"op": "replace", "path": "active", "value": False})
    assert "Done: the person was deactivated. Not done: title." in waits(
        await acme.scim.patch(f"/Users/{second['id']}", json=mixed)
    )
    assert (await acme.scim.delete(f"/Users/{third['id']}")).status_code == 204
    assert [await callers.is_live(session) for session in sessions] == [False] * 3
    body["members"] = [{"value": acme.admin["id"]}]
    detail = waits(await acme.scim.put(f"/Groups/{group['id']}", json=body))
    assert "Done: members were taken out. Not done: members." in detail
    assert "members" not in (await acme.scim.get(f"/Groups/{group['id']}")).json()
    entry = (await acme.audit(action="scim.groups.replace"))[0]
    assert (entry["outcome"], entry["status"]) == ("done", 503)


async def test_a_bulk_goes_on(callers: Callers) -> None:
    """An operation of a Bulk that has to wait keeps no departure after it from being done."""
    acme = await a_tenant(callers)
    leaver = await acme.person()
    await pause(acme)
    operations: list[dict[str, Any]] = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": "joiner"}},
        {"method": "PATCH", "path": f"/Users/{leaver['id']}", "data": deactivation()},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    answer = await acme.scim.post("/Bulk", json=body)
    assert [each["status"] for each in answer.json()["Operations"]] == ["503", "200"], answer.text


@pytest.mark.parametrize("seconds", [0, 86_401])
async def test_a_day_at_most(callers: Callers, seconds: int) -> None:
    """A pause has a length, and no more than a day."""
    acme = await a_tenant(callers)
    answer = await callers.operator.post(f"{acme.v1}/pause", json={"seconds": seconds})
    assert answer.status_code == 400, answer.text
