"""Leaving is never refused for what stands beside it: the person is out, and what can't be taken is left out."""

from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.expect import done, refused
from factories import PATCH_OP, USER, Callers, Tenant, a_tenant

OUT = {"op": "replace", "path": "active", "value": False}

BESIDE: dict[str, list[dict[str, Any]]] = {
    "an unknown path": [{"op": "replace", "path": "nobodys", "value": "x"}],
    "an unknown extension": [{"op": "add", "path": "urn:acme:nobody:User:badge", "value": "x"}],
    "a wrong shape": [{"op": "replace", "path": "name", "value": "Maria"}],
    "a number for a string": [{"op": "replace", "path": "title", "value": 7}],
    "a filter on one value": [{"op": "replace", "path": 'title[value eq "x"].display', "value": "x"}],
    "a read-only attribute": [{"op": "replace", "path": "id", "value": "somebody-else"}],
    "a broken address": [{"op": "replace", "path": "photos", "value": [{"value": {"no": "address"}}]}],
    "a taken userName": [{"op": "replace", "path": "userName", "value": "taken"}],
    "no operation": [{"op": "explode", "path": "title"}],
    "a filter that finds nothing": [{"op": "replace", "path": 'emails[value eq "no"].display', "value": "x"}],
}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": [*operations]}


