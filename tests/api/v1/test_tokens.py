"""/v1/tenants/{tenant}/tokens: issued, shown once, rotated, revoked."""

import asyncio
from typing import Any

import httpx
import pytest

from api.expect import done, refused, turned_down
from factories import Callers, Tenant, a_tenant
from rollcall.db import Connection
from rows import tables_with


async def ada_of(tenant: Tenant) -> httpx.AsyncClient:
    """The tenant's admin, with a token for the management API."""
    issued = await tenant.issue_token(label="ada's own", scopes=["admin"], owner=tenant.admin["id"])
    return tenant.callers.bearer(issued["token"])


async def test_ops_issue_without_an_owner(acme: Tenant) -> None:
    """A token that ops issue for the tenant needs no owner, and outlives the admins."""
    issued = await acme.issue_token(label="by support")
    assert (issued["owner_id"], issued["scopes"], issued["state"]) == (None, ["scim"], "live")
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")

    async with acme.callers.bearer(issued["token"], path="/scim/v2") as provider:
        done(await provider.get("/Users"))


async def test_admin_issues_their_own(acme: Tenant) -> None:
    """An admin issues tokens without saying for whom: they are the owner."""
    async with await ada_of(acme) as ada:
        issued = await ada.post(f"{acme.v1}/tokens", json={"label": "self-service"})

    assert issued.status_code == 201
    assert (issued.json()["owner_id"], issued.json()["issued_by"]) == (acme.admin["id"], "ada's own")
    async with acme.callers.bearer(issued.json()["token"], path="/scim/v2") as provider:
        done(await provider.get("/Users"))
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")
    async with acme.callers.bearer(issued.json()["token"], path="/scim/v2") as provider:
        refused(await provider.get("/Users"), 401)


async def test_admin_issues_in_nobody_elses_name(acme: Tenant) -> None:
    """An admin gets no token that acts in another admin's name, issued or rotated."""
    second = await acme.person("second", roles=["dart-admins"])
    theirs = await acme.issue_token(scopes=["admin"], owner=second["id"])

    async with await ada_of(acme) as ada:
        issued = await ada.post(f"{acme.v1}/tokens", json={"label": "x", "owner": second["id"], "scopes": ["admin"]})
        rotated = await ada.post(f"{acme.v1}/tokens/{theirs['id']}/rotate")

    turned_down(issued, 403, "forbidden")
    turned_down(rotated, 403, "forbidden")


