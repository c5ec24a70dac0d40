"""PATCH /Users/{id}: some of a person, as each provider says it."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from api.expect import done, refused
from factories import USER, Tenant, deactivation, patch_op
from rollcall.db import Connection

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MARIA: dict[str, Any] = {
    "displayName": "Maria",
    "name": {"givenName": "Maria", "familyName": "Sol"},
    "emails": [{"value": "maria@acme.test", "type": "work", "primary": True}, {"value": "m@home.test", "type": "home"}],
    "phoneNumbers": [{"value": "+34 1", "type": "mobile"}],
    ENTERPRISE: {"department": "Sales"},
}


async def patched(tenant: Tenant, *operations: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """What becomes of maria by these operations."""
    person = await tenant.person("maria", **(MARIA | attributes))
    answer = await tenant.scim.patch(f"/Users/{person['id']}", json=patch_op(*operations))
    after = done(answer)
    assert answer.headers["etag"] == after["meta"]["version"] == 'W/"2"'
    assert done(await tenant.scim.get(f"/Users/{person['id']}")) == after
    return after


WORK, HOME = MARIA["emails"]


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        # Okta
        ({"op": "replace", "value": {"active": False}}, {"active": False}),
        (
            {"op": "replace", "value": {"displayName": "M", "name": {"givenName": "M"}}},
            {"displayName": "M", "name": {"givenName": "M", "familyName": "Sol"}},
        ),
        # Entra
        ({"op": "Replace", "path": "active", "value": "False"}, {"active": False}),
        (
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@acme.test"},
            {"emails": [{**WORK, "value": "new@acme.test"}, HOME]},
        ),
        (
            {"op": "Add", "path": 'phoneNumbers[type eq "fax"].value', "value": "+34 2"},
            {"phoneNumbers": [*MARIA["phoneNumbers"], {"type": "fax", "value": "+34 2"}]},
        ),
        ({"op": "Add", "path": "name.givenName", "value": "Mia"}, {"name": {"givenName": "Mia", "familyName": "Sol"}}),
        (
            {"op": "Replace", "value": {"name.givenName": "Mia", "displayName": "Mia"}},
            {"name": {"givenName": "Mia", "familyName": "Sol"}, "displayName": "Mia"},
        ),
        ({"op": "Replace", "value": {f"{ENTERPRISE}:department": "HR"}}, {ENTERPRISE: {"department": "HR"}}),
        (
            {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": [{"$ref": None, "value": "42"}]},
            {ENTERPRISE: {"department": "Sales", "manager": {"value": "42"}}},
        ),
        ({"op": "Replace", "path": "displayName", "value": {"$ref": None, "value": "Mia"}}, {"displayName": "Mia"}),
        (
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "reader"},
            {"roles": [{"primary": True, "value": "reader"}]},
        ),
        (
            {"op": "Add", "path": "roles", "value": [{"value": '{"id": "1", "value": "reader"}', "displayName": "R"}]},
            {"roles": [{"value": '{"id": "1", "value": "reader"}', "display": "R"}]},
        ),
        ({"op": "Remove", "path": "emails", "value": [{"value": "m@home.test"}]}, {"emails": [WORK]}),
        ({"op": "Replace", "path": "title", "value": "Dr", "name": "addMember"}, {"title": "Dr"}),
        # OneLogin, JumpCloud, bridges
        (
            {"op": "replace", "path": "emails", "value": {"value": "only@acme.test"}},
            {"emails": [{"value": "only@acme.test"}]},
        ),
        ({"op": "add", "path": "roles", "value": "reader"}, {"roles": [{"value": "reader"}]}),
        ({"op": "add", "path": "roles", "value": ["reader"]}, {"roles": [{"value": "reader"}]}),
        # the standard
        (
            {"op": "add", "path": "emails", "value": [{"value": "x@acme.test"}]},
            {"emails": [WORK, HOME, {"value": "x@acme.test"}]},
        ),
        ({"op": "add", "path": f"{USER}:nickName", "value": "Mia"}, {"nickName": "Mia"}),
        ({"op": "remove", "path": 'emails[type eq "home"]'}, {"emails": [WORK]}),
        (
            {"op": "remove", "path": 'emails[type eq "work" and value co "acme"].primary'},
            {"emails": [{"value": "maria@acme.test", "type": "work"}, HOME]},
        ),
        ({"op": "remove", "path": "displayName"}, {"displayName": None}),
        ({"op": "remove", "path": ENTERPRISE}, {ENTERPRISE: None, "schemas": [USER]}),
        ({"op": "replace", "path": "emails", "value": []}, {"emails": None}),
        ({"op": "replace", "path": "USERNAME", "value": "MARIA"}, {"userName": "MARIA"}),
    ],
)
async def test_shapes(acme: Tenant, operation: dict[str, Any], changed: dict[str, Any]) -> None:
    """Each provider's way to say a change has the effect that it means."""
    after = await patched(acme, operation)

    before = {"schemas": [USER, ENTERPRISE], "userName": "maria", "active": True, **MARIA}
    expected = {name: value for name, value in (before | changed).items() if value is not None}
    assert {name: value for name, value in after.items() if name not in ("id", "meta")} == expected


