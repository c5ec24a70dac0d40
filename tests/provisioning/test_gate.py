"""The gate of section 2: each refusal, their order, and that nothing a caller sent is looked at before."""

import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from api.expect import ERROR, refused
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.crypto import TokenKind, new_token
from rollcall.db import Connection

NOBODY = "01890000-0000-7000-8000-000000000000"


async def revoke(tenant: Tenant, _owner: Connection) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    assert answer.status_code == 200, answer.text


async def expire(tenant: Tenant, owner: Connection) -> None:
    await owner.execute(
        "UPDATE tokens SET expires_at = now() - interval '1 second' WHERE id = $1", UUID(tenant.token["id"])
    )


async def demote(tenant: Tenant, _owner: Connection) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/demote")
    assert answer.status_code == 200, answer.text


async def suspend(tenant: Tenant, _owner: Connection) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/suspend")
    assert answer.status_code == 200, answer.text


async def downgrade(tenant: Tenant, owner: Connection) -> None:
    """Take SCIM from the tenant, and close what is left."""
    answer = await tenant.callers.operator.patch(tenant.v1, json={"plan": "free"})
    assert answer.status_code == 200, answer.text
    await owner.execute("UPDATE tenants SET closes_at = offboarding_from WHERE id = $1", UUID(tenant.id))


async def narrow(tenant: Tenant, owner: Connection) -> None:
    await owner.execute("UPDATE tokens SET scopes = '{scim:read}' WHERE id = $1", UUID(tenant.token["id"]))


async def exhaust(tenant: Tenant, _owner: Connection) -> None:
    """Give the tenant a limit and leave it a thousand calls in debt."""
    answer = await tenant.callers.operator.patch(tenant.v1, json={"rate_per_second": 25, "rate_burst": 1})
    assert answer.status_code == 200, answer.text
    redis = tenant.callers.app.state.redis
    seconds, microseconds = await redis.time()
    await redis.hset(f"rollcall:rate:{tenant.id}", mapping={"permits": "-999", "at": f"{seconds}.{microseconds:06d}"})


@pytest_asyncio.fixture(scope="session")
async def living(callers: Callers) -> Tenant:
    """A tenant nothing is wrong with."""
    return await a_tenant(callers)


@pytest_asyncio.fixture(scope="session")
async def dead_token(callers: Callers) -> str:
    """A token that was revoked."""
    tenant = await a_tenant(callers)
    await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    return tenant.token["token"]


Reason = Callable[[Tenant, Connection], Awaitable[None]]
REASONS: list[tuple[Reason, int, str]] = [
    (revoke, 401, "revoked"),
    (expire, 401, "Put the new one into the identity provider"),
    (demote, 401, "no longer an active admin"),
    (suspend, 403, "suspended"),
    (downgrade, 403, "does not include SCIM"),
    (narrow, 403, "scim:read"),
    (exhaust, 429, "Too many requests"),
]
"""Why a known token's call is refused, in the gate's order."""


