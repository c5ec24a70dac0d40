"""``/scim/v2/Me``: the owner of the token (RFC 7644 §3.11)."""

import asyncio

import httpx
import pytest

from api.expect import done, refused
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op

VERBS = ["GET", "PUT", "PATCH", "DELETE"]


async def test_reading(acme: Tenant) -> None:
    """Who reads /Me reads the token's owner, with the address where they really are."""
    me = await acme.scim.get("/Me")
    ada = await acme.scim.get(f"/Users/{acme.admin['scim_id']}")

    assert done(me) == done(ada)
    assert done(me)["userName"] == acme.admin["user_name"]
    assert me.headers["Location"] == done(ada)["meta"]["location"]
    assert me.headers["ETag"] == ada.headers["ETag"]
    entry = (await acme.audit(action="scim.users.read"))[-1]
    assert (entry["path"], entry["target"]) == ("/scim/v2/Me", acme.admin["scim_id"])


async def test_some_attributes(acme: Tenant) -> None:
    """/Me takes attributes and conditions like any resource."""
    me = await acme.scim.get("/Me", params={"attributes": "userName"})
    version = me.headers["ETag"]

    assert set(done(me)) == {"schemas", "id", "userName"}
    assert (await acme.scim.get("/Me", headers={"If-None-Match": version})).status_code == 304
    title = patch_op({"op": "add", "path": "title", "value": "Dr"})
    refused(await acme.scim.patch("/Me", json=title, headers={"If-Match": 'W/"99"'}), 412)
    refused(await acme.scim.get("/Me", params={"attributes": "title", "excludedAttributes": "id"}), 400, "invalidValue")


async def test_changing(acme: Tenant) -> None:
    """PUT and PATCH change the owner, and the token goes on."""
    patched = done(await acme.scim.patch("/Me", json=patch_op({"op": "add", "path": "title", "value": "Dr"})))
    put = done(await acme.scim.put("/Me", json={"schemas": [USER], "userName": patched["userName"], "nickName": "A"}))

    assert patched["title"] == "Dr"
    assert ("title" in put, put["nickName"], put["id"]) == (False, "A", acme.admin["scim_id"])
    assert done(await acme.scim.get("/Me")) == put


async def test_deactivating_oneself(acme: Tenant) -> None:
    """Who deactivates themselves is obeyed, and the token ends with them."""
    answer = await acme.scim.patch("/Me", json=deactivation())

    assert done(answer)["active"] is False
    refused(await acme.scim.get("/Me"), 401, saying="owner")
    assert not await acme.callers.is_live(acme.token["token"])


async def test_removing_oneself(acme: Tenant) -> None:
    """Who removes themselves is obeyed, and the token ends with them."""
    answer = await acme.scim.delete("/Me")

    assert (answer.status_code, answer.content) == (204, b"")
    refused(await acme.scim.get("/Me"), 401)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_token_that_nobody_owns(callers: Callers, acme: Tenant, verb: str) -> None:
    """A token of the tenant's own has nobody at /Me: 404, which says so, and is written down."""
    issued = await acme.issue_token()
    async with callers.bearer(issued["token"], path="/scim/v2") as machine:
        body = {"userName": "x"} if verb in ("PUT", "PATCH") else None
        refused(await machine.request(verb, "/Me", json=body), 404, saying="nobody owns")

    entry = (await acme.audit())[0]
    assert (entry["outcome"], entry["status"], entry["path"]) == ("refused", 404, "/scim/v2/Me")


@pytest.mark.parametrize("verb", VERBS)
async def test_the_gate_comes_first(callers: Callers, http: httpx.AsyncClient, verb: str) -> None:
    """Nobody learns who a token's owner is by a token that may not come in."""
    poor = await a_tenant(callers, plan="free")

    refused(await http.request(verb, "/scim/v2/Me"), 401)
    refused(await poor.scim.request(verb, "/Me"), 403)


async def test_a_token_that_may_only_read(callers: Callers, acme: Tenant) -> None:
    """A token that may only read reads its owner and changes nothing of them."""
    issued = await acme.issue_token(scopes=["scim:read"], owner=acme.admin["id"])
    async with callers.bearer(issued["token"], path="/scim/v2") as reader:
        done(await reader.get("/Me"))
        refused(await reader.patch("/Me", json=deactivation()), 403)
        refused(await reader.delete("/Me"), 403)


async def test_one_permit(callers: Callers) -> None:
    """A call of /Me takes one permit of the rate limit."""
    acme = await a_tenant(callers, rate_per_second=25, rate_burst=25)
    answers = await asyncio.gather(*(acme.scim.get("/Me") for _ in range(24)))

    assert {answer.status_code for answer in answers} == {200}


async def test_creating_oneself(acme: Tenant) -> None:
    """Nobody creates themselves: POST is 405."""
    answer = await acme.scim.post("/Me", json={"userName": "x"})

    refused(answer, 405)
