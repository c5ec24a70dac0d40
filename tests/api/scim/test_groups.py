"""Groups through ``/scim/v2/Groups``: membership as sets, nesting, and what group names mean for roles."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from factories import Callers, Tenant, a_tenant, deactivation, patch_op

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def make(tenant: Tenant, name: str, *members: dict[str, Any] | str) -> dict[str, Any]:
    """Make a group with these members."""
    answer = await tenant.scim.post(
        "/Groups", json={"schemas": [GROUP], "displayName": name, "members": [{"value": id_of(m)} for m in members]}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def id_of(member: dict[str, Any] | str) -> str:
    """A member's id."""
    return member if isinstance(member, str) else member["id"]


def add(*members: dict[str, Any] | str) -> dict[str, Any]:
    """The PATCH that adds members."""
    return patch_op({"op": "add", "path": "members", "value": [{"value": id_of(m)} for m in members]})


def remove(member: dict[str, Any] | str) -> dict[str, Any]:
    """The PATCH that removes a member."""
    return patch_op({"op": "remove", "path": f'members[value eq "{id_of(member)}"]'})


async def members_of(tenant: Tenant, group: dict[str, Any]) -> set[str]:
    """The ids of a group's members."""
    answer = await tenant.scim.get(f"/Groups/{group['id']}")
    assert answer.status_code == 200, answer.text
    return {member["value"] for member in answer.json().get("members", [])}


async def role_of(tenant: Tenant, person: dict[str, Any]) -> str:
    """A person's role as the product hears it."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/people/{person['id']}")).json()["role"]


@pytest.fixture
async def acme(callers: Callers) -> Tenant:
    """A fresh tenant."""
    return await a_tenant(callers)


async def test_a_group_is_made_and_read(acme: Tenant) -> None:
    """A new group is answered with its members, each with reference, name and type."""
    maria = await acme.person("maria@acme.test", displayName="Maria")
    group = await make(acme, "Engineering", maria)
    read = await acme.scim.get(f"/Groups/{group['id']}")
    assert read.json() == group
    assert read.headers["Location"] == group["meta"]["location"]
    assert group["members"] == [
        {
            "value": maria["id"],
            "$ref": maria["meta"]["location"],
            "display": "Maria",
            "type": "User",
        }
    ]


async def test_membership_shows_on_the_person(acme: Tenant) -> None:
    """A person's groups are told, with direct and indirect ones apart."""
    maria = await acme.person()
    inner = await make(acme, "Inner", maria)
    outer = await make(acme, "Outer", inner)
    groups = (await acme.scim.get(f"/Users/{maria['id']}")).json()["groups"]
    assert {(each["display"], each["type"]) for each in groups} == {("Inner", "direct"), ("Outer", "indirect")}
    assert {each["value"] for each in groups} == {inner["id"], outer["id"]}


async def test_members_come_and_go(acme: Tenant) -> None:
    """Adding twice is adding once, removing somebody who isn't there changes nothing."""
    one, two = await acme.person(), await acme.person()
    group = await make(acme, "Engineering", one)
    address = f"/Groups/{group['id']}"
    assert (await acme.scim.patch(address, json=add(one, two))).status_code == 200
    assert await members_of(acme, group) == {one["id"], two["id"]}
    after = await acme.scim.patch(address, json=remove(one))
    assert await members_of(acme, group) == {two["id"]}
    again = await acme.scim.patch(address, json=remove(one))
    assert again.json()["meta"]["version"] == after.json()["meta"]["version"]


async def test_replacing_sets_the_members(acme: Tenant) -> None:
    """PUT leaves exactly the members it names."""
    one, two = await acme.person(), await acme.person()
    group = await make(acme, "Engineering", one)
    body = {"schemas": [GROUP], "displayName": "Renamed", "members": [{"value": two["id"]}]}
    put = await acme.scim.put(f"/Groups/{group['id']}", json=body)
    assert put.status_code == 200
    assert put.json()["displayName"] == "Renamed"
    assert await members_of(acme, group) == {two["id"]}


