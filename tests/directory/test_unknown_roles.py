"""Names that begin like a role's and are none: the default role, a mild case, and a line in the ledger."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from api.expect import done, refused
from factories import DART_RULE, Tenant, patch_op
from rollcall.db import Connection
from rollcall.directory import conflict_cases, people, roles
from rollcall.directory.models import ConflictCase
from rows import until_waiting

EMPERORS = {**DART_RULE, "roles": {**DART_RULE["roles"], "emperor": {"label": "Emperor", "names": ["emperors"]}}}
"""The dart- rule once it has learned the name."""
SAID = (
    "dart-emperors in roles: no role has this name, so the default role applies. "
    "Add it to a role in the role rule, or rename it at the identity provider."
)


async def cases(tenant: Tenant, *, closed: bool = False) -> Sequence[ConflictCase]:
    async with tenant.work() as work:
        return (await conflict_cases.page(work, closed=closed)).rows


async def open_names(tenant: Tenant) -> list[tuple[str, str]]:
    """Whose cases are open, and of which kind."""
    return sorted((case.user_name, case.kind) for case in await cases(tenant))


async def ledger(tenant: Tenant) -> dict[str, int]:
    """What the ledger counts of unknown role names."""
    await tenant.callers.app.state.context.batched_entries.flush()
    async with tenant.work() as work:
        rows = await work.db.connection()
        counted = await rows.exec_driver_sql(
            "SELECT habit AS deviation, times FROM deviations WHERE habit LIKE 'unknown-role%%'"
        )
        return {row.deviation: row.times for row in counted}


async def told(tenant: Tenant, topic: str) -> list[Any]:
    """The outbox's messages about this."""
    async with tenant.work() as work:
        rows = await work.db.connection()
        found = await rows.exec_driver_sql("SELECT payload FROM outbox WHERE topic = $1 ORDER BY id", (topic,))
        return [row.payload for row in found]


async def role(tenant: Tenant, person: dict[str, Any]) -> str:
    async with tenant.work() as work:
        return (await people.find(work, UUID(person["id"]))).account.role


async def edit(tenant: Tenant, rule: dict[str, Any]) -> None:
    async with tenant.work() as work:
        await roles.edit(work, roles.read_rule(rule))


async def say(tenant: Tenant, person: dict[str, Any], *named: str) -> dict[str, Any]:
    operation = {"op": "replace", "path": "roles", "value": [*named]}
    return done(await tenant.scim.patch(f"/Users/{person['id']}", json=patch_op(operation)))


async def group(tenant: Tenant, name: str, *members: dict[str, Any]) -> dict[str, Any]:
    body = {"displayName": name, "members": [{"value": member["id"]} for member in members]}
    return done(await tenant.scim.post("/Groups", json=body), 201)


async def change(tenant: Tenant, made: dict[str, Any], *operations: dict[str, Any]) -> None:
    answer = await tenant.scim.patch(f"/Groups/{made['id']}", json=patch_op(*operations))
    assert answer.status_code in (200, 204), answer.text


def adding(*members: dict[str, Any]) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": member["id"]} for member in members]}


@pytest.mark.parametrize("way", ["POST", "POST at once", "PUT", "PATCH", "Bulk"])
async def test_of_a_person(acme: Tenant, way: str) -> None:
    """However the name arrives for a person, they get the default role, one case opens, and the ledger counts it."""
    body = {"userName": "maria", "roles": ["dart-emperors"]}
    if way == "Bulk":
        operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": body}
        done(await acme.scim.post("/Bulk", json={"Operations": [operation]}))
    elif way.startswith("POST"):
        if way == "POST at once":
            await acme.person()
        done(await acme.scim.post("/Users", json=body), 201)
    else:
        person = await acme.person("maria", roles=["dart-guests"])
        if way == "PUT":
            done(await acme.scim.put(f"/Users/{person['id']}", json=body))
        else:
            await say(acme, person, "dart-emperors")

    (case,) = await cases(acme)
    assert (case.kind, case.user_name, case.stored, case.times, case.roles) == ("unknown_role", "maria", True, 1, [])
    assert case.detail == SAID
    assert [(name["name"], name["source"]) for name in case.names] == [("dart-emperors", "roles")]
    assert case.user_id is not None
    assert await role(acme, {"id": str(case.user_id)}) == "member"
    assert await ledger(acme) == {"unknown-role:dart-emperors": 1}
    assert await told(acme, "unknown_role.opened") == [{"names": ["dart-emperors"]}]
    entry = next(each for each in await acme.audit() if "unknown_role.opened" in each["events"])
    assert entry["outcome"] == "done"


