"""Groups with very many people that come to count for roles, or count no more: what is taken counts with the answer."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.expect import done, refused
from factories import DART_RULE, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection, Database
from rollcall.directory import people, role_changes
from rollcall.work import TenantRef

CROWD = 6


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than three people are many, and two of them a batch."""
    monkeypatch.setattr(role_changes, "MOST_AT_THE_ANSWER", 3)
    monkeypatch.setattr(role_changes, "AT_ONCE", 2)


async def a_crowd(tenant: Tenant, **attributes: Any) -> list[dict[str, Any]]:
    """People enough for a large change."""
    return [await tenant.person(**attributes) for _ in range(CROWD)]


def members(crowd: list[dict[str, Any]]) -> list[dict[str, str]]:
    """People as a group names them."""
    return [{"value": person["id"]} for person in crowd]


async def a_group(tenant: Tenant, name: str, those: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a group."""
    return done(await tenant.scim.post("/Groups", json={"displayName": name, "members": members(those)}), 201)


async def change(tenant: Tenant, group: dict[str, Any], *operations: dict[str, Any]) -> None:
    """Change a group."""
    answer = await tenant.scim.patch(f"/Groups/{group['id']}", json=patch_op(*operations))
    assert answer.status_code in (200, 204), answer.text


def renamed(name: str) -> dict[str, Any]:
    """The operation that renames a group."""
    return {"op": "replace", "path": "displayName", "value": name}


async def roles_of(tenant: Tenant, crowd: list[dict[str, Any]]) -> list[str]:
    """The roles they have."""
    async with tenant.work() as work:
        return [(await people.find(work, UUID(person["id"]))).account.role for person in crowd]


async def left(tenant: Tenant) -> int:
    """To how many a change has still to come."""
    async with tenant.work() as work:
        progress = await role_changes.progress(work)
    return 0 if progress is None else progress.left


async def to_the_end(tenant: Tenant, database: Database) -> None:
    """Bring it to everybody."""
    await role_changes.go_on(database, TenantRef(UUID(tenant.id), tenant.slug), "a worker", seconds=600)


async def test_renamed_and_back(acme: Tenant, database: Database) -> None:
    """A group that comes to mean a role gives it batch by batch; one that means none any more takes it at once."""
    crowd = await a_crowd(acme)
    group = await a_group(acme, "everybody", crowd)

    await change(acme, group, renamed("dart-guests"))

    assert await left(acme) == CROWD
    assert await roles_of(acme, crowd) == ["member"] * CROWD
    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    await change(acme, group, renamed("everybody"))
    assert await roles_of(acme, crowd) == ["member"] * CROWD
    assert await left(acme) == 0
    (last, *_) = await acme.audit(action="scim.groups.patch")
    assert last["events"] == ["group.changed", "user.role_changed"]


async def test_filled_and_emptied(acme: Tenant, database: Database) -> None:
    """So do very many members that come, and they lose it as they go."""
    crowd = await a_crowd(acme)
    group = await a_group(acme, "dart-guests", [])

    await change(acme, group, {"op": "add", "path": "members", "value": members(crowd)})
    assert await left(acme) == CROWD
    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD

    await change(acme, group, {"op": "replace", "path": "members", "value": []})
    assert await roles_of(acme, crowd) == ["member"] * CROWD


async def test_made_and_deleted(acme: Tenant, database: Database) -> None:
    """So does a group that is made with very many members, until it is deleted."""
    crowd = await a_crowd(acme)
    group = await a_group(acme, "dart-guests", crowd)
    assert await left(acme) == CROWD
    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD

    assert (await acme.scim.delete(f"/Groups/{group['id']}")).status_code == 204

    assert await roles_of(acme, crowd) == ["member"] * CROWD


async def test_nested(acme: Tenant, database: Database) -> None:
    """So does a group of very many that is put into one that counts, and is taken out."""
    crowd = await a_crowd(acme)
    inner = await a_group(acme, "everybody", crowd)
    outer = await a_group(acme, "dart-guests", [])
    await change(acme, outer, {"op": "add", "path": "members", "value": [{"value": inner["id"]}]})
    assert await left(acme) == CROWD
    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD

    await change(acme, outer, {"op": "remove", "path": f'members[value eq "{inner["id"]}"]'})

    assert await roles_of(acme, crowd) == ["member"] * CROWD


async def test_admins_lose_it_at_once(acme: Tenant, database: Database) -> None:
    """Who was an admin by a large group is none once the group is renamed, before a batch has come by."""
    crowd = await a_crowd(acme)
    group = await a_group(acme, "dart-admins", crowd)
    await to_the_end(acme, database)
    token = (await acme.issue_token(owner=crowd[0]["id"]))["token"]
    theirs = acme.callers.bearer(token, path="/scim/v2")
    done(await theirs.get("/Users"))

    await change(acme, group, renamed("dart-guests"))

    assert await left(acme) == 0
    refused(await theirs.get("/Users"), 401, saying="owner")
    assert await roles_of(acme, crowd) == ["guest"] * CROWD


async def test_conflicts_refuse_it_whole(acme: Tenant, owner: Connection) -> None:
    """A change by which people would have two roles is refused before anything has changed, with their cases."""
    crowd = await a_crowd(acme, roles=["dart-members"])
    away = await acme.person(roles=["dart-members"], active=False)
    group = await a_group(acme, "everybody", [*crowd, away])

    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=patch_op(renamed("dart-guests")))

    body = refused(answer, 400, "invalidValue", saying="a person has one role, so nothing was changed")
    assert f"and {CROWD - 5} more people" in body["detail"]
    assert done(await acme.scim.get(f"/Groups/{group['id']}"))["displayName"] == "everybody"
    assert await left(acme) == 0
    assert await roles_of(acme, crowd) == ["member"] * CROWD
    opened = "SELECT count(*) FROM conflict_cases WHERE tenant_id::text = $1 AND closed_at IS NULL"
    assert await owner.fetchval(opened, acme.id) == CROWD


async def test_conflicts_are_held(acme: Tenant, database: Database, owner: Connection) -> None:
    """Where conflicts are held the change stands, roles stay, and cases open; they close as the cause goes."""
    held = await acme.callers.operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "on_conflict": "hold"})
    assert held.status_code == 200, held.text
    crowd = await a_crowd(acme, roles=["dart-members"])
    group = await a_group(acme, "everybody", crowd)
    opened = "SELECT count(*) FROM conflict_cases WHERE tenant_id::text = $1 AND closed_at IS NULL"

    await change(acme, group, renamed("dart-guests"))
    await to_the_end(acme, database)

    assert await roles_of(acme, crowd) == ["member"] * CROWD
    assert await owner.fetchval(opened, acme.id) == CROWD
    await change(acme, group, renamed("everybody"))
    assert await owner.fetchval(opened, acme.id) == 0


async def test_added_to_what_is_under_way(acme: Tenant, database: Database) -> None:
    """A large change of a group does not forget whom the one before has still to come to."""
    one, other = await a_crowd(acme), await a_crowd(acme)
    await a_group(acme, "dart-guests", one)
    await a_group(acme, "dart-technical-admins", other)

    assert await left(acme) == 2 * CROWD
    await to_the_end(acme, database)

    assert await roles_of(acme, [*one, *other]) == ["guest"] * CROWD + ["technical-admin"] * CROWD


async def test_departure_beside_it(acme: Tenant, database: Database) -> None:
    """People leave and are changed while large changes of their group come one after the other; one rule is left."""
    crowd = await a_crowd(acme)
    group = await a_group(acme, "everybody", crowd)
    other = await a_tenant(acme.callers)

    async def to_and_fro() -> None:
        for name in ("dart-guests", "everybody", "dart-technical-admins", "dart-guests"):
            await change(acme, group, renamed(name))
            await to_the_end(acme, database)

    async def leave(person: dict[str, Any]) -> None:
        done(await acme.scim.patch(f"/Users/{person['id']}", json=deactivation()))

    async def entitle(person: dict[str, Any]) -> None:
        for title in ("x", "y", "z"):
            op = {"op": "add", "path": "title", "value": title}
            done(await acme.scim.patch(f"/Users/{person['id']}", json=patch_op(op)))

    async with asyncio.timeout(120):
        await asyncio.gather(to_and_fro(), *map(leave, crowd[:2]), *map(entitle, crowd[2:]))
    await to_the_end(acme, database)

    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    assert await left(other) == 0


HOLDING = {**DART_RULE, "on_conflict": "hold"}


async def cases_of(tenant: Tenant) -> list[list[str]]:
    """The roles in each open case."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/conflict-cases")
    return [case["roles"] for case in answer.json()["data"]]


