"""Leaving: one door closes every way in, in one transaction, once, whoever comes at the same moment."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from factories import DART_RULE, USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.access import revocation, sessions
from rollcall.db import Connection
from rollcall.errors import PersonInactive
from rows import until_waiting

REACTIVATION = patch_op({"op": "replace", "path": "active", "value": True})


async def messages(owner: Connection, tenant: Tenant, topic: str) -> list[dict[str, Any]]:
    """The payloads of the tenant's outbox messages of this topic."""
    rows = await owner.fetch(
        "SELECT payload::text AS payload FROM outbox WHERE tenant_id = $1 AND topic = $2 ORDER BY id",
        UUID(tenant.id),
        topic,
    )
    return [json.loads(row["payload"]) for row in rows]


async def epoch(owner: Connection, person: dict[str, Any]) -> int:
    return await owner.fetchval("SELECT epoch FROM accounts WHERE id = $1", UUID(person["id"]))


async def left(tenant: Tenant, person: dict[str, Any]) -> None:
    """Deactivate somebody through SCIM, as their provider does."""
    answer = await tenant.scim.patch(f"/Users/{person.get('scim_id', person['id'])}", json=deactivation())
    assert answer.status_code == 200, answer.text
    assert answer.json()["active"] is False


async def test_session_opened_first(callers: Callers, owner: Connection) -> None:
    """A deactivation waits for a session that is just being opened, and closes it."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    async with tenant.work() as work:
        new = await sessions.open_session(work, UUID(maria["id"]), lifetime=timedelta(hours=1))
        await work.db.flush()
        leaving = asyncio.create_task(left(tenant, maria))
        await until_waiting(owner, leaving)
    await leaving
    assert not await callers.is_live(new.text)
    (message,) = await messages(owner, tenant, "user.deactivated")
    assert message["closed"] == {"sessions": 1, "tokens": 0, "passkeys": 0, "external": 0, "passwords": 0}


async def test_deactivated_first(callers: Callers, owner: Connection) -> None:
    """A session asked for while a deactivation is being committed waits for it, and is refused."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    wanted = {"tenant": tenant.slug, "person": maria["id"]}
    async with tenant.work() as work:
        assert await revocation.end_all(work, UUID(maria["id"]), reason="test") is not None
        opening = asyncio.create_task(callers.product.post("/v1/sessions", json=wanted))
        await until_waiting(owner, opening)
    answer = await opening
    assert (answer.status_code, answer.json()["code"]) == (409, PersonInactive.code)
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", UUID(maria["id"])) == 0