async def test_what_a_provider_calls_a_member(acme: Tenant) -> None:
    """A member is called what the provider calls them, the last time it says so, and else by their own name."""
    maria, inner = await acme.person(displayName="Maria"), await make(acme, "Inner")
    outer = await make(acme, "Outer", maria, inner)
    address = f"/Groups/{outer['id']}"
    assert await displays(acme, address) == ["Inner", "Maria"]
    named = [{"value": maria["id"], "displayName": "New User"}, {"value": inner["id"], "display": "The core"}]
    changes: list[tuple[dict[str, Any], list[str]]] = [
        (patch_op({"op": "add", "path": "members", "value": named}), ["New User", "The core"]),
        (add(maria), ["New User", "The core"]),
        (patch_op({"op": "add", "path": "members", "value": [{**named[0], "displayName": "M"}]}), ["M", "The core"]),
        (
            patch_op({"op": "replace", "path": "members", "value": [*named[:1], {"value": inner["id"]}]}),
            ["Inner", "New User"],
        ),
        (patch_op(remove(maria)["Operations"][0], add(maria)["Operations"][0]), ["Inner", "Maria"]),
    ]
    for number, (change, called) in enumerate(changes, 1):
        version = (await acme.scim.get(address)).headers["etag"]
        assert (await acme.scim.patch(address, json=change)).status_code == 200
        assert await displays(acme, address) == called, number
        moved = (await acme.scim.get(address)).headers["etag"] != version
        assert moved == (number != 2), number

    assert (await acme.scim.patch(address, json=changes[0][0])).status_code == 200
    for text, found in (('members.display eq "new USER"', 1), ('members.display eq "maria"', 0)):
        assert (await acme.scim.get("/Groups", params={"filter": text})).json()["totalResults"] == found
    put = {"schemas": [GROUP], "displayName": "Outer", "members": [{"value": maria["id"]}, {"value": inner["id"]}]}
    assert (await acme.scim.put(address, json=put)).status_code == 200
    assert await displays(acme, address) == ["Inner", "Maria"]


async def displays(tenant: Tenant, address: str) -> list[str]:
    """What the members of a group are called."""
    return sorted(member["display"] for member in (await tenant.scim.get(address)).json()["members"])


@pytest.mark.parametrize("display", [5, "x" * 5_000, "x\x00", {"value": "x"}], ids=["number", "long", "NUL", "object"])
async def test_no_name_for_a_member(acme: Tenant, display: object) -> None:
    """A member can't be called by what is no name, and nothing is changed."""
    maria, group = await acme.person(), await make(acme, "Outer")
    member = {"value": maria["id"], "display": display}

    answer = await acme.scim.patch(
        f"/Groups/{group['id']}", json=patch_op({"op": "add", "path": "members", "value": [member]})
    )

    assert answer.status_code == 400
    assert "display" in answer.json()["detail"] or "NUL" in answer.json()["detail"]
    assert await members_of(acme, group) == set()


async def test_a_foreign_member_is_refused(callers: Callers, acme: Tenant) -> None:
    """A member of another tenant is a 400, like one that never existed, and nothing is changed."""
    other = await a_tenant(callers)
    theirs = await other.person()
    ours = await acme.person()
    group = await make(acme, "Engineering")
    for stranger in (theirs["id"], str(uuid4())):
        refused = await acme.scim.patch(f"/Groups/{group['id']}", json=add(ours, stranger))
        assert refused.status_code == 400
        assert refused.json()["scimType"] == "invalidValue"
    assert await members_of(acme, group) == set()