async def test_tenants_whose_tokens_ops_issue(callers: Callers) -> None:
    """Where ops issue the tokens, admins can't: neither a new one nor one by rotation; they see and revoke them."""
    tenant = await a_tenant(callers, token_issuing="ops")

    async with await ada_of(tenant) as ada:
        turned_down(await ada.post(f"{tenant.v1}/tokens", json={"label": "mine"}), 403, "forbidden", "support")
        turned_down(await ada.post(f"{tenant.v1}/tokens/{tenant.token['id']}/rotate"), 403, "forbidden", "support")
        assert len((await ada.get(f"{tenant.v1}/tokens")).json()["data"]) == 2
        assert (await ada.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")).json()["state"] == "revoked"
    assert len(await tenant.audit(action="v1", outcome="refused")) == 2


@pytest.mark.parametrize(
    ("change", "status", "code", "saying"),
    [
        ({"label": ""}, 400, "invalid", "label"),
        ({"label": "x" * 201}, 400, "invalid", "label"),
        ({"label": "a\x00b"}, 400, "invalid", "label"),
        ({"scopes": []}, 400, "invalid", "scopes"),
        ({"scopes": ["everything"]}, 400, "invalid", "scopes"),
        ({"scopes": ["admin", "scim"]}, 400, "invalid", "scopes"),
        ({"scopes": ["admin"]}, 400, "invalid", "owner"),
        ({"owner": "ada"}, 400, "invalid", "owner"),
        ({"owner": "00000000-0000-0000-0000-000000000000"}, 404, "not_found", "person"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400, "invalid", "expires_at"),
        ({"expires_at": "2101-01-01T00:00:00"}, 400, "invalid", "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, 400, "invalid", "expires_at"),
        ({"expires_at": "tomorrow"}, 400, "invalid", "expires_at"),
        ({"colour": "red"}, 400, "invalid", "colour"),
    ],
)
async def test_what_is_no_token(
    operator: httpx.AsyncClient, acme: Tenant, change: dict[str, Any], status: int, code: str, saying: str
) -> None:
    """A token that can't be is refused, and the detail names the field."""
    turned_down(await operator.post(f"{acme.v1}/tokens", json={"label": "x"} | change), status, code, saying)

    assert len((await operator.get(f"{acme.v1}/tokens")).json()["data"]) == 1


async def test_owners_who_cannot_be(operator: httpx.AsyncClient, acme: Tenant, other: Tenant) -> None:
    """Only an active admin of the same tenant can own a token."""
    member, gone = await acme.person("member"), await acme.person("gone", roles=["dart-admins"], active=False)

    for owner, status, code in (
        (member["id"], 409, "not_an_admin"),
        (gone["id"], 409, "person_inactive"),
        (other.admin["id"], 404, "not_found"),
    ):
        turned_down(await operator.post(f"{acme.v1}/tokens", json={"label": "x", "owner": owner}), status, code)


async def test_shown_once(operator: httpx.AsyncClient, acme: Tenant, owner: Connection) -> None:
    """A token is shown when it is issued and nowhere else: no list, no table, no audit has it."""
    issued = await acme.issue_token(label="once")
    secret = issued["token"].split("_")[4]

    assert secret not in (await operator.get(f"{acme.v1}/tokens")).text
    assert await tables_with(owner, secret) == []


async def test_list_with_last_use(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """The tokens are listed newest first, with their last use."""
    await acme.scim.get("/Users")
    await acme.audit()  # writes down what is still in memory
    await acme.issue_token(label="newer")

    newer, older = (await operator.get(f"{acme.v1}/tokens")).json()["data"]

    assert (newer["label"], newer["last_used_at"]) == ("newer", None)
    assert older["last_used_at"] is not None
    assert older["last_used_from"] is not None


async def test_read_only(acme: Tenant) -> None:
    """A token with the scope scim:read reads, and every change with it is 403."""
    issued = await acme.issue_token(scopes=["scim:read"])
    person = await acme.person("maria")
    address = f"/Users/{person['id']}"

    async with acme.callers.bearer(issued["token"], path="/scim/v2") as reader:
        done(await reader.get("/Users"))
        done(await reader.post("/Users/.search", json={}))
        for answer in (
            await reader.post("/Users", json={"userName": "new"}),
            await reader.put(address, json={"userName": "new"}),
            await reader.patch(address, json={}),
            await reader.delete(address),
        ):
            refused(answer, 403, saying="scim:read")


async def test_rotation_with_overlap(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Within the overlap both tokens work; the new one has label, scopes and owner of the old."""
    rotated = await operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": 3600})

    assert rotated.status_code == 201
    new = rotated.json()
    assert all(new[name] == acme.token[name] for name in ("label", "scopes", "owner_id"))
    async with acme.callers.bearer(new["token"], path="/scim/v2") as provider:
        done(await provider.get("/Users"))
    done(await acme.scim.get("/Users"))
    listed = {token["id"]: token for token in (await operator.get(f"{acme.v1}/tokens")).json()["data"]}
    assert listed[acme.token["id"]]["replaced_by"] == new["id"]


async def test_rotation_without_overlap(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Without an overlap, which is what no body means, the old token is dead at once."""
    await operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate")

    refused(await acme.scim.get("/Users"), 401, saying="overlap is over")


@pytest.mark.parametrize("overlap", [-1, 2_592_001, "long", 1.5])
async def test_what_is_no_overlap(operator: httpx.AsyncClient, acme: Tenant, overlap: Any) -> None:
    """An overlap that can't be is refused by its name, and the old token works on."""
    answer = await operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": overlap})

    turned_down(answer, 400, "invalid", "overlap")
    done(await acme.scim.get("/Users"))


async def test_ended_tokens_are_not_rotated(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A token is rotated once, and not after it has ended; of several at the same moment one rotates it."""
    address = f"{acme.v1}/tokens/{acme.token['id']}/rotate"

    answers = await asyncio.gather(*(operator.post(address, json={"overlap_seconds": 60}) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    turned_down(await operator.post(address), 409, "token_ended")


async def test_revoking_twice(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A revoked token is refused at the next call; revoking twice is revoking once."""
    for _ in range(2):
        revoked = (await operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")).json()
        assert revoked["state"] == "revoked"

    refused(await acme.scim.get("/Users"), 401, saying="revoked")
    assert len(await acme.audit(action="token.revoked")) == 1


async def test_at_most_twenty(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A tenant has at most twenty live tokens, also when many are issued at the same moment."""
    answers = await asyncio.gather(
        *(operator.post(f"{acme.v1}/tokens", json={"label": f"t{number}"}) for number in range(24))
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 19 + [409] * 5
    turned_down(await operator.post(f"{acme.v1}/tokens", json={"label": "x"}), 409, "too_many_tokens", "20")


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
async def test_no_such_token(operator: httpx.AsyncClient, acme: Tenant, verb: str) -> None:
    """A token that is not there is 404."""
    for token in ("x", "00000000-0000-0000-0000-000000000000"):
        turned_down(await operator.post(f"{acme.v1}/tokens/{token}/{verb}"), 404, "not_found", "token")