async def newest(tenant: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    """The last entry of the audit about a change of a person."""
    entries = [each for each in await tenant.audit(outcome="done") if each["target"] == person["id"]]
    return max((each for each in entries if each["action"] != "scim.users.read"), key=lambda each: each["at"])


async def left(tenant: Tenant, answer: httpx.Response, person: dict[str, Any], session: str) -> None:
    """They are out, the answer says so, and the audit says what was left out."""
    body = done(answer)
    assert (body["id"], body["active"], body["userName"]) == (person["id"], False, person["userName"])
    assert done(await tenant.scim.get(f"/Users/{person['id']}")) == body
    assert not await tenant.callers.is_live(session)
    entry = await newest(tenant, person)
    assert (entry["outcome"], entry["status"]) == ("done", 200)
    assert "left out: " in entry["detail"]
    assert "user.deactivated" in entry["events"]


@pytest_asyncio.fixture
async def maria(acme: Tenant) -> dict[str, Any]:
    """Somebody who leaves, in a tenant with somebody else."""
    await acme.person("taken")
    return await acme.person("maria")


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("last", [True, False], ids=["said last", "said first"])
async def test_patch(acme: Tenant, maria: dict[str, Any], beside: str, *, last: bool) -> None:
    """A PATCH that deactivates and says something else that can't be taken deactivates, and does nothing else."""
    session = await acme.session(maria)
    operations = [*BESIDE[beside], OUT] if last else [OUT, *BESIDE[beside]]
    await left(acme, await acme.scim.patch(f"/Users/{maria['id']}", json=patch(*operations)), maria, session)


@pytest.mark.parametrize(
    "attributes",
    [{"title": 7}, {"userName": "taken"}, {"emails": 7}, {"name": ["Maria"]}, {"userName": ""}],
    ids=str,
)
async def test_put(acme: Tenant, maria: dict[str, Any], attributes: dict[str, Any]) -> None:
    """So does a PUT."""
    session = await acme.session(maria)
    body = {"schemas": [USER], "userName": "maria", "active": False, **attributes}
    await left(acme, await acme.scim.put(f"/Users/{maria['id']}", json=body), maria, session)


async def test_again(acme: Tenant, maria: dict[str, Any]) -> None:
    """Somebody who is out already gets the same answer."""
    body = patch(OUT, *BESIDE["an unknown path"])
    first = done(await acme.scim.patch(f"/Users/{maria['id']}", json=body))
    assert done(await acme.scim.patch(f"/Users/{maria['id']}", json=body)) == first
    entry = await newest(acme, maria)
    assert entry["detail"].startswith("nothing to change; left out: ")


async def test_answered_with_the_resource(callers: Callers) -> None:
    """Where a PATCH is answered without a body, this one has it: it did not do what it was asked."""
    acme = await a_tenant(callers, profile="entra")
    maria = await acme.person("maria")
    quiet = await acme.scim.patch(f"/Users/{maria['id']}", json=patch({"op": "replace", "path": "title", "value": "x"}))
    assert quiet.status_code == 204
    beside = {"op": "replace", "path": "title", "value": 7}
    assert done(await acme.scim.patch(f"/Users/{maria['id']}", json=patch(OUT, beside)))["active"] is False


async def test_in_bulk(acme: Tenant, maria: dict[str, Any]) -> None:
    """Within a Bulk request as well."""
    operation = {"method": "PATCH", "path": f"/Users/{maria['id']}", "data": patch(OUT, *BESIDE["a wrong shape"])}
    schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
    answer = done(await acme.scim.post("/Bulk", json={"schemas": [schema], "Operations": [operation]}))
    assert [each["status"] for each in answer["Operations"]] == ["200"]
    assert done(await acme.scim.get(f"/Users/{maria['id']}"))["active"] is False


async def test_to_the_letter(callers: Callers) -> None:
    """A tenant that takes the standard to the letter has it refused, whole."""
    acme = await a_tenant(callers, profile="strict")
    maria = await acme.person("maria", schemas=[USER])
    refused(
        await acme.scim.patch(f"/Users/{maria['id']}", json=patch(OUT, *BESIDE["an unknown path"])), 400, "invalidPath"
    )
    assert done(await acme.scim.get(f"/Users/{maria['id']}"))["active"] is True


async def test_of_another_version(acme: Tenant, maria: dict[str, Any]) -> None:
    """What the call requires of the version still holds."""
    address, body = f"/Users/{maria['id']}", patch(OUT, *BESIDE["an unknown path"])
    refused(await acme.scim.patch(address, json=body, headers={"If-Match": 'W/"99"'}), 412)
    assert done(await acme.scim.get(address))["active"] is True
    version = maria["meta"]["version"]
    assert done(await acme.scim.patch(address, json=body, headers={"If-Match": version}))["active"] is False


async def test_of_nobody(acme: Tenant) -> None:
    """And nobody is nobody."""
    refused(await acme.scim.patch(f"/Users/{acme.id}", json=patch(OUT, *BESIDE["an unknown path"])), 404)


async def test_a_body_that_names_nobody(acme: Tenant, maria: dict[str, Any]) -> None:
    """A PUT without a userName is of nobody in particular, whatever else it says; the person stays."""
    address = f"/Users/{maria['id']}"
    for named in ({}, {"userame": "maria"}, {"userName": None}):
        refused(await acme.scim.put(address, json={"schemas": [USER], "active": False, **named}), 400, "invalidValue")
    assert done(await acme.scim.get(address))["active"] is True
    for named in ({"UserName": "maria", "title": 7}, {USER: {"userName": "maria", "title": 7}}):
        assert done(await acme.scim.put(address, json={"schemas": [USER], "active": False, **named}))["active"] is False


PATHS = (
    *("title", "userName", "name", "name.givenName", "emails", 'emails[type eq "work"].value', "roles", "id", "groups"),
    *("nobodys", "", "[", "urn:acme:nobody:x", "meta.version", 'roles[primary eq "True"].value', "manager"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 7, "", "x", "dart-admins", "taken", "False", [], {}, ["x", 7], {"value": "x"}),
    *([{"value": "dart-admins"}, {"value": "dart-guests"}], {"value": {"value": []}}, [[]]),
)


def operation(op: str, path: str | None, value: object) -> dict[str, Any]:
    return {"op": op, "value": value} if path is None else {"op": op, "path": path, "value": value}


OPERATIONS = st.lists(
    st.builds(
        operation,
        st.sampled_from(["add", "replace", "remove", "Replace", "explode"]),
        st.none() | st.sampled_from(PATHS),
        st.sampled_from(VALUES),
    ),
    max_size=4,
)


@hypothesis_settings(max_examples=60)
@given(before=OPERATIONS, after=OPERATIONS)
async def test_whatever_stands_beside_it(
    callers: Callers, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    """Outside of `strict`, a PATCH that sets `active` to false leaves nobody in."""
    acme = await a_tenant(callers)
    await acme.person("taken")
    maria = await acme.person("maria")
    answer = await acme.scim.patch(f"/Users/{maria['id']}", json=patch(*before, OUT, *after))
    assert answer.status_code in (200, 204), answer.text
    assert done(await acme.scim.get(f"/Users/{maria['id']}"))["active"] is False
