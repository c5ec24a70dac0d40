"""A creation that is repeated with its ``Idempotency-Key`` is answered again, and done once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from api.expect import turned_down
from api.v1.rights import HOOK, NOBODY
from authenticator import registered, sign_in_begun
from factories import Callers, Tenant
from rollcall.api.v1.idempotency import takes_a_key
from rollcall.crypto import CallersSeal, read_token
from rollcall.db import BOUNDS, Connection, Database
from rollcall.functions import qualified
from rollcall.journal import answers, housekeeping
from rows import until_waiting

NATURALLY = "done twice is the same as done once"
WITHOUT_A_KEY = {
    "suspend_tenant": NATURALLY,
    "resume_tenant": NATURALLY,
    "appoint_admin": NATURALLY,
    "demote_person": NATURALLY,
    "give_role": NATURALLY,
    "deactivate_person": NATURALLY,
    "reactivate_person": NATURALLY,
    "hand_over_token": "nothing is made by it; said again, it is refused, as it has been taken over",
    "revoke_token": NATURALLY,
    "revoke_personal_token": NATURALLY,
    "enable_destination": NATURALLY,
    "disable_destination": NATURALLY,
    "release_alert": NATURALLY,
    "begin_passkey": "a challenge is good once and for minutes; an old one given again would open nothing",
    "begin_passkey_sign_in": "as begin_passkey",
    "preview_role_rule": "changes nothing",
    "close_lapse": NATURALLY,
    "pause_tenant": "said again, it begins anew and is as long",
    "unpause_tenant": NATURALLY,
    "reconcile_billing": NATURALLY,
    "reconcile_tenant_billing": NATURALLY,
}
"""POSTs that take no key, each with its reason."""


def a_key() -> dict[str, str]:
    """A header with a fresh key."""
    return {"Idempotency-Key": str(uuid4())}


def test_everything_that_creates_takes_a_key(app: Litestar) -> None:
    """Every POST of the management API takes an Idempotency-Key, or is in the list of those that need none."""
    posts = {
        handler.handler_name: takes_a_key(handler.fn)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/")
        for handler in route.route_handlers
        if "POST" in handler.http_methods
    }
    assert len(posts) > 20
    without = {name for name, takes in posts.items() if not takes}
    assert without == set(WITHOUT_A_KEY), "decorate it with @idempotent(), or list it with the reason why it needs none"


def test_the_document_names_the_header(app: Litestar) -> None:
    """OpenAPI declares the header where it is taken, and nowhere else."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    declaring = {
        operation["operationId"]
        for item in schema["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
        if (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    }
    assert "issue_token" in declaring
    assert not declaring & set(WITHOUT_A_KEY)


async def tokens_of(tenant: Tenant) -> list[str]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/tokens")
    return [token["id"] for token in answer.json()["data"]]


async def test_a_token_is_issued_once(acme: Tenant) -> None:
    """Repeated within ten minutes the call is answered with the very same bytes, secret included; nothing is issued."""
    before, key = await tokens_of(acme), a_key()
    wanted = {"label": "Okta", "scopes": ["scim"]}
    first = await acme.callers.operator.post(f"{acme.v1}/tokens", json=wanted, headers=key)
    again = await acme.callers.operator.post(f"{acme.v1}/tokens", json=wanted, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-secret" not in again.headers
    assert len(await tokens_of(acme)) == len(before) + 1
    assert await acme.callers.is_live(first.json()["token"])


async def test_without_a_key_nothing_changes(acme: Tenant, owner: Connection) -> None:
    """Without a key a repeated call creates again, and nothing is kept."""
    first = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"})
    again = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"})
    assert first.json()["id"] != again.json()["id"]
    assert not await owner.fetchval("SELECT count(*) FROM idempotency_keys WHERE tenant_id = $1", UUID(acme.id))


async def turn_back(owner: Connection, tenant: Tenant, by: timedelta) -> None:
    await owner.execute(
        "UPDATE idempotency_keys SET created_at = created_at - $2::interval WHERE tenant_id = $1", UUID(tenant.id), by
    )


async def test_the_secret_lives_ten_minutes(acme: Tenant, owner: Connection) -> None:
    """After ten minutes the answer still says which token was issued, without the token, and says so in a header."""
    key, wanted = a_key(), {"label": "Okta"}
    first = (await acme.callers.operator.post(f"{acme.v1}/tokens", json=wanted, headers=key)).json()
    await turn_back(owner, acme, timedelta(minutes=10))

    again = await acme.callers.operator.post(f"{acme.v1}/tokens", json=wanted, headers=key)

    assert again.status_code == 201
    assert again.json() == first | {"token": None}
    assert (again.headers["idempotent-replayed"], again.headers["idempotent-secret"]) == ("true", "withheld")


async def test_a_key_lives_a_day(acme: Tenant, owner: Connection) -> None:
    """After a day the key is free: the call creates again, and that answer is the one that is kept."""
    key, wanted = a_key(), {"user_name": "maria"}
    await acme.callers.operator.post(f"{acme.v1}/people", json=wanted, headers=key)
    await turn_back(owner, acme, timedelta(hours=24))
    other = {"user_name": "noor"}

    noor = await acme.callers.operator.post(f"{acme.v1}/people", json=other, headers=key)
    again = await acme.callers.operator.post(f"{acme.v1}/people", json=other, headers=key)

    assert noor.json()["user_name"] == "noor"
    assert again.content == noor.content


async def test_housekeeping_forgets(acme: Tenant, owner: Connection, database: Database) -> None:
    """Housekeeping wipes secrets after ten minutes and deletes keys after a day."""
    await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=a_key())
    kept = "SELECT count(*) AS keys, count(whole_answer) AS secrets FROM idempotency_keys WHERE tenant_id = $1"
    counts: list[tuple[int, int]] = []
    for by in (timedelta(), timedelta(minutes=11), timedelta(hours=24)):
        await turn_back(owner, acme, by)
        await housekeeping.forget_answers(database)
        row = await owner.fetchrow(kept, UUID(acme.id))
        assert row is not None
        counts.append((row["keys"], row["secrets"]))
    assert counts == [(1, 1), (1, 0), (0, 0)]


async def test_nothing_readable_is_stored(acme: Tenant, owner: Connection) -> None:
    """Neither the key, nor the answer, nor the secret can be read off the row; only the caller's token opens it."""
    key = a_key()
    issued = (await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "Okta"}, headers=key)).json()
    row = await owner.fetchrow("SELECT * FROM idempotency_keys WHERE tenant_id = $1", UUID(acme.id))
    assert row is not None

    stored = b"".join(row[name] for name in ("name", "fingerprint", "answer", "whole_answer"))
    for clear in (key["Idempotency-Key"], issued["token"], issued["token"][-20:], "Okta"):
        assert clear.encode() not in stored
    operator = acme.callers.operator.headers["authorization"].removeprefix("Bearer ")
    opened = CallersSeal.of(operator, key["Idempotency-Key"]).open(row["whole_answer"])
    assert issued["token"].encode() in opened
    assert b'token":null' in CallersSeal.of(operator, key["Idempotency-Key"]).open(row["answer"])


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/tokens", {"label": "another"}),
        ("/tokens", {"label": "Okta", "scopes": ["scim:read"]}),
        ("/people", {"user_name": "maria"}),
    ],
)
async def test_another_call_under_the_same_key(acme: Tenant, address: str, body: dict[str, Any]) -> None:
    """The same key for another body or address is refused, and nothing is created."""
    key = a_key()
    assert (await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "Okta"}, headers=key)).is_success
    before = await tokens_of(acme)

    refused = await acme.callers.operator.post(acme.v1 + address, json=body, headers=key)

    turned_down(refused, 422, "idempotency_key_reused", "send a new key")
    assert await tokens_of(acme) == before
    assert (await acme.audit())[0]["status"] == 422