async def test_operations_in_order(acme: Tenant) -> None:
    """Operations follow each other, each on what the one before has left."""
    after = await patched(
        acme,
        {"op": "remove", "path": "emails"},
        {"op": "add", "path": "emails", "value": [{"value": "a@acme.test", "type": "work"}]},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "b@acme.test"},
    )

    assert after["emails"] == [{"value": "b@acme.test", "type": "work"}]


@pytest.mark.parametrize(
    ("operation", "scim_type", "saying"),
    [
        ({"op": "replace", "path": "favouriteColour", "value": "red"}, "invalidPath", "favouriteColour"),
        ({"op": "replace", "value": {"favouriteColour": "red"}}, "invalidPath", "favouriteColour"),
        ({"op": "replace", "path": "emails[", "value": "red"}, "invalidPath", ""),
        ({"op": "replace", "path": "displayName", "value": 7}, "invalidValue", "displayName"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue", "active"),
        ({"op": "replace", "path": "displayName"}, "invalidValue", ""),
        ({"op": "replace", "path": "userName", "value": " "}, "invalidValue", "userName"),
        ({"op": "replace", "path": "id", "value": "other"}, "mutability", "id"),
        ({"op": "replace", "path": "meta.created", "value": "2000-01-01T00:00:00Z"}, "mutability", "meta"),
        ({"op": "remove", "path": "userName"}, "mutability", "userName"),
        ({"op": "replace", "path": "active", "value": None}, "mutability", "active"),
        ({"op": "remove"}, "noTarget", ""),
        ({"op": "replace", "path": 'photos[type eq "x"]', "value": "red"}, None, ""),
        ({"op": "delete", "path": "title"}, "invalidValue", "op"),
        ({"path": "title", "value": "x"}, "invalidValue", "op"),
        ({"op": "add", "path": 7, "value": "x"}, "invalidPath", "path"),
        ({"op": "add", "path": "emails", "value": [{"value": "x", "primary": "perhaps"}]}, "invalidValue", "emails"),
    ],
)
async def test_one_bad_operation_spoils_all(
    acme: Tenant, operation: dict[str, Any], scim_type: str | None, saying: str
) -> None:
    """When one operation is refused, none has happened (RFC 7644 §3.5.2), and the detail says what was wrong."""
    person = await acme.person("maria", **MARIA)
    address = f"/Users/{person['id']}"
    good = {"op": "replace", "path": "displayName", "value": "Changed"}

    for operations in ([good, operation], [operation, good]):
        answer = await acme.scim.patch(address, json=patch_op(*operations))
        if scim_type is not None:
            refused(answer, 400, scim_type, saying)
        else:
            assert answer.status_code == 400

    assert done(await acme.scim.get(address)) == person
    assert [entry["outcome"] for entry in await acme.audit(action="scim.users.patch")] == ["refused"] * 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Operations": []},
        {"Operations": {}},
        {"Operations": ["x"]},
        {"schemas": [USER], "Operations": [{"op": "add", "path": "title", "value": "x"}]},
    ],
)
async def test_what_is_no_patch(acme: Tenant, body: dict[str, Any]) -> None:
    """A body that is no PatchOp message is refused."""
    person = await acme.person("maria")

    answer = await acme.scim.patch(f"/Users/{person['id']}", json=body)

    assert answer.status_code == 400
    assert answer.json()["scimType"] in ("invalidSyntax", "invalidValue")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "displayName", "value": "Maria"},
        {"op": "replace", "value": {"active": True}},
        {"op": "add", "path": "emails", "value": [WORK]},
        {"op": "remove", "path": "title"},
        {"op": "replace", "path": "password", "value": "x"},
    ],
)
async def test_nothing_to_change(acme: Tenant, operation: dict[str, Any]) -> None:
    """An operation that changes nothing is carried out and keeps version and lastModified."""
    person = await acme.person("maria", **MARIA)

    assert done(await acme.scim.patch(f"/Users/{person['id']}", json=patch_op(operation))) == person


async def test_name_of_another(acme: Tenant) -> None:
    """A PATCH can't take another's userName, and nothing else of it happens."""
    await acme.person("pedro")
    person = await acme.person("maria")

    body = patch_op({"op": "replace", "value": {"userName": "Pedro", "displayName": "P"}})
    refused(await acme.scim.patch(f"/Users/{person['id']}", json=body), 409, "uniqueness")

    assert done(await acme.scim.get(f"/Users/{person['id']}")) == person


async def test_swapped_names(acme: Tenant) -> None:
    """A name that its owner gave up can be taken at once."""
    maria, pedro = await acme.person("maria"), await acme.person("pedro")
    for person, name in ((maria, "third"), (pedro, "maria"), (maria, "pedro")):
        body = patch_op({"op": "replace", "path": "userName", "value": name})
        done(await acme.scim.patch(f"/Users/{person['id']}", json=body))

    assert done(await acme.scim.get(f"/Users/{maria['id']}"))["userName"] == "pedro"