async def spoilt_change(tenant: Tenant) -> httpx.Response:
    """A change that has everything wrong with it that comes after the gate: media type, body and target."""
    return await tenant.scim.patch("/Users/nobody", content=b"{", headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize("index", range(len(REASONS)), ids=[reason.__name__ for reason, _, _ in REASONS])
async def test_each_reason_comes_before_all_later_ones(callers: Callers, owner: Connection, index: int) -> None:
    """A call that every later step would refuse as well is refused by the first one it fails."""
    tenant = await a_tenant(callers)
    for reason, _, _ in reversed(REASONS[index:]):
        await reason(tenant, owner)
    _, status, words = REASONS[index]
    refused(await spoilt_change(tenant), status, saying=words)


@pytest.mark.parametrize(("reason", "status", "words"), REASONS, ids=[reason.__name__ for reason, _, _ in REASONS])
async def test_each_reason_alone(callers: Callers, owner: Connection, reason: Reason, status: int, words: str) -> None:
    """A token that worked is refused at its next call, for each reason there is, and nothing is stored."""
    tenant = await a_tenant(callers)
    await tenant.person()
    await reason(tenant, owner)
    refused(await tenant.scim.post("/Users", json={"schemas": [USER], "userName": "late"}), status, saying=words)
    assert await owner.fetchval("SELECT count(*) FROM users WHERE tenant_id = $1", UUID(tenant.id)) == 2


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_scheme_is_read_loosely(callers: Callers, http: httpx.AsyncClient, scheme: str) -> None:
    """The scheme's case and a second space do not matter (RFC 9110 §11.1)."""
    tenant = await a_tenant(callers)
    answer = await http.get("/scim/v2/Users", headers={"Authorization": f"{scheme} {tenant.token['token']}"})
    assert answer.status_code == 200


async def test_unknown_to_us(callers: Callers) -> None:
    """A well-formed token is not known if the tenant, the id or the secret is another."""
    tenant = await a_tenant(callers)
    right = UUID(tenant.id), UUID(tenant.token["id"])
    for tenant_id, token_id in ((uuid4(), right[1]), (right[0], uuid4()), right, (UUID(int=0), UUID(int=0))):
        async with callers.bearer(new_token(TokenKind.SCIM, tenant_id, token_id), path="/scim/v2") as client:
            refused(await client.get("/Users"), 401, saying="not known here")


async def test_wrong_secret_tells_nothing(callers: Callers) -> None:
    """With a known id and a wrong secret the answer is an unknown token's, whatever is wrong with the real one."""
    tenant = await a_tenant(callers)
    await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    guesses = [
        new_token(TokenKind.SCIM, UUID(tenant.id), UUID(tenant.token["id"])),
        new_token(TokenKind.SCIM, UUID(tenant.id), uuid4()),
    ]
    answers: list[bytes] = []
    for guess in guesses:
        async with callers.bearer(guess, path="/scim/v2") as client:
            answers.append((await client.get("/Users", headers={"X-Request-Id": "the-same"})).content)
    assert answers[0] == answers[1]


async def test_plan_is_named(callers: Callers) -> None:
    """Without SCIM in the plan, the answer names the plan the tenant has and those that include it."""
    tenant = await a_tenant(callers, plan="free")
    answer = await tenant.scim.get("/Users")
    refused(answer, 403, saying="The plan Free does not include SCIM")
    assert re.search(r"plans that do: .*Business or .*Enterprise", answer.json()["detail"])


async def test_plan_comes_back(callers: Callers, owner: Connection) -> None:
    """After an upgrade the same token works again."""
    tenant = await a_tenant(callers)
    await downgrade(tenant, owner)
    assert (await tenant.scim.get("/Users")).status_code == 403
    await callers.operator.patch(tenant.v1, json={"plan": "enterprise"})
    assert (await tenant.scim.get("/Users")).status_code == 200


async def test_feature_leaves_the_plan(callers: Callers, owner: Connection) -> None:
    """When a plan itself loses SCIM, all who have it are refused at their next call."""
    await owner.execute("INSERT INTO plans (key, name, features) VALUES ('passing', 'Passing', '{scim}')")
    tenant = await a_tenant(callers, plan="passing")
    assert (await tenant.scim.get("/Users")).status_code == 200
    await owner.execute("UPDATE plans SET features = '{}' WHERE key = 'passing'")
    refused(await tenant.scim.get("/Users"), 403, saying="The plan Passing does not include SCIM")


async def test_reading_scope(callers: Callers, owner: Connection) -> None:
    """A token for reading reads, and changes nothing by any verb."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await narrow(tenant, owner)
    assert (await tenant.scim.get("/Users")).status_code == 200
    assert (await tenant.scim.get(f"/Users/{maria['id']}")).status_code == 200
    body = {"schemas": [USER], "userName": "x"}
    for answer in (
        await tenant.scim.post("/Users", json=body),
        await tenant.scim.put(f"/Users/{maria['id']}", json=body),
        await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
        await tenant.scim.delete(f"/Users/{maria['id']}"),
    ):
        refused(answer, 403, saying="scim:read")


async def test_demoted_and_appointed(callers: Callers, owner: Connection) -> None:
    """A demoted owner's token stops, and works again when they are appointed again: nobody had revoked it."""
    tenant = await a_tenant(callers)
    await demote(tenant, owner)
    refused(await tenant.scim.get("/Users"), 401, saying="issue a new one")
    appointed = await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/appoint")
    assert appointed.status_code == 200
    assert (await tenant.scim.get("/Users")).status_code == 200


async def test_deactivated_and_reactivated(callers: Callers) -> None:
    """A deactivated owner's token stays dead when they come back, and the answer asks for a new one."""
    tenant = await a_tenant(callers)
    address = f"{tenant.v1}/people/{tenant.admin['id']}"
    assert (await callers.operator.post(f"{address}/deactivate")).status_code == 200
    refused(await tenant.scim.get("/Users"), 401, saying="issue a new one")
    assert (await callers.operator.post(f"{address}/reactivate")).status_code == 200
    assert (await callers.operator.post(f"{address}/appoint")).status_code == 200
    refused(await tenant.scim.get("/Users"), 401, saying="issue a new one")


async def test_owner_of_an_older_epoch(callers: Callers, owner: Connection) -> None:
    """A token whose row is open but whose epoch is not its owner's is refused."""
    tenant = await a_tenant(callers)
    await owner.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", UUID(tenant.admin["id"]))
    refused(await tenant.scim.get("/Users"), 401, saying="no longer an active admin")


async def test_ops_issued(callers: Callers) -> None:
    """A token issued by ops without an owner needs none: it works when every admin of the tenant is gone."""
    tenant = await a_tenant(callers)
    issued = await tenant.issue_token()
    assert issued["owner_id"] is None
    await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/deactivate")
    async with callers.bearer(issued["token"], path="/scim/v2") as client:
        assert (await client.get("/Users")).status_code == 200


async def test_too_many(callers: Callers, owner: Connection) -> None:
    """Over its limit a tenant is told in whole seconds when to come back; another tenant is not touched by it."""
    tenant, other = await a_tenant(callers), await a_tenant(callers, rate_per_second=25, rate_burst=10)
    await exhaust(tenant, owner)
    answer = await tenant.scim.get("/Users")
    refused(answer, 429, saying="Retry-After")
    assert 30 <= int(answer.headers["retry-after"]) <= 40
    assert (await other.scim.get("/Users")).status_code == 200


async def test_small_burst(callers: Callers) -> None:
    """With a burst of three, three calls pass at once, and after them no more than the rate."""
    tenant = await a_tenant(callers, rate_per_second=25, rate_burst=3)
    began = time.monotonic()
    statuses = [(await tenant.scim.get("/Users?count=0")).status_code for _ in range(20)]
    assert statuses[:3] == [200, 200, 200]
    assert statuses.count(200) <= 3 + math.ceil((time.monotonic() - began) * 25)
    assert set(statuses) <= {200, 429}


async def test_after_the_gate_comes_the_body(callers: Callers) -> None:
    """Behind the gate the media type is judged first, then the body, then whether the target exists."""
    tenant = await a_tenant(callers)
    refused(await spoilt_change(tenant), 415, saying="application/scim+json")
    large = b'{"a": "' + b"x" * 1_100_000 + b'"}'
    json = {"Content-Type": "application/json"}
    refused(await tenant.scim.patch("/Users/nobody", content=large, headers=json), 413, saying="larger than")
    refused(await tenant.scim.patch("/Users/nobody", content=b"{", headers=json), 400, "invalidSyntax", "not JSON")
    refused(await tenant.scim.patch("/Users/nobody", json={"schemas": ["nonsense"]}), 404, saying="No such resource")


BAD_REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/Users", {"content": b"{"}),
    ("POST", "/Users", {"content": b"\xff\xfe\x00"}),
    ("POST", "/Users", {"content": b"[" * 100_000}),
    ("POST", "/Users", {"content": b"x" * 3_000_000}),
    ("POST", "/Users", {"content": b"", "headers": {"Content-Length": "999999999"}}),
    ("POST", "/Users", {"content": b"a=b", "headers": {"Content-Type": "multipart/form-data"}}),
    ("PATCH", "/Users/not-an-id", {"json": patch_op({"op": "explode"})}),
    ("PUT", "/Users/%00", {"content": b"null"}),
    ("PATCH", "/Users/%ff%fe", {"content": b"null"}),
    ("DELETE", f"/Users/{NOBODY}", {}),
    ("GET", "/Users/" + "9" * 5000, {}),
    ("GET", "/Users?filter=((((", {}),
    ("GET", "/Users?filter=%00", {}),
    ("GET", "/Users?startIndex=many&count=-1", {}),
    ("GET", "/Users?" + "&".join(f"a{n}=1" for n in range(2000)), {}),
]


@pytest.mark.parametrize(("method", "path", "more"), BAD_REQUESTS, ids=range(len(BAD_REQUESTS)))
@pytest.mark.parametrize("token", ["none", "malformed", "unknown", "revoked"])
async def test_nothing_is_judged_before(
    callers: Callers, http: httpx.AsyncClient, dead_token: str, method: str, path: str, more: dict[str, Any], token: str
) -> None:
    """Whatever else is wrong with a call, somebody who has no live token hears that and nothing more."""
    text = {
        "none": None,
        "malformed": "rc_scim_x",
        "unknown": new_token(TokenKind.SCIM, uuid4(), uuid4()),
        "revoked": dead_token,
    }[token]
    headers = dict(more.get("headers", {})) | ({} if text is None else {"Authorization": f"Bearer {text}"})
    options: dict[str, Any] = more | {"headers": headers}
    answer = await http.request(method, f"/scim/v2{path}", **options)
    assert answer.status_code == 401, answer.text
    assert answer.json()["schemas"] == [ERROR]


@pytest.mark.parametrize("path", ["/Users/%00", "/Users/a%00b", "/Users/%ff", "/Users/%ed%a0%80"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_ids_that_can_not_be_stored(callers: Callers, living: Tenant, path: str, method: str) -> None:
    """An id with characters that PostgreSQL can't hold is nobody's, and the call is written down all the same."""
    answer = await living.scim.request(
        method,
        path,
        headers={"X-Request-Id": (name := uuid4().hex)},
        json=deactivation() if method == "PATCH" else None,
    )
    refused(answer, 404, saying="No such resource")
    (entry,) = await living.audit(request_id=name)
    assert (entry["outcome"], entry["status"]) == ("refused", 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_another_tenants_person(callers: Callers, living: Tenant, method: str) -> None:
    """Another tenant's id is answered byte for byte as an id that never existed, headers included."""
    theirs = await (await a_tenant(callers)).person()
    bodies = {"PUT": {"schemas": [USER], "userName": "taken over"}, "PATCH": deactivation()}

    same = {"X-Request-Id": "the-same"}

    async def asked(identifier: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        answer = await living.scim.request(method, f"/Users/{identifier}", json=bodies.get(method), headers=same)
        return answer.status_code, answer.content, answer.headers.multi_items()

    never = await asked(str(uuid4()))
    assert never[0] == 404
    assert await asked(theirs["id"]) == never
    assert await asked("no-id-at-all") == never
    assert await asked(theirs["id"].upper()) == never


async def test_another_tenants_person_is_not_found(callers: Callers, living: Tenant) -> None:
    """Looking for another tenant's person by id, name or address finds nobody."""
    other = await a_tenant(callers)
    theirs = await other.person("hidden@other.test", externalId="e-1", emails=[{"value": "hidden@other.test"}])
    for wanted in (
        f'id eq "{theirs["id"]}"',
        'userName eq "hidden@other.test"',
        'externalId eq "e-1"',
        'emails.value eq "hidden@other.test"',
        'active eq true and userName eq "hidden@other.test"',
    ):
        assert (await living.scim.get("/Users", params={"filter": wanted})).json()["totalResults"] == 0, wanted
        assert (await other.scim.get("/Users", params={"filter": wanted})).json()["totalResults"] == 1, wanted


async def test_a_used_token_of_another_tenant_reaches_only_its_own(callers: Callers, living: Tenant) -> None:
    """One tenant's secret with another tenant's reference in front of it is nobody's token."""
    other = await a_tenant(callers)
    mine, theirs = living.token["token"].split("_"), other.token["token"].split("_")
    async with callers.bearer("_".join([*mine[:2], theirs[2], *mine[3:]]), path="/scim/v2") as client:
        refused(await client.get("/Users"), 401, saying="mistyped")


@pytest.mark.parametrize(("reason", "status", "words"), REASONS[:6], ids=[each[0].__name__ for each in REASONS[:6]])
async def test_discovery_with_a_token(
    callers: Callers, owner: Connection, reason: Reason, status: int, words: str
) -> None:
    """A token presented to a public document passes the whole gate, so that a connection test tells the truth."""
    tenant = await a_tenant(callers)
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"):
        assert (await tenant.scim.get(path)).status_code == 200
    await reason(tenant, owner)
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"):
        if reason is narrow:
            assert (await tenant.scim.get(path)).status_code == 200
        else:
            refused(await tenant.scim.get(path), status, saying=words)
