"""Tokens: shown once, twenty at the most, rotated with an overlap, revoked for good, and whose they can be."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from factories import USER, Callers, Tenant, a_tenant
from rollcall.access import tokens
from rollcall.db import Connection
from rollcall.functions import qualified
from rollcall.provisioning import batched_entries
from rows import tables_with, until_waiting


async def works(tenant: Tenant, token: str) -> bool:
    """Whether the tenant's provider gets in with *token*."""
    async with tenant.callers.bearer(token, path="/scim/v2") as client:
        answer = await client.get("/Users", params={"count": 0})
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def rotated(tenant: Tenant, token_id: str, *, overlap: int = 0) -> httpx.Response:
    return await tenant.callers.operator.post(
        f"{tenant.v1}/tokens/{token_id}/rotate", json={"overlap_seconds": overlap}
    )


async def an_admin(tenant: Tenant, name: str = "grace") -> tuple[dict[str, Any], httpx.AsyncClient]:
    """Another admin of the tenant, and the client that calls the management API as them."""
    made = await tenant.callers.operator.post(
        f"{tenant.v1}/people", json={"user_name": f"{name}@{tenant.slug}.test", "role": "admin"}
    )
    assert made.status_code == 201, made.text
    issued = await tenant.issue_token(scopes=["admin"], owner=made.json()["id"])
    return made.json(), tenant.callers.bearer(issued["token"])


async def test_shown_once(callers: Callers, owner: Connection) -> None:
    """A token's text is in the answer that made it and in no row of any table; what is kept is its SHA-256."""
    tenant = await a_tenant(callers)
    text: str = tenant.token["token"]
    secret = text.split("_")[4]
    assert await works(tenant, text)
    await rotated(tenant, tenant.token["id"])
    await tenant.audit()
    assert await tables_with(owner, secret) == []
    assert await tables_with(owner, secret.encode().hex()) == []
    kept = await owner.fetchval("SELECT digest FROM tokens WHERE id = $1", UUID(tenant.token["id"]))
    assert kept == sha256(text.encode()).digest()


async def test_lists_show_no_secret(callers: Callers) -> None:
    """Lists, answers to a revocation and the audit say which token it is, and nothing that opens it."""
    tenant = await a_tenant(callers)
    text: str = tenant.token["token"]
    listed = await callers.operator.get(f"{tenant.v1}/tokens")
    revoked = await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    audit = await callers.operator.get(f"{tenant.v1}/audit")
    for answer in (listed, revoked, audit):
        assert tenant.token["id"] in answer.text
        assert text not in answer.text
        assert text.split("_")[4] not in answer.text


