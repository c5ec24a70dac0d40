"""Conflict cases: each stands for what somebody still wants, and closes when that is no longer so."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.expect import done, refused
from factories import DART_RULE, Tenant, patch_op
from rollcall.scim.intent import speaks_of_roles

CONFLICT = [{"value": "dart-admins"}, {"value": "dart-guests"}]
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest_asyncio.fixture
async def maria(acme: Tenant) -> AsyncGenerator[dict[str, Any]]:
    """A guest for whom the provider has wanted a second role, and was refused."""
    person = await acme.person("maria", roles=["dart-guests"], title="Dr")
    refused(await say(acme, person, CONFLICT), 400, "invalidValue")
    assert await open_cases(acme) == ["maria"]
    yield person


async def say(tenant: Tenant, person: dict[str, Any], roles: Any) -> httpx.Response:
    """Have the provider name these roles and no others."""
    return await patch(tenant, person, {"op": "replace", "path": "roles", "value": roles})


async def patch(tenant: Tenant, person: dict[str, Any], *operations: dict[str, Any]) -> httpx.Response:
    """Send a PATCH."""
    return await tenant.scim.patch(f"/Users/{person['id']}", json=patch_op(*operations))


async def edit_rule(tenant: Tenant, rule: dict[str, Any]) -> None:
    """Put another rule in force."""
    answer = await tenant.callers.operator.put(f"{tenant.v1}/role-rule", json=rule)
    assert answer.status_code == 200, answer.text


async def group(tenant: Tenant, name: str, *members: dict[str, Any]) -> httpx.Response:
    """Have the provider make a group."""
    body = {"displayName": name, "members": [{"value": member["id"]} for member in members]}
    return await tenant.scim.post("/Groups", json=body)


async def open_cases(tenant: Tenant) -> list[str]:
    """The userNames of the open cases."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/conflict-cases")
    return [case["user_name"] for case in answer.json()["data"]]


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
async def test_taken_back_by_asking_for_what_is_stored(acme: Tenant, maria: dict[str, Any], verb: str) -> None:
    """A provider that corrects itself to the role already stored is told of no change, and the case closes."""
    if verb == "PATCH":
        done(await say(acme, maria, ["dart-guests"]))
    else:
        body = {"userName": "maria", "title": "Dr", "active": True, "roles": [{"value": "dart-guests"}]}
        done(await acme.scim.put(f"/Users/{maria['id']}", json=body))

    assert await open_cases(acme) == []
    entry = (await acme.audit(action="scim.users"))[0]
    assert (entry["detail"], entry["events"]) == ("nothing to change", ["conflict.closed"])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "title", "value": "Professor"},
        {"op": "replace", "path": "title", "value": "Dr"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "value": {"title": "Professor"}},
    ],
)
async def test_other_changes_leave_it_open(acme: Tenant, maria: dict[str, Any], operation: dict[str, Any]) -> None:
    """A change that says nothing about roles leaves open what the provider was refused, as does one of nothing."""
    done(await patch(acme, maria, operation))

    assert await open_cases(acme) == ["maria"]


async def test_changes_by_hand_leave_it_open(acme: Tenant, maria: dict[str, Any]) -> None:
    """What an admin does to the person says nothing about what the provider wants."""
    for verb in ("deactivate", "reactivate", "demote"):
        answer = await acme.callers.operator.post(f"{acme.v1}/people/{maria['id']}/{verb}")
        assert answer.status_code == 200, answer.text

    assert await open_cases(acme) == ["maria"]


async def test_stored_conflict_closes_with_what_is_stored(acme: Tenant) -> None:
    """A case of stored names closes when the stored names have no conflict any more, and not before."""
    person = await acme.person("maria", roles=CONFLICT, active=False)
    done(await patch(acme, person, {"op": "replace", "path": "title", "value": "Dr"}))
    done(await say(acme, person, CONFLICT))
    refused(await patch(acme, person, {"op": "replace", "path": "active", "value": True}), 400, "invalidValue")
    assert await open_cases(acme) == ["maria"]

    done(await say(acme, person, CONFLICT[:1]))

    assert await open_cases(acme) == []