async def test_a_stranger_is_kept(acme: Tenant) -> None:
    """A member whose id can't be anybody's is kept, shown as sent, looked for and taken out, and does nothing."""
    maria = await acme.person(displayName="Maria")
    group = await make(acme, "dart-admins", maria, "fake-member-id")
    address = f"/Groups/{group['id']}"
    assert group["members"][1:] == [{"value": "fake-member-id"}]
    for text, found in (
        ('members.value eq "fake-member-id"', 1),
        ('members[value eq "fake-member-id"]', 1),
        ('members.value sw "fake-"', 1),
        ('members[value eq "fake-member-id" and display pr]', 0),
        ('members.value eq "another"', 0),
        (f'members.value eq "{maria["id"]}" and members.value eq "fake-member-id"', 1),
    ):
        assert (await acme.scim.get("/Groups", params={"filter": text})).json()["totalResults"] == found, text
    named = {"value": "fake-member-id", "display": "Nobody"}
    for change, members, moved in (
        (add("fake-member-id"), {maria["id"], "fake-member-id"}, False),
        (patch_op({"op": "add", "path": "members", "value": [named]}), {maria["id"], "fake-member-id"}, True),
        (add("string id 1", "zwölf"), {maria["id"], "fake-member-id", "string id 1", "zwölf"}, True),
        (remove("zwölf"), {maria["id"], "fake-member-id", "string id 1"}, True),
        (remove("somebody else"), {maria["id"], "fake-member-id", "string id 1"}, False),
        (
            patch_op({"op": "remove", "path": "members", "value": [{"value": "string id 1"}]}),
            {maria["id"], "fake-member-id"},
            True,
        ),
        (patch_op({"op": "replace", "path": "members", "value": [{"value": "string id 1"}]}), {"string id 1"}, True),
    ):
        version = (await acme.scim.get(address)).headers["etag"]
        answer = await acme.scim.patch(address, json=change)
        assert answer.status_code == 200, answer.text
        assert {member["value"] for member in answer.json()["members"]} == members
        assert await members_of(acme, group) == members
        assert ((await acme.scim.get(address)).headers["etag"] != version) == moved, change
    assert await displays_of(acme, address, add("x"), patch_op({"op": "remove", "path": "members"})) == []
    put = {"schemas": [GROUP], "displayName": "dart-admins", "members": [named]}
    assert (await acme.scim.put(address, json=put)).json()["members"] == [named]
    assert await role_of(acme, maria) == "member"
    assert (await acme.scim.delete(address)).status_code == 204


async def displays_of(tenant: Tenant, address: str, *changes: dict[str, Any]) -> list[str]:
    """The members that are left after these changes."""
    for change in changes:
        assert (await tenant.scim.patch(address, json=change)).status_code == 200
    return [member["value"] for member in (await tenant.scim.get(address)).json().get("members", [])]


async def test_strangers_are_few(acme: Tenant) -> None:
    """A group keeps a hundred ids that nobody can have, none of them long; what would be more is refused whole."""
    group = await make(acme, "Engineering", *(f"stranger {number}" for number in range(100)))
    for change in (add("one more"), add("x" * 257)):
        refused = await acme.scim.patch(f"/Groups/{group['id']}", json=change)
        assert refused.status_code == 400
        assert refused.json()["scimType"] == "invalidValue"
    assert len(await members_of(acme, group)) == 100


async def test_strangers_to_the_letter(acme: Tenant) -> None:
    """A tenant that wants the standard to the letter takes nobody in who can't be there."""
    group = await make(acme, "Engineering")
    await acme.callers.operator.patch(acme.v1, json={"profile": "strict"})

    refused = await acme.scim.patch(f"/Groups/{group['id']}", json=add("fake-member-id"))

    assert refused.status_code == 400
    assert refused.json()["scimType"] == "invalidValue"
    assert "fake-member-id" in refused.json()["detail"]
    assert (await acme.scim.patch(f"/Groups/{group['id']}", json=remove("fake-member-id"))).status_code == 200
    assert await members_of(acme, group) == set()


async def test_a_cycle_is_refused(acme: Tenant) -> None:
    """No group may be inside itself, at any distance."""
    inner = await make(acme, "Inner")
    middle = await make(acme, "Middle", inner)
    outer = await make(acme, "Outer", middle)
    for group in (inner, middle, outer):
        refused = await acme.scim.patch(f"/Groups/{inner['id']}", json=add(group))
        assert refused.status_code == 400, group
    assert await members_of(acme, inner) == set()


async def test_concurrent_changes_lose_nothing(acme: Tenant) -> None:
    """Twenty changes of one group at the same moment, a rename among them, all count."""
    people = await asyncio.gather(*(acme.person() for _ in range(20)))
    group = await make(acme, "Engineering")
    rename = patch_op({"op": "replace", "path": "displayName", "value": "Renamed"})
    changes = [add(person) for person in people] + [rename]
    answers = await asyncio.gather(*(acme.scim.patch(f"/Groups/{group['id']}", json=change) for change in changes))
    assert {answer.status_code for answer in answers} == {200}
    assert await members_of(acme, group) == {person["id"] for person in people}
    assert (await acme.scim.get(f"/Groups/{group['id']}")).json()["displayName"] == "Renamed"