@pytest.mark.parametrize("way", ["deleted", "emptied", "renamed"])
async def test_what_is_left_gives_no_admin(callers: Callers, database: Database, way: str) -> None:
    """Whoever is also in a group of admins, and was held at guest for it, is no admin when very many lose the other."""
    tenant = await a_tenant(callers, rule=HOLDING)
    crowd = await a_crowd(tenant)
    guests = await a_group(tenant, "dart-guests", crowd)
    await to_the_end(tenant, database)
    admins = await a_group(tenant, "dart-admins", crowd)
    await to_the_end(tenant, database)
    assert await roles_of(tenant, crowd) == ["guest"] * CROWD

    if way == "deleted":
        assert (await tenant.scim.delete(f"/Groups/{guests['id']}")).status_code == 204
    elif way == "emptied":
        await change(tenant, guests, {"op": "replace", "path": "members", "value": []})
    else:
        await change(tenant, guests, renamed("everybody"))
    assert await roles_of(tenant, crowd) == ["guest"] * CROWD
    await to_the_end(tenant, database)
    assert await roles_of(tenant, crowd) == ["guest"] * CROWD
    assert await cases_of(tenant) == [["admin", "guest"]] * CROWD

    edited = await callers.operator.put(f"{tenant.v1}/role-rule", json={**HOLDING, "default": "guest"})
    assert edited.status_code == 200, edited.text
    await to_the_end(tenant, database)
    assert await roles_of(tenant, crowd) == ["guest"] * CROWD, "their names mean what they meant"
    assert await cases_of(tenant) == [["admin", "guest"]] * CROWD

    await change(tenant, admins, {"op": "replace", "path": "members", "value": []})
    await to_the_end(tenant, database)
    assert await roles_of(tenant, crowd) == ["guest"] * CROWD
    assert await cases_of(tenant) == []
    await change(tenant, admins, {"op": "add", "path": "members", "value": members(crowd)})
    await to_the_end(tenant, database)
    assert await roles_of(tenant, crowd) == ["admin"] * CROWD
