"""Edits of the role rule that meet people who are being changed."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.expect import done
from factories import DART_RULE, Tenant, patch_op
from rollcall.db import Connection
from rollcall.directory import people, roles
from rollcall.errors import Invalid
from rows import until_waiting

SWAPPED: dict[str, Any] = {
    **DART_RULE,
    "roles": {
        **DART_RULE["roles"],
        "guest": {"label": "Guest", "names": ["technical-admins"]},
        "technical-admin": {"label": "Technical admin", "names": ["guests"]},
    },
}
"""The dart- rule with two names that mean each other's role."""


async def role(tenant: Tenant, person: dict[str, Any]) -> str:
    """The role somebody has."""
    async with tenant.work() as work:
        return (await people.find(work, UUID(person["id"]))).account.role


async def test_change_that_meets_an_edit(acme: Tenant, watcher: Connection) -> None:
    """A change and a creation that meet an edit of the rule wait, and follow the new one."""
    person = await acme.person("maria")
    body = patch_op({"op": "add", "path": "roles", "value": ["dart-guests"]})
    async with acme.work() as work:
        assert await roles.edit(work, roles.read_rule(SWAPPED))
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=body))
        await until_waiting(watcher, change)
        new = asyncio.create_task(acme.scim.post("/Users", json={"userName": "pedro", "roles": ["dart-guests"]}))
        await asyncio.sleep(0.1)
        assert not new.done()

    assert done(await change)["roles"] == [{"value": "dart-guests"}]
    assert await role(acme, person) == "technical-admin"
    assert await role(acme, done(await new, 201)) == "technical-admin"


async def test_edit_that_meets_a_change(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """An edit that waited for somebody's change reads the names as they are after it, not as they were before."""
    person = await acme.person("maria", roles=["dart-guests"])

    async def edit() -> None:
        async with acme.work() as work:
            await roles.edit(work, roles.read_rule(SWAPPED))

    async with rival.transaction():
        await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", person["id"])
        editing = asyncio.create_task(edit())
        await until_waiting(watcher, editing)
        await rival.execute(
            """UPDATE users SET document = document || '{"roles": [{"value": "dart-admins"}]}' WHERE id::text = $1""",
            person["id"],
        )
    await editing

    assert await role(acme, person) == "admin"


async def test_many_edits_and_changes_at_once(acme: Tenant) -> None:
    """Whatever the order in which edits and changes come, everybody has the role of their names by the last rule."""
    crowd = [await acme.person(f"p{number}") for number in range(6)]
    names = ["dart-guests", "dart-technical-admins"]

    async def change(person: dict[str, Any]) -> None:
        for number in range(6):
            body = patch_op({"op": "replace", "path": "roles", "value": [names[number % 2]]})
            done(await acme.scim.patch(f"/Users/{person['id']}", json=body))

    async def edit() -> None:
        for rule in [SWAPPED, DART_RULE, SWAPPED, DART_RULE, SWAPPED]:
            answer = await acme.callers.operator.put(f"{acme.v1}/role-rule", json=rule)
            assert answer.status_code == 200, answer.text

    async with asyncio.timeout(30):
        await asyncio.gather(edit(), *map(change, crowd))

    assert {await role(acme, person) for person in crowd} == {"guest"}


async def test_edit_counts_whom_it_changed(acme: Tenant) -> None:
    """The audit says how many people an edit changed, and how many cases it opened."""
    for number in range(3):
        await acme.person(f"p{number}", roles=["dart-guests"])
    await acme.person("torn", roles=["dart-guests", "dart-emperors"], active=False)

    async with acme.work() as work:
        await roles.edit(work, roles.read_rule(SWAPPED))

    (entry,) = await acme.audit(action="role_rule.changed")
    assert entry["payload"] == {"version": 2, "people_changed": 3, "cases_opened": 1}


@pytest.mark.parametrize(
    ("rule", "saying"),
    [
        ({}, "roles: Field required; default: Field required"),
        ({**DART_RULE, "default": "x"}, 'the default role "x" is none of the roles'),
        ({**DART_RULE, "roles": {"Big": {"label": "B"}}}, "roles.Big"),
        ({**DART_RULE, "sources": ["x"]}, "sources.0"),
    ],
)
def test_errors_say_where(rule: dict[str, Any], saying: str) -> None:
    """A rule that can't be is refused with the place and the reason, in words of our own."""
    with pytest.raises(Invalid) as refused:
        roles.read_rule(rule)

    assert saying in refused.value.detail
    assert "pydantic" not in refused.value.detail


async def test_edit_tells_of_every_role_it_changes(acme: Tenant, watcher: Connection) -> None:
    """The outside hears of each person whose role an edit changes and whose names it makes conflict, once."""
    guest = await acme.person("guest", roles=["dart-guests"])
    torn = await acme.person("torn", roles=["dart-members", "sport-guests"])
    rule = {**SWAPPED, "roles": {**SWAPPED["roles"]}}
    rule["roles"]["guest"] = {**rule["roles"]["guest"], "aliases": ["sport-guests"]}

    for on_conflict in ("reject", "hold"):
        answer = await acme.callers.operator.put(
            f"{acme.v1}/role-rule", json={**rule, "on_conflict": on_conflict}, headers={"X-Request-Id": "edited"}
        )
        assert answer.status_code == 200, answer.text

    rows = await watcher.fetch(
        "SELECT topic, account_id::text AS person, payload->>'after' AS role FROM outbox WHERE tenant_id = $1"
        " AND request_id = 'edited' AND account_id IS NOT NULL ORDER BY id",
        UUID(acme.id),
    )
    assert {(row["topic"], row["person"], row["role"]) for row in rows} == {
        ("user.role_changed", guest["id"], "technical-admin"),
        ("conflict.opened", torn["id"], None),
    }
    assert len(rows) == 2


@pytest.mark.bound(60)
async def test_edit_reaches_a_crowd_quickly(acme: Tenant, rival: Connection) -> None:
    """An edit is brought to ten thousand people, a tenth of them in conflict by it, within seconds."""
    await rival.execute(
        """
        WITH made AS (
            INSERT INTO accounts (tenant_id, user_name, active, role, is_admin, role_state)
            SELECT a.tenant_id, 'p' || n, true, 'guest', false,
                   a.role_state || '{"role": "guest", "origin": "provider", "managed": true, "provider_role": "guest"}'
              FROM accounts a, generate_series(1, 10000) n WHERE a.id::text = $1 RETURNING *)
        INSERT INTO users (tenant_id, id, account_id, user_name_key, active, document)
        SELECT tenant_id, id, id, user_name, true, jsonb_build_object('userName', user_name, 'roles',
               CASE WHEN user_name LIKE '%7' THEN '[{"value": "dart-guests"}, {"value": "sport-members"}]'
                    ELSE '[{"value": "dart-guests"}]' END::jsonb) FROM made
        """,
        acme.admin["id"],
    )
    rule = {**SWAPPED, "roles": {**SWAPPED["roles"], "member": {"label": "Member", "aliases": ["sport-members"]}}}

    async with acme.work() as work:
        await roles.edit(work, roles.read_rule(rule))

    (entry,) = await acme.audit(action="role_rule.changed")
    assert entry["payload"] == {"version": 2, "people_changed": 9000, "cases_opened": 1000}