async def test_shown(acme: Tenant) -> None:
    """An admin sees the case beside the conflicts, by its kind."""
    await acme.person("maria", roles=["dart-emperors"])

    answer = await acme.callers.operator.get(f"{acme.v1}/conflict-cases")

    assert '"kind":"unknown_role"' in answer.text
    assert "dart-emperors in roles: no role has this name" in answer.text


async def test_known_names_open_nothing(acme: Tenant) -> None:
    """Names that a role has, that begin otherwise, or that the rule does not read, are nothing to tell."""
    await acme.person("maria", roles=["dart-guests"])
    await acme.person("pedro", roles=["emperors", "Dart Emperors"])
    await edit(acme, {**DART_RULE, "sources": ["groups"]})
    await acme.person("rosa", roles=["dart-emperors"])

    assert await open_names(acme) == []
    assert await ledger(acme) == {}


@pytest.mark.parametrize("way", ["other name", "no name", "removed", "learned", "other prefix", "conflict"])
async def test_closes_itself(acme: Tenant, way: str) -> None:
    """The case closes when the name goes away, or the person, or when the rule learns it or no longer reads it."""
    person = await acme.person("maria", roles=["dart-emperors"])
    other = await acme.person("pedro", roles=["dart-emperors"], active=False)
    match way:
        case "other name":
            await say(acme, person, "dart-guests")
        case "no name":
            await say(acme, person)
        case "removed":
            assert (await acme.scim.delete(f"/Users/{person['id']}")).status_code == 204
        case "learned":
            await edit(acme, EMPERORS)
            assert await role(acme, person) == "emperor"
        case "other prefix":
            await edit(acme, {**DART_RULE, "prefix": "other-"})
        case _:
            await edit(acme, {**DART_RULE, "on_conflict": "hold"})
            await say(acme, person, "dart-emperors", "dart-guests")

    by_edit = way in ("learned", "other prefix")
    left = [] if by_edit else [("pedro", "unknown_role")]
    assert await open_names(acme) == ([("maria", "conflict"), *left] if way == "conflict" else left)
    assert [case.user_name for case in await cases(acme, closed=True)].count("maria") == 1
    if way == "other name":
        events = [event for entry in await acme.audit() for event in entry["events"]]
        assert events.count("unknown_role.closed") == 1
    await say(acme, other, "dart-guests")
    assert ("pedro", "unknown_role") not in await open_names(acme)


async def test_stays_with_other_changes(acme: Tenant) -> None:
    """Changes that leave the names as they are leave the case as it is; a rename takes it along."""
    person = await acme.person("maria", roles=["dart-emperors"])
    address = f"/Users/{person['id']}"
    done(await acme.scim.patch(address, json=patch_op({"op": "add", "path": "title", "value": "Dr"})))
    done(await acme.scim.patch(address, json=patch_op({"op": "replace", "path": "active", "value": False})))
    done(await acme.scim.patch(address, json=patch_op({"op": "replace", "path": "active", "value": True})))
    done(await acme.scim.patch(address, json=patch_op({"op": "replace", "path": "userName", "value": "mary"})))
    await acme.person("maria", roles=["dart-guests"])

    (case,) = await cases(acme)
    assert (case.user_name, case.times) == ("mary", 1)
    assert await ledger(acme) == {"unknown-role:dart-emperors": 1}
    assert len(await told(acme, "unknown_role.opened")) == 1