async def test_a_large_group_is_not_sent_for_a_small_change(acme: Tenant) -> None:
    """A change of one member in a group of many is answered without the list."""
    people = await asyncio.gather(*(acme.person() for _ in range(101)))
    group = await make(acme, "Everybody", *people)
    one_more = await acme.person()
    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=add(one_more))
    assert answer.status_code == 204
    assert len(await members_of(acme, group)) == 102

    asked = f"/Groups/{group['id']}?excludedAttributes=members"
    rename = patch_op({"op": "replace", "path": "displayName", "value": "All of us"})
    renamed = (await acme.scim.patch(asked, json=rename)).json()
    assert renamed["displayName"] == "All of us"
    assert "members" not in renamed


async def test_a_group_gives_a_role(acme: Tenant) -> None:
    """Joining a group with a role's name gives the role at once; leaving it means the default."""
    maria = await acme.person()
    guests = await make(acme, "dart-guests", maria)
    assert await role_of(acme, maria) == "guest"
    await acme.scim.patch(f"/Groups/{guests['id']}", json=remove(maria))
    assert await role_of(acme, maria) == "member"


async def test_a_role_through_a_nested_group(acme: Tenant) -> None:
    """A role reaches the people of inner groups, and ends when the inner group is taken out."""
    maria = await acme.person()
    inner = await make(acme, "Berlin", maria)
    outer = await make(acme, "dart-guests", inner)
    assert await role_of(acme, maria) == "guest"
    bob = await acme.person()
    await acme.scim.patch(f"/Groups/{inner['id']}", json=add(bob))
    assert await role_of(acme, bob) == "guest"
    await acme.scim.patch(f"/Groups/{outer['id']}", json=remove(inner))
    assert await role_of(acme, maria) == "member"
    assert await role_of(acme, bob) == "member"


async def test_renaming_a_group_moves_roles(acme: Tenant) -> None:
    """A group that gets a role's name gives that role to everybody in it."""
    maria = await acme.person()
    group = await make(acme, "Visitors", maria)
    rename = patch_op({"op": "replace", "value": {"id": group["id"], "displayName": "DART_GUEST"}})
    assert (await acme.scim.patch(f"/Groups/{group['id']}", json=rename)).status_code == 200
    assert await role_of(acme, maria) == "guest"


async def test_deleting_a_group_takes_its_role(acme: Tenant) -> None:
    """Who had a role through a deleted group has the default."""
    maria = await acme.person()
    group = await make(acme, "dart-guests", maria)
    assert (await acme.scim.delete(f"/Groups/{group['id']}")).status_code == 204
    assert await role_of(acme, maria) == "member"
    assert (await acme.scim.get(f"/Groups/{group['id']}")).status_code == 404
    assert (await acme.scim.delete(f"/Groups/{group['id']}")).status_code == 404


async def test_a_conflict_through_groups_is_refused_whole(acme: Tenant) -> None:
    """The refusal names the person and both groups; nobody is added, and a case is open until the cause is gone."""
    maria, bob = await acme.person("maria@acme.test"), await acme.person("bob@acme.test")
    guests = await make(acme, "dart-guests", maria)
    members = await make(acme, "dart-members")
    refused = await acme.scim.patch(f"/Groups/{members['id']}", json=add(bob, maria))
    assert refused.status_code == 400
    assert refused.json()["scimType"] == "invalidValue"
    for named in ("maria@acme.test", "dart-guests", "dart-members"):
        assert named in refused.json()["detail"]
    assert await members_of(acme, members) == set()
    assert await role_of(acme, maria) == "guest"
    cases = (await acme.callers.operator.get(f"{acme.v1}/conflict-cases")).json()["data"]
    assert [case["user_name"] for case in cases] == ["maria@acme.test"]

    await acme.scim.patch(f"/Groups/{guests['id']}", json=remove(maria))
    assert (await acme.scim.patch(f"/Groups/{members['id']}", json=add(maria))).status_code == 200
    assert (await acme.callers.operator.get(f"{acme.v1}/conflict-cases")).json()["data"] == []


