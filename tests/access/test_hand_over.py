"""A connection outlives its owner where the tenant has chosen so: it takes away, and another admin can take it over."""

import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import UUID

import pytest

from api.expect import refused
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.crypto import Sealer
from rollcall.db import Connection
from rollcall.proof import receipts
from rollcall.settings import Settings


async def a_connection(callers: Callers, policy: str = "offboarding_only") -> Tenant:
    return await a_tenant(callers, owner_leaves=policy)


async def an_admin(tenant: Tenant, name: str) -> dict[str, Any]:
    wanted = {"user_name": f"{name}@{tenant.slug}.test", "role": "admin"}
    answer = await tenant.callers.operator.post(f"{tenant.v1}/people", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def by_hand(tenant: Tenant, verb: str, person: dict[str, Any]) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/people/{person['id']}/{verb}")
    assert answer.status_code == 200, answer.text


async def demote(tenant: Tenant, person: dict[str, Any]) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/people/{person['id']}/role", json={"role": "member"})
    assert answer.status_code == 200, answer.text


async def stands(tenant: Tenant) -> dict[str, Any]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/tokens")
    return next(each for each in answer.json()["data"] if each["id"] == tenant.token["id"])


async def hand_over(tenant: Tenant, owner: dict[str, Any], by: Any = None) -> Any:
    address = f"{tenant.v1}/tokens/{tenant.token['id']}/hand-over"
    return await (by or tenant.callers.operator).post(address, json={"owner": owner["id"]})


@pytest.mark.parametrize("how", ["deactivated", "demoted"])
async def test_it_takes_away_and_gives_nothing(callers: Callers, how: str) -> None:
    """The token of an owner who left, or is no longer an admin, reads, deactivates and removes; all else is 403."""
    acme = await a_connection(callers)
    people = [await acme.person() for _ in range(3)]
    sessions = [await acme.session(person) for person in people]
    if how == "deactivated":
        await by_hand(acme, "deactivate", acme.admin)
    else:
        await demote(acme, acme.admin)
    assert (await stands(acme))["state"] == "restricted"
    first, second, third = people
    assert (await acme.scim.get("/Users")).json()["totalResults"] == 4
    assert (await acme.scim.patch(f"/Users/{first['id']}", json=deactivation())).status_code == 200
    assert (await acme.scim.delete(f"/Users/{second['id']}")).status_code == 204
    created = await acme.scim.post("/Users", json={"schemas": [USER], "userName": f"new@{acme.slug}.test"})
    refused(created, 403, saying="take the connection over")
    mixed = patch_op(
        {"op": "replace", "path": "displayName", "value": "After"}, {"op": "replace", "path": "active", "value": False}
    )
    detail = refused(await acme.scim.patch(f"/Users/{third['id']}", json=mixed), 403)["detail"]
    assert "no longer an active admin" in detail
    assert "Done: the person was deactivated. Not done: displayName." in detail
    assert [await callers.is_live(session) for session in sessions] == [False] * 3
    assert not await callers.is_live(acme.token["token"]), "the product lets nobody in by it"


async def test_stop_is_the_default(callers: Callers) -> None:
    """Unless the tenant has chosen otherwise the token ends with its owner, and can't be taken over."""
    acme = await a_tenant(callers)
    other = await an_admin(acme, "zoe")
    await by_hand(acme, "deactivate", acme.admin)
    refused(await acme.scim.get("/Users"), 401)
    answer = await hand_over(acme, other)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_take_over"), answer.text
    await callers.operator.patch(acme.v1, json={"owner_leaves": "offboarding_only"})
    refused(await acme.scim.get("/Users"), 401)


async def test_only_for_scim(callers: Callers) -> None:
    """What else the owner had ends with them: sessions, their own tokens, keys that only read or that manage."""
    acme = await a_connection(callers)
    reads = await acme.issue_token(scopes=["scim:read"], owner=acme.admin["id"])
    manages = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    own, session = await acme.personal_token(acme.admin), await acme.session(acme.admin)
    await by_hand(acme, "deactivate", acme.admin)
    refused(await callers.bearer(reads["token"], path="/scim/v2").get("/Users"), 401)
    assert (await callers.bearer(manages["token"]).get(acme.v1)).status_code == 401
    assert [await callers.is_live(each) for each in (own, session)] == [False, False]


async def test_another_admin_takes_it_over(callers: Callers, owner: Connection) -> None:
    """With the same secret everything works again, for seven days; rotated, it has the lifetime it had."""
    acme = await a_connection(callers)
    zoe, noor = await an_admin(acme, "zoe"), await acme.person()
    await by_hand(acme, "deactivate", acme.admin)
    key = await acme.issue_token(scopes=["admin"], owner=zoe["id"])
    by_zoe = callers.bearer(key["token"])
    assert (await hand_over(acme, noor)).status_code == 409, "only an admin can own it"
    answer = await hand_over(acme, zoe, by_zoe)
    assert (answer.status_code, answer.json()["state"]) == (200, "handed_over"), answer.text
    assert "Rotate it" in answer.json()["remedy"]
    made = await acme.scim.post("/Users", json={"schemas": [USER], "userName": f"new@{acme.slug}.test"})
    assert made.status_code == 201
    assert (await acme.audit(action="scim.users.create"))[0]["owner_id"] == zoe["id"]
    days = await owner.fetchval(
        "SELECT extract(day FROM expires_at - handed_over_at) FROM tokens WHERE id = $1", UUID(acme.token["id"])
    )
    assert days == 7
    assert (await acme.audit(action="token.handed_over"))[0]["target"] == acme.token["id"]
    assert (await hand_over(acme, zoe, by_zoe)).status_code == 409

    rotated = await by_zoe.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": 3600})
    assert (rotated.status_code, rotated.json()["expires_at"], rotated.json()["state"]) == (201, None, "live")
    assert (await stands(acme))["state"] == "rotated"


async def test_it_ends_unless_it_is_rotated(callers: Callers, owner: Connection) -> None:
    """After the seven days the secret that the former owner may know works no more."""
    acme = await a_connection(callers)
    zoe = await an_admin(acme, "zoe")
    await by_hand(acme, "deactivate", acme.admin)
    assert (await hand_over(acme, zoe)).status_code == 200
    await owner.execute(
        "UPDATE tokens SET expires_at = expires_at - interval '7 days 1 second' WHERE id = $1", UUID(acme.token["id"])
    )
    refused(await acme.scim.get("/Users"), 401, saying="expired")


async def test_taken_over_twice(callers: Callers, owner: Connection) -> None:
    """Who took it over and leaves too leaves it restricted, and the next one gains no time."""
    acme = await a_connection(callers)
    zoe, max_ = await an_admin(acme, "zoe"), await an_admin(acme, "max")
    await by_hand(acme, "deactivate", acme.admin)
    ends = (await hand_over(acme, zoe)).json()["expires_at"]
    await by_hand(acme, "deactivate", zoe)
    assert (await stands(acme))["state"] == "restricted"
    answer = await hand_over(acme, max_)
    assert (answer.status_code, answer.json()["expires_at"]) == (200, ends), answer.text


async def test_an_admin_takes_over_for_nobody_else(callers: Callers) -> None:
    """A token acts in its owner's name, so only ops say who else owns it; and others' tenants are nobody's."""
    acme, other = await a_connection(callers), await a_connection(callers)
    zoe, max_ = await an_admin(acme, "zoe"), await an_admin(acme, "max")
    await by_hand(acme, "deactivate", acme.admin)
    by_zoe = callers.bearer((await acme.issue_token(scopes=["admin"], owner=zoe["id"]))["token"])
    assert (await hand_over(acme, max_, by_zoe)).status_code == 403
    stranger = callers.bearer((await other.issue_token(scopes=["admin"], owner=other.admin["id"]))["token"])
    assert (await hand_over(acme, zoe, stranger)).status_code == 404
    assert (await stands(acme))["state"] == "restricted"


async def test_the_receipt_says_restricted(callers: Callers, owner: Connection, settings: Settings) -> None:
    """The receipt counts what was closed, and says apart from it what goes on."""
    acme = await a_connection(callers)
    await acme.session(acme.admin)
    await by_hand(acme, "deactivate", acme.admin)
    message = await owner.fetchval(
        "SELECT id FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'", UUID(acme.id)
    )
    async with acme.work() as work:
        assert await receipts.settle(work, message)
        assert await receipts.complete(work, Sealer.of(settings), {message: ()}, issuer="http://rollcall.test")
    shown = (await callers.operator.get(f"{acme.v1}/receipts/{message}")).json()
    assert shown["closed"] == {"sessions": 1, "tokens": 0, "passkeys": 0, "external": 0, "passwords": 0}
    assert shown["restricted"] == {"tokens": 1}
    claims = json.loads(urlsafe_b64decode(shown["statement"].split(".")[1] + "=="))
    assert claims["closed"]["restricted"] == [{"class": "tokens", "count": 1}]


async def test_a_call_that_ends_its_own_owner(callers: Callers) -> None:
    """A departure of the token's own owner is obeyed, and what comes after it is restricted."""
    acme = await a_connection(callers)
    person = await acme.person()
    answer = await acme.scim.patch(f"/Users/{acme.admin['id']}", json=deactivation())
    assert (answer.status_code, answer.json()["active"]) == (200, False), answer.text
    assert (await stands(acme))["state"] == "restricted"
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())).status_code == 200
    assert (await acme.scim.delete(f"/Users/{acme.admin['id']}")).status_code == 204
    assert (await acme.scim.get("/Users")).status_code == 200


async def test_beside_lapse_and_suspension(callers: Callers) -> None:
    """A plan that is closed, or a suspension, holds for a token without its owner as for any other."""
    acme = await a_connection(callers)
    person = await acme.person()
    await by_hand(acme, "deactivate", acme.admin)
    await callers.operator.post(f"{acme.v1}/suspend")
    refused(await acme.scim.delete(f"/Users/{person['id']}"), 403, saying="taken out")
    assert (await stands(acme))["state"] == "suspended"
    await callers.operator.post(f"{acme.v1}/resume")
    assert (await acme.scim.get(f"/Users/{person['id']}")).json()["active"] is False
    await callers.operator.patch(acme.v1, json={"plan": "free"})
    assert (await acme.scim.get("/Users")).status_code == 200
    await callers.operator.post(f"{acme.v1}/lapse/close")
    refused(await acme.scim.get("/Users"), 401)
