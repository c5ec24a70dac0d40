"""A removal never gives: it is stored always, and nobody gets another role by it than the default."""

from typing import Any

import pytest

from factories import DART_RULE, USER, Callers, Tenant, a_tenant, patch_op

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
HOLDING: dict[str, Any] = {**DART_RULE, "on_conflict": "hold"}


async def a_group(acme: Tenant, name: str, *people: dict[str, Any]) -> dict[str, Any]:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": person["id"]} for person in people]}
    answer = await acme.scim.post("/Groups", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def explained(acme: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    answer = await acme.callers.operator.get(f"{acme.v1}/people/{person['id']}/explain")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def role(acme: Tenant, person: dict[str, Any]) -> str:
    return (await explained(acme, person))["role"]


async def open_cases(acme: Tenant) -> list[dict[str, Any]]:
    answer = await acme.callers.operator.get(f"{acme.v1}/conflict-cases")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def patched(acme: Tenant, address: str, *operations: dict[str, Any]) -> None:
    answer = await acme.scim.patch(address, json=patch_op(*operations))
    assert answer.is_success, answer.text


def removal(person: dict[str, Any]) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{person["id"]}"]'}


def addition(person: dict[str, Any]) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": person["id"]}]}


async def in_two_groups(acme: Tenant) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A guest who is among the admins, too, and is held at guest."""
    person = await acme.person()
    guests = await a_group(acme, "dart-guests", person)
    admins = await a_group(acme, "dart-admins", person)
    assert await role(acme, person) == "guest"
    return person, guests, admins


@pytest.mark.parametrize("way", ["taken out", "left out", "deleted", "renamed"])
async def test_what_is_left_gives_no_admin(callers: Callers, way: str) -> None:
    """Whoever is taken out of a group is no admin by what is left, and a case says so, until they are put in anew."""
    acme = await a_tenant(callers, rule=HOLDING)
    person, guests, admins = await in_two_groups(acme)
    if way == "taken out":
        await patched(acme, f"/Groups/{guests['id']}", removal(person))
    elif way == "left out":
        body = {"schemas": [GROUP], "displayName": "dart-guests", "members": []}
        assert (await acme.scim.put(f"/Groups/{guests['id']}", json=body)).is_success
    elif way == "renamed":
        await patched(acme, f"/Groups/{guests['id']}", {"op": "replace", "path": "displayName", "value": "visitors"})
    else:
        assert (await acme.scim.delete(f"/Groups/{guests['id']}")).status_code == 204
    told = await explained(acme, person)
    assert (told["role"], told["admin"]) == ("guest", False)
    assert "a removal" in told["why"] or "removed" in told["why"]
    (case,) = await open_cases(acme)
    assert case["roles"] == ["admin", "guest"]
    assert 'A removal gives nobody another role: "guest" is kept' in case["detail"]

    await patched(acme, f"/Users/{person['id']}", {"op": "replace", "path": "title", "value": "Dr"})
    body = {"schemas": [USER], "userName": person["userName"], "nickName": "M"}
    assert (await acme.scim.put(f"/Users/{person['id']}", json=body)).is_success
    assert await role(acme, person) == "guest", "no change of anything else gives it"
    assert len(await open_cases(acme)) == 1

    await patched(acme, f"/Groups/{admins['id']}", removal(person))
    assert await role(acme, person) == "member"
    assert await open_cases(acme) == []
    await patched(acme, f"/Groups/{admins['id']}", addition(person))
    assert await role(acme, person) == "admin"


async def test_a_removal_leaves_the_default(callers: Callers) -> None:
    """With no name left the role is the default, and no case opens."""
    acme = await a_tenant(callers)
    person = await acme.person()
    group = await a_group(acme, "dart-admins", person)
    assert await role(acme, person) == "admin"
    await patched(acme, f"/Groups/{group['id']}", removal(person))
    assert await role(acme, person) == "member"
    assert await open_cases(acme) == []


async def test_names_of_the_person(callers: Callers) -> None:
    """Whoever has a name removed gets no role by the others; saying one of those again gives it."""
    acme = await a_tenant(callers, rule=HOLDING)
    person = await acme.person(roles=[{"value": "dart-guests"}])
    address = f"/Users/{person['id']}"
    await patched(acme, address, {"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]})
    assert await role(acme, person) == "guest"
    await patched(acme, address, {"op": "remove", "path": 'roles[value eq "dart-guests"]'})
    assert await role(acme, person) == "guest"
    assert len(await open_cases(acme)) == 1
    await patched(acme, address, {"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]})
    assert await role(acme, person) == "admin"
    assert await open_cases(acme) == []


async def test_a_removal_is_stored_always(callers: Callers) -> None:
    """A removal that leaves names which still conflict is stored, by a rule that rejects conflicts, too."""
    acme = await a_tenant(callers, rule=HOLDING)
    person = await acme.person(roles=["dart-guests"])
    address = f"/Users/{person['id']}"
    await patched(acme, address, {"op": "add", "path": "roles", "value": ["dart-admins", "dart-members"]})
    answer = await callers.operator.put(f"{acme.v1}/role-rule", json=DART_RULE)
    assert answer.status_code == 200, answer.text
    await patched(acme, address, {"op": "remove", "path": 'roles[value eq "dart-guests"]'})
    shown = (await acme.scim.get(address)).json()
    assert sorted(entry["value"] for entry in shown["roles"]) == ["dart-admins", "dart-members"]
    assert await role(acme, person) == "guest"


async def test_an_edit_of_the_rule_gives_it_not(callers: Callers) -> None:
    """An edit that leaves the meaning of the names as it is gives nothing that was withheld; another one does."""
    acme = await a_tenant(callers, rule=HOLDING)
    person, guests, _ = await in_two_groups(acme)
    await patched(acme, f"/Groups/{guests['id']}", removal(person))
    other = {**HOLDING, "roles": {**HOLDING["roles"], "guest": {"label": "Visitor", "names": ["guests"]}}}
    assert (await callers.operator.put(f"{acme.v1}/role-rule", json=other)).status_code == 200
    assert await role(acme, person) == "guest"
    assert len(await open_cases(acme)) == 1
    swapped = {**HOLDING["roles"], "admin": {"label": "A", "admin": True, "names": ["bosses"]}}
    swapped["technical-admin"] = {"label": "T", "names": ["technical-admins", "admins"]}
    assert (await callers.operator.put(f"{acme.v1}/role-rule", json={**HOLDING, "roles": swapped})).status_code == 200
    assert await role(acme, person) == "technical-admin"
    assert await open_cases(acme) == []