async def test_a_conflict_between_a_group_and_the_attribute(acme: Tenant) -> None:
    """A role from a group and another one in `roles` are two roles, whichever comes second."""
    maria = await acme.person()
    await make(acme, "dart-guests", maria)
    change = patch_op({"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]})
    refused = await acme.scim.patch(f"/Users/{maria['id']}", json=change)
    assert refused.status_code == 400
    assert "dart-guests" in refused.json()["detail"]


async def test_two_groups_at_the_same_moment(acme: Tenant) -> None:
    """A person is never in two roles, also when two groups take them in at the same moment."""
    guests, members = await make(acme, "dart-guests"), await make(acme, "dart-members")
    for _ in range(10):
        maria = await acme.person()
        answers = await asyncio.gather(
            acme.scim.patch(f"/Groups/{guests['id']}", json=add(maria)),
            acme.scim.patch(f"/Groups/{members['id']}", json=add(maria)),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        assert await role_of(acme, maria) in ("guest", "member")


async def test_an_attribute_and_a_group_at_the_same_moment(acme: Tenant) -> None:
    """Nor when a group takes them in while their own attribute names another role."""
    guests = await make(acme, "dart-guests")
    change = patch_op({"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]})
    for _ in range(10):
        maria = await acme.person()
        answers = await asyncio.gather(
            acme.scim.patch(f"/Groups/{guests['id']}", json=add(maria)),
            acme.scim.patch(f"/Users/{maria['id']}", json=change),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_somebody_who_left_conflicts_with_nobody(acme: Tenant) -> None:
    """Adding somebody inactive to a second role's group is stored, and their return waits for the case."""
    maria = await acme.person()
    guests, members = await make(acme, "dart-guests", maria), await make(acme, "dart-members")
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert (await acme.scim.patch(f"/Groups/{members['id']}", json=add(maria))).status_code == 200
    back = patch_op({"op": "replace", "path": "active", "value": True})
    assert (await acme.scim.patch(f"/Users/{maria['id']}", json=back)).status_code == 400
    await acme.scim.patch(f"/Groups/{guests['id']}", json=remove(maria))
    assert (await acme.scim.patch(f"/Users/{maria['id']}", json=back)).status_code == 200
    assert await role_of(acme, maria) == "member"


async def test_removing_a_person_empties_their_groups(acme: Tenant) -> None:
    """A deleted person is in no group any more, and the group's version says so."""
    maria = await acme.person()
    group = await make(acme, "Engineering", maria)
    await acme.scim.delete(f"/Users/{maria['id']}")
    after = (await acme.scim.get(f"/Groups/{group['id']}")).json()
    assert after.get("members", []) == []
    assert after["meta"]["version"] != group["meta"]["version"]


async def test_groups_are_found(acme: Tenant) -> None:
    """Providers look a group up by name, by their own id, and by who is in it; and may leave the members out."""
    maria = await acme.person()
    group = await make(acme, "Engineering", maria)
    await make(acme, "Sales")
    for asked in ('displayName eq "ENGINEERING"', f'members.value eq "{maria["id"]}"', f'id eq "{group["id"]}"'):
        found = (await acme.scim.get("/Groups", params={"filter": asked})).json()
        assert [each["id"] for each in found["Resources"]] == [group["id"]], asked
    bare = await acme.scim.get("/Groups", params={"excludedAttributes": "members"})
    assert bare.json()["totalResults"] == 2
    assert all("members" not in each for each in bare.json()["Resources"])


async def test_one_entry_for_a_change_of_a_group(acme: Tenant) -> None:
    """A change by which roles move is one audit entry that says what happened."""
    maria = await acme.person()
    guests = await make(acme, "dart-guests")
    await acme.scim.patch(f"/Groups/{guests['id']}", json=add(maria))
    (entry,) = await acme.audit(action="scim.groups.patch")
    assert (entry["outcome"], entry["status"], entry["target"]) == ("done", 200, guests["id"])
    assert set(entry["events"]) == {"group.changed", "user.role_changed"}
