"""Members who come and go in one statement: as in several, and judged by whatever names the group comes under."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from factories import DART_RULE, Callers, Tenant, a_tenant, patch_op
from provisioning.test_recent_callers import KEPT, forget, is_remembered, statements
from rollcall.db import Connection
from rollcall.scim.resources import GROUP_SCHEMA as GROUP


async def make(tenant: Tenant, name: str, *members: str) -> str:
    """Make a group; returns its id."""
    given = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members]}
    answer = await tenant.scim.post("/Groups", json=given)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def add(*members: str) -> dict[str, Any]:
    return patch_op({"op": "add", "path": "members", "value": [{"value": member} for member in members]})


def remove(member: str) -> dict[str, Any]:
    return patch_op({"op": "remove", "path": f'members[value eq "{member}"]'})


async def role_of(tenant: Tenant, person: str) -> str:
    return (await tenant.callers.operator.get(f"{tenant.v1}/people/{person}")).json()["role"]


CHANGES: dict[str, dict[str, Any]] = {
    "somebody comes": add("<maria>"),
    "who is there": add("<held>"),
    "several": add("<maria>", "<held>", "<noor>", "<maria>"),
    "somebody goes": remove("<held>"),
    "who was not there": remove("<maria>"),
    "nobody knows them": add("<nobody>"),
    "nobody goes": remove("<nobody>"),
    "a group": add("<inner>"),
    "a group goes": remove("<nested>"),
    "a stranger": add("fake-member-id"),
    "called by a name": patch_op({"op": "add", "path": "members", "value": [{"value": "<maria>", "display": "M"}]}),
    "bare strings": patch_op({"op": "Add", "path": "members", "value": ["<maria>"]}),
    "removed by value": patch_op({"op": "Remove", "path": "members", "value": [{"value": "<held>"}]}),
    "there and back": patch_op(add("<maria>")["Operations"][0], remove("<maria>")["Operations"][0]),
    "all set": patch_op({"op": "replace", "path": "members", "value": [{"value": "<maria>"}]}),
    "with a name": patch_op(
        {"op": "replace", "value": {"displayName": "dart-guests"}}, add("<maria>")["Operations"][0]
    ),
    "unknown attribute": patch_op({"op": "add", "path": "nobodys", "value": "x"}),
}


@pytest.mark.parametrize("profile", ["default", "entra", "strict"])
@pytest.mark.parametrize("sent", CHANGES.values(), ids=CHANGES)
async def test_the_same_either_way(callers: Callers, rival: Connection, sent: dict[str, Any], profile: str) -> None:
    """The answer, the stored group, its version, roles, audit, outbox and ledger are the same, remembered or not."""
    outcomes: list[Any] = []
    for remembered in (False, True):
        tenant = await a_tenant(callers, profile=profile)
        ids = {name: (await tenant.person(name))["id"] for name in ("held", "maria", "noor")}
        ids |= {name: await make(tenant, name) for name in ("inner", "nested")}
        group = await make(tenant, "Readers", ids["held"], ids["nested"])
        ids["nobody"] = str(UUID(int=7))
        told: list[Any] = []
        for _ in range(2):  # what is asked for the second time is so already
            if not remembered:
                forget(tenant)
            assert is_remembered(tenant) == remembered
            answer = await tenant.scim.patch(
                f"/Groups/{group}", json=filled(sent, {f"<{name}>": own for name, own in ids.items()})
            )
            shown = (await tenant.scim.get(f"/Groups/{group}")).json()
            names = {own: name for name, own in ids.items()}
            told += [
                answer.status_code,
                answer.content and answer.status_code == 200 and answer.json() == shown,
                shown["displayName"],
                shown["meta"]["version"],
                sorted(str(names.get(member["value"], member["value"])) for member in shown.get("members", [])),
                [await role_of(tenant, ids[name]) for name in ("held", "maria", "noor")],
            ]
        await callers.app.state.context.batched_entries.flush()
        counted = await callers.operator.get(f"{tenant.v1}/deviations")
        audit = await tenant.audit(action="scim.groups.patch")
        topics = await rival.fetch("SELECT topic FROM outbox WHERE tenant_id = $1 ORDER BY id", UUID(tenant.id))
        outcomes.append(
            (
                told,
                [{name: entry[name] for name in KEPT if name not in ("detail", "payload")} for entry in audit],
                [filled(entry["payload"], {own: f"<{name}>" for name, own in ids.items()}) for entry in audit],
                [row["topic"] for row in topics],
                [(each["deviation"], each["times"]) for each in counted.json()["data"]],
            )
        )
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) == 2


def filled(sent: Any, words: dict[str, str]) -> Any:
    """*sent* with these words put for others, wherever they stand."""
    text = json.dumps(sent)
    for word, instead in words.items():
        text = text.replace(word, instead)
    return json.loads(text)


async def test_one_statement(callers: Callers) -> None:
    """A remembered caller who puts somebody into a plain group asks the database once."""
    tenant = await a_tenant(callers)
    maria, noor = [(await tenant.person())["id"] for _ in range(2)]
    group = await make(tenant, "Readers", maria)
    with statements() as asked:
        answer = await tenant.scim.patch(f"/Groups/{group}", json=add(noor))
    assert {member["value"] for member in answer.json()["members"]} == {maria, noor}
    assert len(asked) == 1
    assert "save_group(" in asked[0]


async def test_removed_meanwhile(acme: Tenant) -> None:
    """Who is removed at the moment they are put into a group is in it or unknown; nothing fails."""
    group = await make(acme, "Readers")
    for _ in range(20):
        person = (await acme.person())["id"]
        change, removal = await asyncio.gather(
            acme.scim.patch(f"/Groups/{group}", json=add(person)), acme.scim.delete(f"/Users/{person}")
        )
        assert change.status_code in (200, 400), change.text
        assert removal.status_code == 204
    assert "members" not in (await acme.scim.get(f"/Groups/{group}")).json()


async def test_group_removed_meanwhile(acme: Tenant) -> None:
    """A group that is deleted at the moment somebody comes or goes is gone, and nothing fails."""
    person, other = [(await acme.person())["id"] for _ in range(2)]
    for number in range(20):
        group = await make(acme, "Readers", other)
        change = add(person) if number % 2 else remove(other)
        changed, removed = await asyncio.gather(
            acme.scim.patch(f"/Groups/{group}", json=change), acme.scim.delete(f"/Groups/{group}")
        )
        assert changed.status_code in (200, 404), changed.text
        assert removed.status_code == 204


@pytest.mark.parametrize("renamed", [False, True], ids=["nested", "renamed"])
async def test_a_name_that_comes_meanwhile(acme: Tenant, rival: Connection, *, renamed: bool) -> None:
    """Whoever is coming into a group when it comes under a name that counts has the role of that name."""
    await acme.person()
    person, readers = (await acme.person())["id"], await make(acme, "Readers")
    middle = await make(acme, "Middle", readers)
    above = await make(acme, "Above", middle) if renamed else await make(acme, "dart-admins")
    rename = patch_op({"op": "replace", "path": "displayName", "value": "dart-admins"})
    async with rival.transaction():
        await rival.execute("LOCK TABLE outbox IN SHARE MODE")  # both have done all but tell of it
        coming = asyncio.create_task(acme.scim.patch(f"/Groups/{readers}", json=add(person)))
        await asyncio.sleep(0.3)
        naming = asyncio.create_task(acme.scim.patch(f"/Groups/{above}", json=rename if renamed else add(middle)))
        await asyncio.sleep(0.3)
        assert not coming.done()
        assert not naming.done()
    assert ((await coming).status_code, (await naming).status_code) == (200, 200)
    assert await role_of(acme, person) == "admin"


async def test_a_rule_that_is_being_edited(acme: Tenant, rival: Connection) -> None:
    """Whoever comes into a group while the role rule is edited is judged by the edited rule."""
    person = (await acme.person())["id"]
    await acme.person(roles=["else-guests"])  # whom the edit concerns, so that it waits for their account
    group = await make(acme, "else-guests")
    edited = DART_RULE | {"prefix": "else-"}
    async with rival.transaction():
        await rival.execute("SELECT FROM accounts WHERE tenant_id = $1 FOR UPDATE", UUID(acme.id))
        edit = asyncio.create_task(acme.callers.operator.put(f"{acme.v1}/role-rule", json=edited))
        await asyncio.sleep(0.3)
        change = asyncio.create_task(acme.scim.patch(f"/Groups/{group}", json=add(person)))
        await asyncio.sleep(0.3)
        assert not edit.done()
        assert not change.done()
    assert (await change).status_code == 200
    assert (await edit).status_code == 200, edit.result().text
    assert await role_of(acme, person) == "guest"


async def test_a_group_that_goes_while_the_rule_is_edited(acme: Tenant, rival: Connection) -> None:
    """Nobody keeps a role from a group that is deleted while the rule that makes it one is put in force."""
    person = (await acme.person())["id"]
    group = await make(acme, "else-guests", person)
    async with rival.transaction():
        await rival.execute("SELECT FROM accounts WHERE tenant_id = $1 FOR UPDATE", UUID(acme.id))
        edit = asyncio.create_task(
            acme.callers.operator.put(f"{acme.v1}/role-rule", json=DART_RULE | {"prefix": "else-"})
        )
        await asyncio.sleep(0.3)
        removal = asyncio.create_task(acme.scim.delete(f"/Groups/{group}"))
        await asyncio.sleep(0.3)
        assert not edit.done()
        assert not removal.done()
    assert ((await edit).status_code, (await removal).status_code) == (200, 204)
    assert await role_of(acme, person) == "member"


async def test_nobody_elses(callers: Callers) -> None:
    """A group that is remembered as plain is so in its own tenant only."""
    ours, theirs = await a_tenant(callers), await a_tenant(callers)
    group, person = await make(theirs, "Readers"), (await ours.person())["id"]
    assert (await theirs.scim.patch(f"/Groups/{group}", json=add((await theirs.person())["id"]))).status_code == 200
    for address in (group, str(uuid4())):
        answer = await ours.scim.patch(f"/Groups/{address}", json=add(person))
        assert answer.status_code == 404