async def test_edit_of_the_rule_that_helps(acme: Tenant, maria: dict[str, Any]) -> None:
    """An edit closes the case of a refused change if by it the names have no conflict, and leaves it open if not."""
    await edit_rule(acme, {**DART_RULE, "on_conflict": "hold"})
    assert await open_cases(acme) == ["maria"]

    await edit_rule(acme, {**DART_RULE, "prefix": "other-"})

    assert await open_cases(acme) == []


async def test_edit_of_the_rule_and_somebody_who_is_not_there_yet(acme: Tenant) -> None:
    """That goes for a refused creation too."""
    refused(await acme.scim.post("/Users", json={"userName": "pedro", "roles": CONFLICT}), 400, "invalidValue")
    await edit_rule(acme, {**DART_RULE, "on_conflict": "hold"})
    assert await open_cases(acme) == ["pedro"]

    await edit_rule(acme, {**DART_RULE, "sources": ["groups"]})

    assert await open_cases(acme) == []


@pytest.mark.parametrize("way", ["remove", "set", "rename", "delete"])
async def test_group_that_takes_it_back(acme: Tenant, way: str) -> None:
    """A provider that was refused to put somebody into a group takes it back in each way there is, for nobody else."""
    person = await acme.person("maria", roles=["dart-guests"])
    made = done(await group(acme, "dart-admins"), 201)
    address = f"/Groups/{made['id']}"
    addition = {"op": "add", "path": "members", "value": [{"value": person["id"]}]}
    refused(await acme.scim.patch(address, json=patch_op(addition)), 400, "invalidValue")
    other = await acme.person("pedro")
    done(await acme.scim.patch(address, json=patch_op(addition | {"value": [{"value": other["id"]}]})))
    assert await open_cases(acme) == ["maria"]

    removal = {"op": "remove", "path": f'members[value eq "{person["id"]}"]'}
    answer = {
        "remove": lambda: acme.scim.patch(address, json=patch_op(removal)),
        "set": lambda: acme.scim.put(address, json={"displayName": "dart-admins", "members": []}),
        "rename": lambda: acme.scim.patch(
            address, json=patch_op({"op": "replace", "path": "displayName", "value": "Everybody"})
        ),
        "delete": lambda: acme.scim.delete(address),
    }[way]()
    assert (await answer).status_code in (200, 204)

    assert await open_cases(acme) == []


async def test_group_that_is_made_without_them(acme: Tenant) -> None:
    """A refused creation of a group is taken back for the members that the next one leaves out."""
    person = await acme.person("maria", roles=["dart-guests"])
    refused(await group(acme, "dart-admins", person), 400, "invalidValue")
    assert await open_cases(acme) == ["maria"]

    done(await group(acme, "dart-admins"), 201)

    assert await open_cases(acme) == []


@pytest.mark.parametrize(
    ("operation", "speaks"),
    [
        ({"op": "add", "path": "roles", "value": "x"}, True),
        ({"op": "Add", "path": 'ROLES[primary eq "True"].value', "value": "x"}, True),
        ({"op": "remove", "path": f"{USER_SCHEMA}:roles"}, True),
        ({"op": "replace", "value": {"Roles": []}}, True),
        ({"op": "replace", "value": {"roles.value": "x"}}, True),
        ({"op": "replace", "value": {USER_SCHEMA: {"roles": []}}}, True),
        ({"Op": "replace", "Path": "", "Value": {"roles": []}}, True),
        ({"op": "replace", "path": "title", "value": "roles"}, False),
        ({"op": "replace", "path": "rolesque", "value": "x"}, False),
        ({"op": "replace", "value": {"title": {"roles": []}}}, False),
        ({"op": "replace", "path": "name", "value": {"roles": []}}, False),
    ],
)
def test_what_speaks_of_roles(operation: dict[str, Any], speaks: bool) -> None:
    """A PATCH speaks of roles if one of its operations is on them, in whichever way it is written."""
    assert speaks_of_roles({"operations": [{"op": "add", "path": "title", "value": "x"}, operation]}) is speaks
    assert speaks_of_roles({"userName": "whole"})