async def test_nobody_and_somebody_removed(acme: Tenant) -> None:
    """A PATCH of somebody removed is 404 in the same words as of somebody who never was."""
    person = await acme.person("maria")
    await acme.scim.delete(f"/Users/{person['id']}")
    acme.scim.headers["X-Request-Id"] = "the-same"

    removed = await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    never = await acme.scim.patch(f"/Users/{uuid4()}", json=deactivation())

    refused(removed, 404)
    assert removed.content == never.content


async def test_reactivation(acme: Tenant) -> None:
    """Reactivation lets a person in again, and brings none of their sessions back."""
    person = await acme.person("maria")
    old = await acme.session(person)
    for active in (False, True):
        body = patch_op({"op": "replace", "path": "active", "value": active})
        assert done(await acme.scim.patch(f"/Users/{person['id']}", json=body))["active"] is active

    assert not await acme.callers.is_live(old)
    assert await acme.callers.is_live(await acme.session(person))


async def test_twenty_patches_lose_nothing(acme: Tenant) -> None:
    """Twenty that each add something else to one person at the same moment all find it there afterwards."""
    person = await acme.person("maria")
    address = f"/Users/{person['id']}"
    plain = ["nickName", "title", "displayName", "userType", "locale", "name.givenName", "name.familyName"]
    operations = [{"op": "add", "path": name, "value": f"v-{name}"} for name in plain]
    operations += [
        {"op": "add", "path": "emails", "value": [{"value": f"m{number}@acme.test"}]} for number in range(13)
    ]

    answers = await asyncio.gather(*(acme.scim.patch(address, json=patch_op(each)) for each in operations))

    assert [answer.status_code for answer in answers] == [200] * 20
    after = done(await acme.scim.get(address))
    assert after["meta"]["version"] == 'W/"21"'
    assert {email["value"] for email in after["emails"]} == {f"m{number}@acme.test" for number in range(13)}
    assert after["name"] == {"givenName": "v-name.givenName", "familyName": "v-name.familyName"}
    assert all(after[name] == f"v-{name}" for name in plain if "." not in name)
    assert len({answer.headers["etag"] for answer in answers}) == 20


async def test_a_crowd_on_one_person(acme: Tenant) -> None:
    """However many change one person at once, with changes that turn out to be none, all of them are answered soon.

    Those who lock the person in the end must not ask for a second connection while they hold one.
    """
    person = await acme.person("maria")
    bodies = [patch_op({"op": "replace", "path": "displayName", "value": f"v{number % 3}"}) for number in range(150)]

    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(acme.scim.patch(f"/Users/{person['id']}", json=body) for body in bodies))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await acme.audit(action="scim.users.patch")) == 150


async def test_refusal_under_lock_is_audited(acme: Tenant, owner: Connection) -> None:
    """What is refused after others were quicker again and again stands in the audit all the same."""
    taken = await acme.person("taken")
    people = [await acme.person(f"p{number}") for number in range(2)]
    calls = [
        acme.scim.patch(
            f"/Users/{people[number % 2]['id']}",
            json=patch_op({"op": "replace", "path": "userName", "value": f"{'taken' if number % 6 == 0 else number}"}),
        )
        for number in range(60)
    ]

    answers = await asyncio.gather(*calls)

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 50 + [409] * 10
    entries = await acme.audit(action="scim.users.patch")
    assert sorted(entry["status"] for entry in entries) == statuses
    assert done(await acme.scim.get(f"/Users/{taken['id']}"))["userName"] == "taken"


async def test_unassigned_active(acme: Tenant) -> None:
    """Whoever is no longer said to be active is not, until somebody says so: neither silence nor a PUT lets them in."""
    maria = await acme.person("maria")
    address, session = f"/Users/{maria['id']}", await acme.session(maria)
    removal = patch_op({"op": "remove", "path": "active"})

    for _ in range(2):
        answer = await acme.scim.patch(address, json=removal)
        assert answer.status_code == 200
        assert "active" not in answer.json()
    assert not await acme.callers.is_live(session)
    assert "active" not in (await acme.scim.put(address, json={"userName": "maria"})).json()
    assert "active" not in (await acme.scim.get(address)).json()
    assert (await acme.callers.operator.get(f"{acme.v1}/people/{maria['id']}")).json()["active"] is False

    back = patch_op({"op": "replace", "path": "active", "value": True})
    assert (await acme.scim.patch(address, json=back)).json()["active"] is True


async def test_removing_the_active_of_somebody_inactive(acme: Tenant) -> None:
    """A removal never reactivates anybody."""
    maria = await acme.person("maria", active=False)
    address = f"/Users/{maria['id']}"

    assert (await acme.scim.patch(address, json=patch_op({"op": "remove", "path": "active"}))).status_code == 200

    assert (await acme.callers.operator.get(f"{acme.v1}/people/{maria['id']}")).json()["active"] is False