async def test_said_again(acme: Tenant) -> None:
    """A name that is said again counts in the ledger; another one counts the case, which is told once."""
    person = await acme.person("maria", roles=["dart-emperors"])
    await say(acme, person, "dart-emperors")
    await say(acme, person, "DART_KINGS")

    (case,) = await cases(acme)
    assert (case.times, case.names[0]["name"]) == (2, "DART_KINGS")
    assert await ledger(acme) == {"unknown-role:dart-emperors": 2, "unknown-role:DART_KINGS": 1}
    assert len(await told(acme, "unknown_role.opened")) == 1


async def test_beside_a_refused_change(acme: Tenant) -> None:
    """A conflict that was refused has its own case beside it, and takes nothing of it along when it closes."""
    person = await acme.person("maria", roles=["dart-emperors"])
    both = patch_op({"op": "replace", "path": "roles", "value": ["dart-admins", "dart-emperors"]})
    refused(await acme.scim.patch(f"/Users/{person['id']}", json=both), 400, "invalidValue")
    assert await open_names(acme) == [("maria", "conflict"), ("maria", "unknown_role")]

    await say(acme, person, "dart-emperors")

    assert await open_names(acme) == [("maria", "unknown_role")]


async def test_strict_profile(acme: Tenant) -> None:
    """The standard says nothing about role names, so the strict profile does not refuse one that no role has."""
    answer = await acme.callers.operator.patch(acme.v1, json={"profile": "strict"})
    assert answer.status_code == 200, answer.text
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "maria"}
    done(await acme.scim.post("/Users", json={**body, "roles": [{"value": "dart-emperors"}]}), 201)

    assert await open_names(acme) == [("maria", "unknown_role")]


@pytest.mark.parametrize("way", ["create", "add", "put", "rename", "nest", "through a nested one"])
async def test_of_a_group(acme: Tenant, way: str) -> None:
    """However the name arrives through groups, its members have a case each, and the ledger counts the change."""
    maria, pedro = await acme.person("maria"), await acme.person("pedro")
    if way == "create":
        await group(acme, "dart-emperors", maria, pedro)
    elif way == "rename":
        made = await group(acme, "Everybody", maria, pedro)
        await change(acme, made, {"op": "replace", "path": "displayName", "value": "dart-emperors"})
    elif way == "put":
        made = await group(acme, "Everybody")
        members = [{"value": maria["id"]}, {"value": pedro["id"]}]
        body = {"displayName": "dart-emperors", "members": members}
        done(await acme.scim.put(f"/Groups/{made['id']}", json=body))
    elif way == "nest":
        inner = await group(acme, "Everybody", maria, pedro)
        await group(acme, "dart-emperors", inner)
    else:
        inner = await group(acme, "Everybody")
        made = await group(acme, "dart-emperors", inner)
        assert await ledger(acme) == {"unknown-role:dart-emperors": 1}
        await change(acme, made if way == "add" else inner, adding(maria, pedro))

    assert await open_names(acme) == [("maria", "unknown_role"), ("pedro", "unknown_role")]
    assert (await cases(acme))[0].detail.startswith('group "dart-emperors": no role has this name')
    counted = 2 if way in ("add", "through a nested one") else 1
    assert await ledger(acme) == {"unknown-role:dart-emperors": counted}
    assert len(await told(acme, "unknown_role.opened")) == 2


@pytest.mark.parametrize("way", ["remove", "set", "rename", "delete", "learned"])
async def test_of_a_group_closes_itself(acme: Tenant, way: str) -> None:
    """It closes when the person leaves the group, or the group the name, or when the rule learns it."""
    maria = await acme.person("maria")
    made = await group(acme, "dart-emperors", maria)
    assert await open_names(acme) == [("maria", "unknown_role")]
    match way:
        case "remove":
            await change(acme, made, {"op": "remove", "path": f'members[value eq "{maria["id"]}"]'})
        case "set":
            await change(acme, made, {"op": "replace", "path": "members", "value": []})
        case "rename":
            await change(acme, made, {"op": "replace", "path": "displayName", "value": "dart-guests"})
        case "delete":
            assert (await acme.scim.delete(f"/Groups/{made['id']}")).status_code == 204
        case _:
            await edit(acme, EMPERORS)

    assert await open_names(acme) == []