async def test_one_body_in_two_spellings(acme: Tenant) -> None:
    """The order of members and white space make no other call."""
    key = a_key() | {"Content-Type": "application/json"}
    bodies = ('{"label": "x", "scopes": ["scim"]}', '{"scopes":["scim"],\n"label":"x"}')
    first, again = [await acme.callers.operator.post(f"{acme.v1}/tokens", content=body, headers=key) for body in bodies]
    assert again.content == first.content


async def test_a_refusal_is_not_kept(acme: Tenant) -> None:
    """A call that was refused leaves its key free, so that the corrected call may use it."""
    key = a_key()
    turned_down(
        await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x", "owner": NOBODY}, headers=key),
        404,
        "not_found",
    )
    corrected = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
    assert corrected.status_code == 201
    assert "idempotent-replayed" not in corrected.headers


async def test_a_crash_keeps_neither(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch, owner: Connection, operator: httpx.AsyncClient
) -> None:
    """When the record can't be written, nothing was created either, and the same call succeeds later."""
    before, key = await tokens_of(acme), a_key()
    keeping = answers.Attempt.end

    async def torn(*given: Any) -> None:
        await keeping(*given)
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(answers.Attempt, "end", torn)
        failed = await operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
    assert failed.status_code == 500
    assert await tokens_of(acme) == before
    assert not await owner.fetchval("SELECT count(*) FROM idempotency_keys WHERE tenant_id = $1", UUID(acme.id))

    assert (await operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)).status_code == 201
    assert len(await tokens_of(acme)) == len(before) + 1