async def test_twenty_at_the_most(callers: Callers) -> None:
    """The twenty-first live token is refused, until one of the twenty has ended."""
    tenant = await a_tenant(callers)
    others = [await tenant.issue_token() for _ in range(tokens.MOST_LIVE - 1)]
    refused = await callers.operator.post(f"{tenant.v1}/tokens", json={"label": "one more"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_tokens")
    await callers.operator.post(f"{tenant.v1}/tokens/{others[-1]['id']}/revoke")
    await tenant.issue_token()


async def test_two_at_once_for_one_place(callers: Callers) -> None:
    """Of two tokens issued at the same moment for the twentieth place, one is refused."""
    tenant = await a_tenant(callers)
    for _ in range(tokens.MOST_LIVE - 2):
        await tenant.issue_token()
    answers = await asyncio.gather(
        *(callers.operator.post(f"{tenant.v1}/tokens", json={"label": "rival"}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_the_last_place_is_given_once(callers: Callers, owner: Connection) -> None:
    """While a token is being issued for the twentieth place, another one waits, and is refused."""
    tenant = await a_tenant(callers)
    for _ in range(tokens.MOST_LIVE - 2):
        await tenant.issue_token()
    async with tenant.work() as work:
        await tokens.issue(work, label="first", scopes=[tokens.Scope.SCIM], owner_id=None)
        await work.db.flush()
        rival = asyncio.create_task(callers.operator.post(f"{tenant.v1}/tokens", json={"label": "rival"}))
        await until_waiting(owner, rival)
    assert (await rival).status_code == 409


async def test_room_is_for_live_ones(callers: Callers, owner: Connection) -> None:
    """Expired tokens take no place."""
    tenant = await a_tenant(callers)
    for _ in range(tokens.MOST_LIVE - 1):
        await tenant.issue_token()
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE tenant_id = $1", UUID(tenant.id))
    await tenant.issue_token()


async def test_rotation_with_overlap(callers: Callers, owner: Connection) -> None:
    """Old and new token both work during the overlap; when it is over only the new one does."""
    tenant = await a_tenant(callers)
    answer = await rotated(tenant, tenant.token["id"], overlap=3600)
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert (new["label"], new["scopes"], new["owner_id"]) == ("identity provider", ["scim"], tenant.admin["id"])
    assert await works(tenant, tenant.token["token"])
    assert await works(tenant, new["token"])
    await owner.execute(
        "UPDATE tokens SET expires_at = expires_at - interval '1 hour' WHERE id = $1", UUID(tenant.token["id"])
    )
    assert not await works(tenant, tenant.token["token"])
    assert await works(tenant, new["token"])


async def test_rotation_without_overlap(callers: Callers) -> None:
    """Without an overlap the old token is refused at its next call."""
    tenant = await a_tenant(callers)
    new = (await rotated(tenant, tenant.token["id"])).json()
    assert not await works(tenant, tenant.token["token"])
    assert await works(tenant, new["token"])


async def test_rotated_twice(callers: Callers) -> None:
    """A token that has been replaced can't be rotated again, not even during its overlap."""
    tenant = await a_tenant(callers)
    await rotated(tenant, tenant.token["id"], overlap=3600)
    again = await rotated(tenant, tenant.token["id"], overlap=3600)
    assert (again.status_code, again.json()["code"]) == (409, "token_ended")


async def test_rotated_twice_at_once(callers: Callers) -> None:
    """Of two rotations of one token at the same moment one succeeds, so there is one successor."""
    tenant = await a_tenant(callers)
    answers = await asyncio.gather(*(rotated(tenant, tenant.token["id"], overlap=60) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_rotating_what_has_ended(callers: Callers, owner: Connection) -> None:
    """A revoked or expired token can't be rotated back to life."""
    tenant = await a_tenant(callers)
    expired = await tenant.issue_token()
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE id = $1", UUID(expired["id"]))
    await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    for token_id in (expired["id"], tenant.token["id"]):
        answer = await rotated(tenant, token_id)
        assert (answer.status_code, answer.json()["code"]) == (409, "token_ended")


async def test_rotation_in_a_full_house(callers: Callers) -> None:
    """With twenty live tokens one can be swapped; with an overlap it would be twenty-one, which is refused."""
    tenant = await a_tenant(callers)
    for _ in range(tokens.MOST_LIVE - 1):
        await tenant.issue_token()
    refused = await rotated(tenant, tenant.token["id"], overlap=60)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_tokens")
    assert await works(tenant, tenant.token["token"])
    assert (await rotated(tenant, tenant.token["id"])).status_code == 201


async def test_rotation_never_lengthens(callers: Callers) -> None:
    """An overlap does not keep the old token alive longer than it would have been; the new one lives as long again."""
    tenant = await a_tenant(callers)
    ends = datetime.now(UTC) + timedelta(minutes=10)
    short = await tenant.issue_token(expires_at=ends.isoformat())
    new = (await rotated(tenant, short["id"], overlap=86_400)).json()
    listed = {each["id"]: each for each in (await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]}
    assert datetime.fromisoformat(listed[short["id"]]["expires_at"]) == ends
    lifetime = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert abs(lifetime - timedelta(minutes=10)) < timedelta(seconds=5)


@pytest.mark.parametrize("overlap", [-1, 31 * 86_400])
async def test_overlap_has_bounds(callers: Callers, overlap: int) -> None:
    """An overlap is between nothing and thirty days."""
    tenant = await a_tenant(callers)
    assert (await rotated(tenant, tenant.token["id"], overlap=overlap)).status_code == 400
    assert await works(tenant, tenant.token["token"])


async def test_demoted_owners_token_is_not_rotated(callers: Callers) -> None:
    """A token can't be renewed for an owner who is no longer an admin."""
    tenant = await a_tenant(callers)
    await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/demote")
    answer = await rotated(tenant, tenant.token["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "not_an_admin")


async def test_revoked_twice(callers: Callers) -> None:
    """Revoking twice is the same as once: the same answer, one entry in the audit."""
    tenant = await a_tenant(callers)
    first, second = [await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke") for _ in range(2)]
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json()["state"] == "revoked"
    assert len(await tenant.audit(action="token.revoked")) == 1


async def test_expiry(callers: Callers, owner: Connection) -> None:
    """A token with an expiry works before it and not from it on."""
    tenant = await a_tenant(callers)
    issued = await tenant.issue_token(expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert await works(tenant, issued["token"])
    await owner.execute("UPDATE tokens SET expires_at = clock_timestamp() WHERE id = $1", UUID(issued["id"]))
    assert not await works(tenant, issued["token"])


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400),
        ({"expires_at": "2040-01-01T00:00:00"}, 400),
        ({"scopes": []}, 400),
        ({"scopes": ["root"]}, 400),
        ({"scopes": ["admin", "scim"]}, 400),
        ({"scopes": ["admin"]}, 400),
        ({"label": ""}, 400),
        ({"owner": str(uuid4())}, 404),
        ({"unheard_of": 1}, 400),
    ],
)
async def test_what_can_not_be_issued(callers: Callers, wanted: dict[str, Any], status: int) -> None:
    """A token without scope, in the past, for nobody, or with both a person's and a provider's rights is refused."""
    tenant = await a_tenant(callers)
    answer = await callers.operator.post(f"{tenant.v1}/tokens", json={"label": "x"} | wanted)
    assert answer.status_code == status, answer.text


async def test_who_can_own(callers: Callers) -> None:
    """Only an active admin of the same tenant owns a token."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    member = await tenant.person()
    gone, _ = await an_admin(tenant, "gone")
    await callers.operator.post(f"{tenant.v1}/people/{gone['id']}/deactivate")
    for who, status in ((member["id"], 409), (gone["id"], 409), (other.admin["id"], 404)):
        answer = await callers.operator.post(f"{tenant.v1}/tokens", json={"label": "x", "owner": who})
        assert answer.status_code == status, answer.text


async def test_admins_issue_their_own(callers: Callers) -> None:
    """An admin's token is theirs without saying so, and they can't issue one in another admin's name."""
    tenant = await a_tenant(callers)
    grace, as_grace = await an_admin(tenant)
    async with as_grace:
        mine = await as_grace.post(f"{tenant.v1}/tokens", json={"label": "mine"})
        assert mine.json()["owner_id"] == grace["id"]
        for scopes in (["scim"], ["admin"]):
            theirs = await as_grace.post(
                f"{tenant.v1}/tokens", json={"label": "theirs", "owner": tenant.admin["id"], "scopes": scopes}
            )
            assert (theirs.status_code, theirs.json()["code"]) == (403, "forbidden")


async def test_admins_do_not_rotate_each_others_own(callers: Callers) -> None:
    """Rotating shows what opens the same: admins rotate a provider's token, and not another admin's own."""
    tenant = await a_tenant(callers)
    _, as_grace = await an_admin(tenant)
    adas = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    async with as_grace:
        refused = await as_grace.post(f"{tenant.v1}/tokens/{adas['id']}/rotate", json={})
        assert refused.status_code == 403, refused.text
        allowed = await as_grace.post(f"{tenant.v1}/tokens/{tenant.token['id']}/rotate", json={})
        assert allowed.status_code == 201, allowed.text


async def test_admins_do_not_rotate_what_ops_issued(callers: Callers) -> None:
    """A token without an owner is ops' to rotate: an admin would be shown one that answers to nobody."""
    tenant = await a_tenant(callers)
    issued = await tenant.issue_token()
    _, as_grace = await an_admin(tenant)
    async with as_grace:
        assert (await as_grace.post(f"{tenant.v1}/tokens/{issued['id']}/rotate", json={})).status_code == 403
    assert (await rotated(tenant, issued["id"])).status_code == 201


async def test_issued_by_ops_only(callers: Callers) -> None:
    """Where the vendor's support issues tokens, an admin neither issues nor rotates one, and may still revoke."""
    tenant = await a_tenant(callers)
    _, as_grace = await an_admin(tenant)
    await callers.operator.patch(tenant.v1, json={"token_issuing": "ops"})
    async with as_grace:
        assert (await as_grace.post(f"{tenant.v1}/tokens", json={"label": "x"})).status_code == 403
        assert (await as_grace.post(f"{tenant.v1}/tokens/{tenant.token['id']}/rotate", json={})).status_code == 403
        assert (await as_grace.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")).status_code == 200
    await tenant.issue_token()


async def test_another_tenants_token(callers: Callers) -> None:
    """An admin neither sees nor ends another tenant's token, and hears only that it does not exist."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    _, as_grace = await an_admin(tenant)
    async with as_grace:
        for address in (
            f"{tenant.v1}/tokens/{other.token['id']}/revoke",
            f"{other.v1}/tokens/{other.token['id']}/revoke",
        ):
            assert (await as_grace.post(address)).status_code == 404
        assert (await as_grace.get(f"{other.v1}/tokens")).status_code == 404
    assert await works(other, other.token["token"])


async def test_admin_tokens_stop_with_their_owner(callers: Callers) -> None:
    """An admin's own token stops at the next call when they are demoted, and when their tenant is suspended."""
    tenant = await a_tenant(callers)
    grace, as_grace = await an_admin(tenant)
    async with as_grace:
        assert (await as_grace.get(tenant.v1)).status_code == 200
        await callers.operator.post(f"{tenant.v1}/suspend")
        assert (await as_grace.get(tenant.v1)).status_code == 401
        await callers.operator.post(f"{tenant.v1}/resume")
        assert (await as_grace.get(tenant.v1)).status_code == 200
        await callers.operator.post(f"{tenant.v1}/people/{grace['id']}/demote")
        assert (await as_grace.get(tenant.v1)).status_code == 401


async def test_last_use_is_shown(callers: Callers) -> None:
    """When and from where a token was last used is shown, a moment after the use."""
    tenant = await a_tenant(callers)
    began = datetime.now(UTC)
    await tenant.scim.get("/Users")
    await callers.app.state.context.batched_entries.flush()
    (token,) = (await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]
    assert began <= datetime.fromisoformat(token["last_used_at"]) <= datetime.now(UTC)
    assert token["last_used_from"] == "127.0.0.1"


async def test_refused_calls_are_no_use(callers: Callers) -> None:
    """A call that the gate refuses leaves the last use as it was."""
    tenant = await a_tenant(callers, plan="free")
    assert (await tenant.scim.get("/Users")).status_code == 403
    await callers.app.state.context.batched_entries.flush()
    (token,) = (await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]
    assert token["last_used_at"] is None


async def test_last_use_costs_no_write_each(callers: Callers, owner: Connection) -> None:
    """Reading does not write the token's row: it has a new version twice a second at the most, not for each call."""
    tenant = await a_tenant(callers)
    versions: set[int] = set()
    began = time.monotonic()
    for _ in range(30):
        await tenant.scim.get("/Users", params={"count": 0})
        versions.add(
            await owner.fetchval("SELECT xmin::text::bigint FROM tokens WHERE id = $1", UUID(tenant.token["id"]))
        )
    assert len(versions) <= 2 + (time.monotonic() - began) / batched_entries.EVERY_SECONDS


async def test_rotation_waits_in_the_order_of_a_deactivation(callers: Callers, owner: Connection) -> None:
    """A rotation takes the owner before the token, as a deactivation does: neither can be the other's deadlock."""
    tenant = await a_tenant(callers)
    async with owner.transaction():
        await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", UUID(tenant.admin["id"]))
        rotation = asyncio.create_task(rotated(tenant, tenant.token["id"]))
        await until_waiting(owner, rotation)
        await owner.execute("SELECT FROM tokens WHERE tenant_id = $1 FOR UPDATE NOWAIT", UUID(tenant.id))
    assert (await rotation).status_code == 201


async def test_issuing_waits_in_the_order_of_a_rules_edit(callers: Callers, owner: Connection) -> None:
    """Issuing takes the role rule before the owner, as an edit of the rule does: neither is the other's deadlock."""
    tenant = await a_tenant(callers)
    async with owner.transaction():
        await owner.execute(qualified("SELECT fn.hold_rule($1)"), UUID(tenant.id))
        wanted = {"label": "x", "owner": tenant.admin["id"]}
        issue = asyncio.create_task(callers.operator.post(f"{tenant.v1}/tokens", json=wanted))
        await until_waiting(owner, issue)
        await owner.execute("SELECT FROM accounts WHERE tenant_id = $1 FOR UPDATE NOWAIT", UUID(tenant.id))
    assert (await issue).status_code == 201


async def test_returning_waits_in_the_order_of_a_rules_edit(callers: Callers, owner: Connection) -> None:
    """Creating somebody who was here before takes the role rule before their account, for the same reason."""
    tenant = await a_tenant(callers)
    maria = await tenant.person(externalId="m-1")
    await tenant.scim.delete(f"/Users/{maria['id']}")
    async with owner.transaction():
        await owner.execute(qualified("SELECT fn.hold_rule($1)"), UUID(tenant.id))
        body = {"schemas": [USER], "userName": "maria again", "externalId": "m-1"}
        back = asyncio.create_task(tenant.scim.post("/Users", json=body))
        await until_waiting(owner, back)
        await owner.execute("SELECT FROM accounts WHERE tenant_id = $1 FOR UPDATE NOWAIT", UUID(tenant.id))
    assert (await back).status_code == 201


async def test_issuing_while_the_owner_leaves(callers: Callers, owner: Connection) -> None:
    """A token issued at the moment its owner is deactivated is refused, or closed with the others."""
    tenant = await a_tenant(callers)
    wanted = {"label": "x", "owner": tenant.admin["id"]}
    issued, left = await asyncio.gather(
        callers.operator.post(f"{tenant.v1}/tokens", json=wanted),
        callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/deactivate"),
    )
    assert left.status_code == 200, left.text
    assert issued.status_code in (201, 409), issued.text
    open_tokens = "SELECT count(*) FROM tokens WHERE tenant_id = $1 AND revoked_at IS NULL"
    assert await owner.fetchval(open_tokens, UUID(tenant.id)) == 0