async def test_beside_another_group(acme: Tenant) -> None:
    """Beside a role it is a conflict, and refused as ever; the mild case is for what is stored."""
    maria = await acme.person("maria", roles=["dart-guests"])
    body = {"displayName": "dart-emperors", "members": [{"value": maria["id"]}]}
    refused(await acme.scim.post("/Groups", json=body), 400, "invalidValue")

    assert await open_names(acme) == [("maria", "conflict")]


async def test_edit_that_forgets(acme: Tenant) -> None:
    """An edit by which names mean nothing any more opens their cases once, and counts how many have them."""
    await edit(acme, EMPERORS)
    for number in range(3):
        await acme.person(f"person{number}", roles=["dart-emperors"])
    assert await open_names(acme) == []

    await edit(acme, DART_RULE)
    await edit(acme, {**DART_RULE, "on_conflict": "hold"})

    assert await open_names(acme) == [(f"person{number}", "unknown_role") for number in range(3)]
    assert {case.times for case in await cases(acme)} == {1}
    assert await ledger(acme) == {"unknown-role:dart-emperors": 3}
    assert len(await told(acme, "unknown_role.opened")) == 3


@pytest.mark.parametrize("learned", [True, False])
async def test_name_that_meets_an_edit(acme: Tenant, watcher: Connection, *, learned: bool) -> None:
    """Names that arrive while the rule is edited wait, and are a case by the new rule or none."""
    maria = await acme.person("maria")
    if not learned:
        await edit(acme, EMPERORS)
    async with acme.work() as work:
        assert await roles.edit(work, roles.read_rule(EMPERORS if learned else DART_RULE))
        changing = asyncio.create_task(say(acme, maria, "dart-emperors"))
        await until_waiting(watcher, changing)
        new = asyncio.create_task(acme.person("pedro", roles=["dart-emperors"]))
        await asyncio.sleep(0.1)
        assert not new.done()
    await asyncio.gather(changing, new)

    unknown = [("maria", "unknown_role"), ("pedro", "unknown_role")]
    assert await open_names(acme) == ([] if learned else unknown)


async def test_edit_that_meets_a_name(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """An edit that waits for somebody's change sees the name it brings, and opens its case or closes it."""
    maria = await acme.person("maria")
    for rule, left in ((EMPERORS, []), (DART_RULE, [("maria", "unknown_role")])):
        await say(acme, maria)
        async with rival.transaction():
            await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", maria["id"])
            changing = asyncio.create_task(say(acme, maria, "dart-emperors"))
            await until_waiting(watcher, changing)
            editing = asyncio.create_task(edit(acme, rule))
            await asyncio.sleep(0.2)
            assert not editing.done()
        await asyncio.gather(changing, editing)
        assert await open_names(acme) == left


async def test_two_at_once(acme: Tenant) -> None:
    """Of a name by role and by group, given and taken at the same moment, the case says what is stored in the end."""
    person = await acme.person("maria")
    made = await group(acme, "dart-emperors")
    for round_ in range(12):
        inside, named = round_ % 2 == 0, round_ % 3 == 0
        members = [{"value": person["id"]}] if inside else []
        await asyncio.gather(
            change(acme, made, {"op": "replace", "path": "members", "value": members}),
            say(acme, person, *(["DART_EMPERORS"] if named else [])),
        )
        assert await open_names(acme) == ([("maria", "unknown_role")] if inside or named else []), round_


async def test_nobody_else_pays(acme: Tenant, rival: Connection) -> None:
    """A change of somebody with known names writes no case, opened or closed."""
    person = await acme.person("maria", roles=["dart-guests"])
    await say(acme, person, "dart-admins")

    assert await rival.fetchval("SELECT count(*) FROM conflict_cases WHERE tenant_id::text = $1", acme.id) == 0