async def test_ten_at_once(acme: Tenant) -> None:
    """Of ten calls at the same moment one creates, and all are answered alike."""
    before, key = await tokens_of(acme), a_key()
    found = await asyncio.gather(
        *(acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key) for _ in range(10))
    )
    answered = [answer for answer in found if answer.status_code == 201]
    assert {answer.content for answer in answered} == {answered[0].content}
    assert sum("idempotent-replayed" not in answer.headers for answer in answered) == 1
    assert {answer.status_code for answer in found} <= {201, 409}
    assert len(await tokens_of(acme)) == len(before) + 1


async def test_the_first_call_is_not_over(acme: Tenant, owner: Connection, engines: Any) -> None:
    """While the first call is worked on, a second waits two seconds and is then told to come again; nothing hangs."""
    key = a_key()
    operator = acme.callers.operator.headers["authorization"].removeprefix("Bearer ")
    name = CallersSeal.of(operator, key["Idempotency-Key"]).name
    async with owner.transaction():
        assert await owner.fetchval(qualified("SELECT fn.hold_idempotency_key($1, $2)"), UUID(acme.id), name)
        refused = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
        turned_down(refused, 409, "idempotency_key_in_use", "in a second")
        assert refused.headers["retry-after"] == "1"

        waiting = asyncio.create_task(acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key))
        await until_waiting(owner, waiting)
    assert (await waiting).status_code == 201


async def test_waiting_for_a_key_limits_nothing_else(acme: Tenant, database: Database) -> None:
    """The bound on the wait for a key ends with that wait."""
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.fetchval(qualified("SELECT fn.hold_idempotency_key($1, 'x')"), UUID(acme.id))
        assert await connection.fetchval("SHOW lock_timeout") == BOUNDS["lock_timeout"]


async def test_a_key_is_its_callers_own(acme: Tenant, other: Tenant, callers: Callers) -> None:
    """Another caller's equal key, and the same caller's in another tenant, are other keys."""
    key = a_key()
    ada = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    body = {"user_name": "maria"}
    first = await callers.operator.post(f"{acme.v1}/people", json=body, headers=key)
    elsewhere = await callers.operator.post(f"{other.v1}/people", json=body, headers=key)
    async with callers.bearer(ada) as admin:
        hers = await admin.post(f"{acme.v1}/people", json=body, headers=key)
        noor = await admin.post(f"{acme.v1}/people", json={"user_name": "noor"}, headers=key)

    assert (first.status_code, elsewhere.status_code, noor.status_code) == (201, 201, 201)
    assert first.json()["id"] != elsewhere.json()["id"]
    turned_down(hers, 409, "taken")


async def test_a_repeated_call_is_authenticated_again(acme: Tenant) -> None:
    """Whoever's token has ended is not given the old answer again, nor is an admin who was demoted."""
    ada = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    key = a_key()
    async with acme.callers.bearer(ada["token"]) as admin:
        issued = await admin.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
        assert issued.status_code == 201
        await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")
        turned_down(await admin.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key), 401, "unauthenticated")


async def test_authorised_again(acme: Tenant) -> None:
    """A key of the wrong kind is refused before anybody looks for its Idempotency-Key."""
    key = a_key()
    await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
    turned_down(
        await acme.callers.product.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key), 403, "forbidden"
    )


@pytest.mark.parametrize("key", ["", "a\tb", "x" * 256, "ü", "snow☃".encode()])
async def test_what_can_not_be_a_key(acme: Tenant, key: str | bytes) -> None:
    """A key is 1 to 255 printable ASCII characters; anything else is refused, with the way out."""
    headers = [(b"Idempotency-Key", key.encode("latin-1") if isinstance(key, str) else key)]
    refused = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=headers)
    turned_down(refused, 400, "invalid", "1 to 255 printable ASCII")


async def test_two_keys(acme: Tenant) -> None:
    """A call with two keys is refused: neither is the right one."""
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    refused = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=headers)
    turned_down(refused, 400, "invalid", "send one")


@pytest.mark.parametrize("key", ["a", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "order 17/b"])
async def test_what_can_be_a_key(acme: Tenant, key: str) -> None:
    """Any printable text may be a key."""
    made = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers={"Idempotency-Key": key})
    assert made.status_code == 201, made.text


async def test_keys_are_bounded(acme: Tenant, owner: Connection) -> None:
    """A caller who has used as many keys as are kept is told to wait, and keys of yesterday don't count."""
    key = a_key()
    operator = acme.callers.operator.headers["authorization"].removeprefix("Bearer ")
    token = read_token(operator)
    assert token is not None
    first = CallersSeal.of(operator, key["Idempotency-Key"]).name[:1]
    await owner.execute(
        "INSERT INTO idempotency_keys (tenant_id, caller_id, name, fingerprint, status, answer, has_secret) "
        "SELECT $1, $2, $3 || sha256(n::text::bytea), '', 201, '', false FROM generate_series(1, $4) n",
        UUID(acme.id),
        token.id,
        first,
        answers.MOST_IN_A_BUCKET,
    )
    refused = await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)
    turned_down(refused, 429, "too_many_requests", "leave the header out")
    assert refused.headers["retry-after"] == "3600"

    await turn_back(owner, acme, timedelta(hours=24))
    assert (await acme.callers.operator.post(f"{acme.v1}/tokens", json={"label": "x"}, headers=key)).is_success


