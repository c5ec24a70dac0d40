"""Writing to a member that a filter selects, over HTTP (RFC 7644 §3.5.2.1 and §3.5.2.3)."""

from typing import Any

import pytest

from factories import Tenant, patch_op

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
STRANGER = "nobody-here"


async def made(tenant: Tenant, *members: str) -> dict[str, Any]:
    """A group of these."""
    body = {"schemas": [GROUP], "displayName": "Crew", "members": [{"value": member} for member in members]}
    answer = await tenant.scim.post("/Groups", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("part", ["", ".value"])
async def test_a_member(acme: Tenant, op: str, part: str) -> None:
    """Whoever is a member may be said again: that is done, and changes nothing."""
    maria = (await acme.person())["id"]
    inner = (await made(acme))["id"]
    group = await made(acme, maria, inner, STRANGER)
    for member in (maria, inner, STRANGER):
        value = member if part else {"value": member}
        operation = {"op": op, "path": f'members[value eq "{member}"]{part}', "value": value}
        answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(operation))
        assert answer.status_code == 200, answer.text
        assert answer.json() == group


@pytest.mark.parametrize("op", ["add", "replace"])
async def test_no_member(acme: Tenant, op: str) -> None:
    """Who is none does not become one: 400 noTarget, and nothing else of the request is done."""
    maria, omar = (await acme.person())["id"], (await acme.person())["id"]
    group = await made(acme, maria)
    for member in (omar, STRANGER, "5b6bb6b1-5c2e-4d0e-9a49-0c3a5e4f7d21"):
        rename = {"op": "replace", "path": "displayName", "value": "Renamed"}
        write = {"op": op, "path": f'members[value eq "{member}"]', "value": {"value": member}}
        answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(rename, write))
        assert (answer.status_code, answer.json()["scimType"]) == (400, "noTarget")
        assert member in answer.json()["detail"]
    assert (await acme.scim.get(f"/Groups/{group['id']}")).json() == group
    assert (await acme.audit())[1]["outcome"] == "refused"


async def test_after_what_came_before(acme: Tenant) -> None:
    """An operation is judged by what the earlier ones left."""
    maria = (await acme.person())["id"]
    group = await made(acme)
    again = {"op": "replace", "path": f'members[value eq "{maria}"]', "value": {"value": maria, "display": "Mimi"}}
    add = {"op": "add", "path": "members", "value": [{"value": maria}]}
    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(add, again))
    assert [(each["value"], each["display"]) for each in answer.json()["members"]] == [(maria, "Mimi")]
    remove = {"op": "remove", "path": f'members[value eq "{maria}"]'}
    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(remove, again))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "noTarget")


async def test_another_one(acme: Tenant) -> None:
    """A member can't be made another one: its id is immutable (RFC 7643 §8.7.1)."""
    maria, omar = (await acme.person())["id"], (await acme.person())["id"]
    group = await made(acme, maria)
    operation = {"op": "replace", "path": f'members[value eq "{maria}"]', "value": {"value": omar}}
    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(operation))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "mutability")
