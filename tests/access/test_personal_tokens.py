"""Personal tokens: people's own, for the product; they open nothing of Rollcall."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.expect import turned_down
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection
from rows import tables_with

REACTIVATION = patch_op({"op": "replace", "path": "active", "value": True})


async def issue(tenant: Tenant, person: dict[str, Any], **wanted: Any) -> httpx.Response:
    """Ask for a token; the answer as it is."""
    return await tenant.callers.product.post(
        f"{tenant.v1}/people/{person['id']}/tokens", json={"label": "laptop", "scopes": ["repo:read"]} | wanted
    )


async def test_a_member_has_one(callers: Callers, owner: Connection) -> None:
    """Somebody who is no admin has a token of their own; introspection knows its scopes and their role; shown once."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    issued = (await issue(tenant, maria, scopes=["repo:read", "repo:write", "repo:read"])).json()

    said = (await callers.product.post("/oauth/introspect", data={"token": issued["token"]})).json()

    assert (said["active"], said["kind"], said["scope"]) == (True, "pat", "repo:read repo:write")
    assert (said["sub"], said["role"]) == (maria["id"], "member")
    assert "sid" not in said
    assert await tables_with(owner, issued["token"].split("_")[4]) == []
    (listed,) = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/tokens")).json()["data"]
    assert (listed["id"], listed["state"]) == (issued["id"], "live")
    assert len(await tenant.audit(action="token.issued")) == 2


async def test_opens_nothing_of_rollcall(callers: Callers) -> None:
    """Neither SCIM nor the management API takes a personal token, an admin's neither."""
    tenant = await a_tenant(callers)
    text = await tenant.personal_token(tenant.admin)
    async with callers.bearer(text) as ada:
        assert (await ada.get("/scim/v2/Users")).status_code in (401, 403)
        assert (await ada.get(tenant.v1)).status_code == 401
        assert (await ada.post("/oauth/introspect", data={"token": text})).status_code == 401


@pytest.mark.parametrize(
    "scope", ["scim", "scim:read", "scim:write", "admin", "admin:x", "admin.x", "Repo", "", "a b", "x" * 65, "é"]
)
async def test_scopes_that_are_not_the_products(callers: Callers, scope: str) -> None:
    """Rollcall's own scopes are not given to people here, nor what can't be a scope."""
    tenant = await a_tenant(callers)
    turned_down(await issue(tenant, tenant.admin, scopes=["repo:read", scope]), 400, "invalid", "scopes")


@pytest.mark.parametrize(
    "wanted",
    [{"scopes": []}, {"scopes": ["a"] * 21}, {"label": ""}, {"expires_at": "2001-01-01T00:00:00Z"}, {"owner": "x"}],
    ids=["none", "many", "nameless", "past", "owner"],
)
async def test_what_is_no_token(callers: Callers, wanted: dict[str, Any]) -> None:
    """A token that can't be is refused, and the detail names the field."""
    tenant = await a_tenant(callers)
    turned_down(await issue(tenant, tenant.admin, **wanted), 400, "invalid", next(iter(wanted)))


async def test_ends_with_its_person(callers: Callers) -> None:
    """A token ends when its person leaves and stays so when they come back; who is inactive is given none."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    text = await tenant.personal_token(maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert not await callers.is_live(text)
    turned_down(await issue(tenant, maria), 409, "person_inactive")
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    assert not await callers.is_live(text)
    assert await callers.is_live(await tenant.personal_token(maria))


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "active = false"])
async def test_open_row_is_not_enough(callers: Callers, owner: Connection, change: str) -> None:
    """An open row of another epoch, or of an account that is not active, is not good."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    text = await tenant.personal_token(maria)
    await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", UUID(maria["id"]))
    assert not await callers.is_live(text)


async def test_survives_a_demotion(callers: Callers) -> None:
    """An admin who becomes a member keeps their own tokens; those that open Rollcall stop."""
    tenant = await a_tenant(callers)
    own = await tenant.personal_token(tenant.admin)
    await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/demote")
    assert await callers.is_live(own)
    assert not await callers.is_live(tenant.token["token"])


async def test_expiry_and_suspension(callers: Callers, owner: Connection) -> None:
    """A token ends when it was said to; in a suspended tenant none is good and none is issued."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    short = (await issue(tenant, maria, expires_at=soon)).json()
    text = await tenant.personal_token(maria)
    assert await callers.is_live(short["token"])
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE id = $1", UUID(short["id"]))
    assert not await callers.is_live(short["token"])
    assert await callers.is_live(text)
    await callers.operator.post(f"{tenant.v1}/suspend")
    assert not await callers.is_live(text)
    turned_down(await issue(tenant, maria), 403, "forbidden", "suspended")


async def test_limits_are_apart(callers: Callers) -> None:
    """A person has 50 live ones at most, also when many ask at once, and they take no room from the tenant's tokens."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    answers = await asyncio.gather(*(issue(tenant, maria) for _ in range(53)))
    assert sorted(answer.status_code for answer in answers) == [201] * 50 + [409] * 3
    turned_down(await issue(tenant, maria), 409, "too_many", "50")
    assert (await issue(tenant, tenant.admin)).status_code == 201
    assert len([await tenant.issue_token() for _ in range(19)]) == 19
    assert len((await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]) == 20


async def test_revoking(callers: Callers) -> None:
    """A person's own token is revoked through their address, by nobody else's, and by the tenant's admin."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    issued, second = (await issue(tenant, maria)).json(), (await issue(tenant, maria)).json()
    for where, whose, token in (
        (tenant, noor, issued["id"]),
        (other, maria, issued["id"]),
        (tenant, tenant.admin, tenant.token["id"]),
    ):
        address = f"{where.v1}/people/{whose['id']}/tokens/{token}/revoke"
        turned_down(await callers.product.post(address), 404, "not_found")
    revoke = f"{tenant.v1}/people/{maria['id']}/tokens/{{}}/revoke"
    for _ in range(2):
        assert (await callers.product.post(revoke.format(issued["id"]))).json()["state"] == "revoked"
    assert not await callers.is_live(issued["token"])
    assert await callers.is_live(second["token"])
    admins = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    async with callers.bearer(admins["token"]) as ada:
        turned_down(await ada.post(f"{tenant.v1}/people/{maria['id']}/tokens", json={}), 403, "forbidden")
        rotate = await ada.post(f"{tenant.v1}/tokens/{second['id']}/rotate")
        turned_down(rotate, 403, "forbidden", "person's own")
        assert (await ada.post(revoke.format(second["id"]))).status_code == 200
    assert len(await tenant.audit(action="token.revoked")) == 2


async def test_not_among_the_tenants(callers: Callers) -> None:
    """The list of a tenant's tokens has those that open Rollcall; ops do not rotate a person's own either."""
    tenant = await a_tenant(callers)
    issued = (await issue(tenant, await tenant.person())).json()
    assert issued["id"] not in {
        each["id"] for each in (await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]
    }
    turned_down(await callers.operator.post(f"{tenant.v1}/tokens/{issued['id']}/rotate"), 403, "forbidden")


async def test_a_scope_that_can_not_be_stored(callers: Callers) -> None:
    """A NUL in a scope is refused like any other that is no word."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    wanted = {"label": "hers", "scopes": ["repo:\x00"]}
    address = f"{tenant.v1}/people/{maria['id']}/tokens"
    assert (await callers.product.post(address, json=wanted)).status_code == 400