async def test_deactivation_that_is_taken_back(callers: Callers, owner: Connection) -> None:
    """A session asked for while a deactivation fails is opened."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    opening: list[asyncio.Task[str]] = []
    with pytest.raises(LookupError):
        async with tenant.work() as work:
            await revocation.end_all(work, UUID(maria["id"]), reason="test")
            opening.append(asyncio.create_task(tenant.session(maria)))
            await until_waiting(owner, opening[0])
            raise LookupError
    assert await callers.is_live(await opening[0])


async def test_no_session_survives_a_crowd(callers: Callers, owner: Connection) -> None:
    """Of many sessions opened around a deactivation and a reactivation, none from before it is alive afterwards."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    wanted = {"tenant": tenant.slug, "person": maria["id"]}
    answers = await asyncio.gather(
        *(callers.product.post("/v1/sessions", json=wanted) for _ in range(6)),
        tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
        *(callers.product.post("/v1/sessions", json=wanted) for _ in range(6)),
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    opened = [answer.json()["token"] for answer in answers if answer.status_code == 201]
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    assert [text for text in opened if await callers.is_live(text)] == []
    assert await callers.is_live(await tenant.session(maria))


async def test_twice_is_once(callers: Callers, owner: Connection) -> None:
    """Deactivating twice ends once: the epoch rises by one and the outside is told once."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    before = await epoch(owner, maria)
    for _ in range(2):
        await left(tenant, maria)
    again = await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/deactivate")
    assert again.status_code == 200
    assert await epoch(owner, maria) == before + 1
    assert len(await messages(owner, tenant, "user.deactivated")) == 1


async def test_from_two_sides_at_once(callers: Callers, owner: Connection) -> None:
    """Deactivated by the provider and by ops at the same moment, somebody leaves once, and neither side fails."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    before = await epoch(owner, maria)
    answers = await asyncio.gather(
        tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
        callers.operator.post(f"{tenant.v1}/people/{maria['id']}/deactivate"),
        tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
    )
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert await epoch(owner, maria) == before + 1
    assert len(await messages(owner, tenant, "user.deactivated")) == 1


async def test_reactivation_revives_nothing(callers: Callers) -> None:
    """Who comes back is active, and none of their sessions, provider tokens and own tokens is."""
    tenant = await a_tenant(callers)
    personal = (await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"]))["token"]
    spare = await tenant.issue_token()
    session = await tenant.session(tenant.admin)
    old = [session, tenant.token["token"], personal]
    assert [await callers.is_live(text) for text in old] == [True, True, True]
    async with callers.bearer(spare["token"], path="/scim/v2") as provider:
        for change in (deactivation(), REACTIVATION):
            answer = await provider.patch(f"/Users/{tenant.admin['scim_id']}", json=change)
            assert answer.status_code == 200, answer.text
    person = (await callers.operator.get(f"{tenant.v1}/people/{tenant.admin['id']}")).json()
    assert (person["active"], person["is_admin"]) == (True, True)
    assert [await callers.is_live(text) for text in old] == [False, False, False]
    assert (await tenant.scim.get("/Users")).status_code == 401
    async with callers.bearer(personal) as admin:
        assert (await admin.get(tenant.v1)).status_code == 401


async def test_counts_are_of_what_was_alive(callers: Callers, owner: Connection) -> None:
    """The outside is told how many sessions and tokens the deactivation ended, not those that had ended before."""
    tenant = await a_tenant(callers)
    await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    revoked = await tenant.issue_token(owner=tenant.admin["id"])
    expired = await tenant.issue_token(owner=tenant.admin["id"])
    await callers.operator.post(f"{tenant.v1}/tokens/{revoked['id']}/revoke")
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE id = $1", UUID(expired["id"]))
    for _ in range(3):
        await tenant.session(tenant.admin)
    stale, closed = (
        row["id"] for row in await owner.fetch("SELECT id FROM sessions WHERE tenant_id = $1 LIMIT 2", UUID(tenant.id))
    )
    await owner.execute("UPDATE sessions SET expires_at = now() WHERE id = $1", stale)
    await callers.product.delete(f"{tenant.v1}/sessions/{closed}")
    await left(tenant, tenant.admin)
    (message,) = await messages(owner, tenant, "user.deactivated")
    assert message["closed"] == {"sessions": 1, "tokens": 2, "passkeys": 0, "external": 0, "passwords": 0}


async def test_everything_is_closed(callers: Callers, owner: Connection) -> None:
    """After the commit no row of the person is open, the expired ones included."""
    tenant = await a_tenant(callers)
    await tenant.session(tenant.admin)
    await owner.execute("UPDATE sessions SET expires_at = now() WHERE tenant_id = $1", UUID(tenant.id))
    await left(tenant, tenant.admin)
    for table, column in (("sessions", "closed_at"), ("tokens", "revoked_at")):
        query = f"SELECT count(*) FROM {table} WHERE tenant_id = $1 AND {column} IS NULL"
        assert await owner.fetchval(query, UUID(tenant.id)) == 0


async def test_others_are_not_touched(callers: Callers) -> None:
    """A deactivation ends one person's credentials and nobody else's."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    hers, his = await tenant.session(maria), await tenant.session(noor)
    await left(tenant, maria)
    assert not await callers.is_live(hers)
    assert await callers.is_live(his)
    assert await callers.is_live(tenant.token["token"])


async def test_last_admin(callers: Callers, owner: Connection) -> None:
    """Deactivating the last admin is obeyed, raises the alert for ops, and ops can appoint another."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    issued = await tenant.issue_token()
    async with callers.bearer(issued["token"], path="/scim/v2") as provider:
        answer = await provider.patch(f"/Users/{tenant.admin['scim_id']}", json=deactivation())
    assert answer.status_code == 200
    assert len(await messages(owner, tenant, "tenant.without_admin")) == 1
    appointed = await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/appoint")
    assert appointed.json()["is_admin"] is True


async def test_one_admin_of_two(callers: Callers, owner: Connection) -> None:
    """While another active admin is left, there is no alert."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/appoint")
    await left(tenant, tenant.admin)
    assert await messages(owner, tenant, "tenant.without_admin") == []


async def test_two_last_admins_at_once(callers: Callers, owner: Connection) -> None:
    """When the last two admins leave at the same moment, there is one alert, not none."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/appoint")

    both = asyncio.Barrier(2)

    async def leave(person: dict[str, Any]) -> None:
        async with tenant.work() as work:
            await revocation.end_all(work, UUID(person["id"]), reason="test")
            async with asyncio.timeout(60):
                await both.wait()  # now neither sees what the other one has done

    await asyncio.gather(leave(tenant.admin), leave(maria))
    assert len(await messages(owner, tenant, "tenant.without_admin")) == 1


@pytest.mark.parametrize("way", ["by hand", "by the provider", "through a group", "by a rule", "by a rule's roles"])
async def test_last_admin_who_loses_the_role(callers: Callers, owner: Connection, way: str) -> None:
    """Taking the role of the last admin raises the alert, whichever way; it names the request, once."""
    tenant = await a_tenant(callers)
    group = await tenant.scim.post("/Groups", json={"displayName": "dart-admins"})
    ops = await tenant.issue_token()
    headers = {"X-Request-Id": "last-admin"}
    async with callers.bearer(ops["token"], path="/scim/v2") as provider:
        members = {"displayName": "dart-admins", "members": [{"value": tenant.admin["scim_id"]}]}
        if way == "through a group":
            await provider.put(f"/Groups/{group.json()['id']}", json=members)
        elif way.startswith("by a rule"):
            say = patch_op({"op": "replace", "path": "roles", "value": ["dart-admins"]})
            await provider.patch(f"/Users/{tenant.admin['scim_id']}", json=say)
        assert await messages(owner, tenant, "tenant.without_admin") == []
        match way:
            case "by hand":
                address = f"{tenant.v1}/people/{tenant.admin['id']}/demote"
                answer = await callers.operator.post(address, headers=headers)
            case "by the provider":
                say = patch_op({"op": "replace", "path": "roles", "value": ["dart-guests"]})
                answer = await provider.patch(f"/Users/{tenant.admin['scim_id']}", json=say, headers=headers)
            case "through a group":
                answer = await provider.delete(f"/Groups/{group.json()['id']}", headers=headers)
            case "by a rule":
                rule = {**DART_RULE, "prefix": "other-"}
                answer = await callers.operator.put(f"{tenant.v1}/role-rule", json=rule, headers=headers)
            case _:
                roles = {**DART_RULE["roles"], "admin": {"label": "Admin", "names": ["admins"]}}
                rule = {**DART_RULE, "roles": roles | {"boss": {"label": "Boss", "admin": True}}}
                answer = await callers.operator.put(f"{tenant.v1}/role-rule", json=rule, headers=headers)
    assert answer.status_code in (200, 204), answer.text
    assert len(await messages(owner, tenant, "tenant.without_admin")) == 1
    (entry,) = await tenant.audit(action="tenant.without_admin")
    assert (entry["request_id"], entry["person_id"]) == ("last-admin", tenant.admin["id"])


async def test_many_last_admins_in_one_change(callers: Callers, owner: Connection) -> None:
    """A rule that takes the role of all admins at once raises one alert; one that makes others raises none."""
    tenant = await a_tenant(callers)
    for name in ("maria", "pedro"):
        await tenant.person(name, roles=["dart-admins"])
    ada = patch_op({"op": "replace", "path": "roles", "value": ["dart-guests"]})
    ops = await tenant.issue_token()
    async with callers.bearer(ops["token"], path="/scim/v2") as provider:
        assert (await provider.patch(f"/Users/{tenant.admin['scim_id']}", json=ada)).status_code == 200
    roles = {**DART_RULE["roles"], "admin": {"label": "Admin", "admin": True, "names": ["guests"]}}
    roles["guest"] = {"label": "Guest", "names": ["admins"]}
    await callers.operator.put(f"{tenant.v1}/role-rule", json={**DART_RULE, "roles": roles})
    assert await messages(owner, tenant, "tenant.without_admin") == []
    await callers.operator.put(f"{tenant.v1}/role-rule", json={**DART_RULE, "prefix": "other-"})
    assert len(await messages(owner, tenant, "tenant.without_admin")) == 1


async def test_last_admin_who_loses_the_role_at_once(callers: Callers, owner: Connection) -> None:
    """A PUT that deactivates the last admin and leaves out the role that made them one raises the alert too."""
    tenant = await a_tenant(callers)
    maria = await tenant.person("boss@put.test", roles=["dart-admins"])
    await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/deactivate")
    assert await messages(owner, tenant, "tenant.without_admin") == []
    issued = await tenant.issue_token()
    async with callers.bearer(issued["token"], path="/scim/v2") as provider:
        answer = await provider.put(
            f"/Users/{maria['id']}", json={"schemas": [USER], "userName": "boss@put.test", "active": False}
        )
    assert answer.status_code == 200, answer.text
    assert len(await messages(owner, tenant, "tenant.without_admin")) == 1


async def test_the_owner_of_the_token(callers: Callers) -> None:
    """A token that deactivates its own owner is obeyed and answered, and is dead at the next call."""
    tenant = await a_tenant(callers)
    await left(tenant, tenant.admin)
    assert (await tenant.scim.get("/Users")).status_code == 401
    (entry,) = [each for each in await tenant.audit(action="scim.users.patch") if each["outcome"] == "done"]
    assert entry["owner_id"] == entry["person_id"] == tenant.admin["id"]


async def test_deleting_the_owner_of_the_token(callers: Callers) -> None:
    """So is a token that deletes its own owner."""
    tenant = await a_tenant(callers)
    assert (await tenant.scim.delete(f"/Users/{tenant.admin['scim_id']}")).status_code == 204
    assert (await tenant.scim.get("/Users")).status_code == 401


async def test_deletion_closes_as_well(callers: Callers, owner: Connection) -> None:
    """DELETE goes through the same door: sessions end, the epoch rises, and the account stays for history."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session, before = await tenant.session(maria), await epoch(owner, maria)
    assert (await tenant.scim.delete(f"/Users/{maria['id']}")).status_code == 204
    assert not await callers.is_live(session)
    assert await epoch(owner, maria) == before + 1
    person = (await callers.operator.get(f"{tenant.v1}/people/{maria['id']}")).json()
    assert (person["active"], person["scim_id"]) == (False, None)
    assert (
        await callers.product.post("/v1/sessions", json={"tenant": tenant.slug, "person": maria["id"]})
    ).status_code == 409


async def test_deleting_who_left_before(callers: Callers, owner: Connection) -> None:
    """Deleting somebody who was deactivated before announces the removal, and no second departure."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await left(tenant, maria)
    assert (await tenant.scim.delete(f"/Users/{maria['id']}")).status_code == 204
    assert len(await messages(owner, tenant, "user.deactivated")) == 1
    assert len(await messages(owner, tenant, "user.removed")) == 1


async def test_return_after_deletion(callers: Callers) -> None:
    """Somebody created anew with their externalId is active again as themselves, and none of their old sessions is."""
    tenant = await a_tenant(callers)
    maria = await tenant.person(externalId="m-7")
    session = await tenant.session(maria)
    await tenant.scim.delete(f"/Users/{maria['id']}")
    again = await tenant.person(externalId="m-7")
    assert again["id"] != maria["id"]
    person = (await callers.operator.get(f"{tenant.v1}/people/{maria['id']}")).json()
    assert (person["active"], person["scim_id"]) == (True, again["id"])
    assert (person["deactivated_at"], person["deactivated_because"]) == (None, None)
    assert not await callers.is_live(session)


async def test_refused_change_closes_nothing(callers: Callers, owner: Connection) -> None:
    """A deactivation that is refused, as it is meant for another version of the person, ends nothing."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session = await tenant.session(maria)
    address, other = f"/Users/{maria['id']}", {"If-Match": 'W/"99"'}
    assert (await tenant.scim.patch(address, json=deactivation(), headers=other)).status_code == 412
    assert await callers.is_live(session)
    assert await messages(owner, tenant, "user.deactivated") == []