async def test_operators_have_a_home(operator: httpx.AsyncClient, owner: Connection) -> None:
    """What concerns no tenant, such as a new one, is kept for the installation."""
    key, slug = a_key(), f"made-once-{uuid4().hex[:8]}"
    wanted = {"slug": slug, "name": "Once", "plan": "business"}
    first = await operator.post("/v1/tenants", json=wanted, headers=key)
    again = await operator.post("/v1/tenants", json=wanted, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    turned_down(
        await operator.post("/v1/tenants", json=wanted | {"name": "Twice"}, headers=key),
        422,
        "idempotency_key_reused",
    )
    nobodys = "SELECT count(*) FROM idempotency_keys WHERE tenant_id = $1"
    assert await owner.fetchval(nobodys, UUID(int=0)) >= 1


async def test_an_installations_destination(operator: httpx.AsyncClient) -> None:
    """A webhook's secret is shown again, for the installation's destinations as for a tenant's."""
    key = a_key()
    first = await operator.post("/v1/destinations", json=HOOK, headers=key)
    again = await operator.post("/v1/destinations", json=HOOK, headers=key)
    try:
        assert first.json()["secret"].startswith("whsec_")
        assert again.content == first.content
        one = f"/v1/destinations/{first.json()['id']}"
        turn = a_key()
        rotated = await operator.post(f"{one}/rotate-secret", headers=turn)
        repeated = await operator.post(f"{one}/rotate-secret", headers=turn)
        assert repeated.status_code == 200
        assert repeated.content == rotated.content
    finally:
        await operator.delete(f"/v1/destinations/{first.json()['id']}")


async def test_every_kind_of_creation(acme: Tenant) -> None:
    """Each call that creates in a tenant is answered alike when it is repeated."""
    maria = await acme.person("maria")
    one = f"{acme.v1}/people/{maria['id']}"
    hook = (await acme.callers.operator.post(f"{acme.v1}/destinations", json=HOOK)).json()["id"]
    token = (await acme.issue_token())["id"]
    for client, address, body in (
        (acme.callers.product, "/v1/sessions", {"tenant": acme.slug, "person": maria["id"]}),
        (acme.callers.product, f"{one}/tokens", {"label": "laptop", "scopes": ["repo:read"]}),
        (acme.callers.product, f"{one}/external-credentials", {"kind": "ssh_key", "name": "laptop"}),
        (acme.callers.operator, f"{acme.v1}/people", {"user_name": "noor"}),
        (acme.callers.operator, f"{acme.v1}/tokens/{token}/rotate", {"overlap_seconds": 60}),
        (acme.callers.operator, f"{acme.v1}/destinations", HOOK),
        (acme.callers.operator, f"{acme.v1}/destinations/{hook}/rotate-secret", None),
        (acme.callers.operator, f"{acme.v1}/destinations/{hook}/test", None),
        (acme.callers.operator, f"{acme.v1}/destinations/{hook}/replay-dead", None),
        (acme.callers.operator, f"{acme.v1}/destinations/{hook}/replay-since", {"since": "2026-11-30T09:30:00Z"}),
    ):
        key = a_key()
        first = await client.post(address, json=body, headers=key)
        again = await client.post(address, json=body, headers=key)
        assert first.is_success, f"{address}: {first.text}"
        assert (again.status_code, again.content) == (first.status_code, first.content), address
        assert again.headers["idempotent-replayed"] == "true"


async def test_a_wrong_key_spends_no_challenge(acme: Tenant) -> None:
    """A passkey's challenge is still good after a call that was refused for its Idempotency-Key alone."""
    maria, key = await acme.person("maria"), a_key()
    device, address = await registered(acme, maria), f"{acme.v1}/passkeys/sign-in"
    other = await sign_in_begun(acme.callers, acme)
    signed_in = {"challenge": other["challenge"], "credential": device.get(other["options"])}
    first = await acme.callers.product.post(address, json=signed_in, headers=key)
    assert first.status_code == 201, first.text
    ceremony = await sign_in_begun(acme.callers, acme)
    answered = {"challenge": ceremony["challenge"], "credential": device.get(ceremony["options"])}

    refused = await acme.callers.product.post(address, json=answered, headers=key)

    turned_down(refused, 422, "idempotency_key_reused")
    assert (await acme.callers.product.post(address, json=signed_in, headers=key)).content == first.content
    assert (await acme.callers.product.post(address, json=answered)).status_code == 201
