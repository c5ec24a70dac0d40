"""/oauth: are these sessions and tokens good, at this moment; and handing one back that is done."""

import asyncio
import time
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.expect import turned_down_by_oauth as turned_down
from factories import Tenant, deactivation
from rollcall.crypto import NOBODY, TokenKind, new_token
from rollcall.db import Connection

DEAD = b'{"active":false}'


async def ask(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Ask about a credential."""
    return await client.post("/oauth/introspect", data={"token": token})


async def test_live_session(acme: Tenant, product: httpx.AsyncClient) -> None:
    """A live session is answered with whose it is, in which tenant and role, and until when (RFC 7662 §2.2)."""
    person = await acme.person("Maria", roles=["dart-guests"])
    body = {"tenant": acme.slug, "person": person["id"], "lifetime_seconds": 600}
    session = (await product.post("/v1/sessions", json=body)).json()

    answer = await ask(product, session["token"])

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    claims = answer.json()
    issued, expires = claims.pop("iat"), claims.pop("exp")
    assert claims == {
        "active": True,
        "token_type": "Bearer",
        "kind": "ses",
        "jti": session["id"],
        "sid": session["id"],
        "tenant": acme.slug,
        "tenant_id": acme.id,
        "sub": person["id"],
        "username": "Maria",
        "role": "guest",
    }
    assert abs(issued - time.time()) < 60
    assert expires - issued == 600


async def test_live_tokens(acme: Tenant, product: httpx.AsyncClient) -> None:
    """SCIM tokens and admins' own are known too, with their scopes; one without an owner has no subject."""
    owned = (await ask(product, acme.token["token"])).json()
    unowned = (await ask(product, (await acme.issue_token(scopes=["scim:read", "scim"]))["token"])).json()
    admins = (await ask(product, (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"])).json()

    assert (owned["kind"], owned["scope"], owned["sub"]) == ("scim", "scim", acme.admin["id"])
    assert {each["token_type"] for each in (owned, unowned, admins)} == {"Bearer"}
    assert set(unowned["scope"].split()) == {"scim", "scim:read"}
    assert not {"sub", "username", "role", "exp"} & set(unowned)
    assert (admins["kind"], admins["scope"], admins["role"]) == ("pat", "admin", "admin")


Ending = Callable[[Tenant, dict[str, Any], Connection], Awaitable[object]]


async def _session(tenant: Tenant, ending: Ending, owner: Connection) -> str:
    """A session that was live and has ended this way."""
    person = await tenant.person("maria", externalId="1")
    body = {"tenant": tenant.slug, "person": person["id"]}
    session = (await tenant.callers.product.post("/v1/sessions", json=body)).json()
    assert await tenant.callers.is_live(session["token"])
    await ending(tenant, {"person": person, "session": session}, owner)
    return session["token"]


ENDINGS: dict[str, Ending] = {
    "closed": lambda tenant, known, _: tenant.callers.product.delete(f"{tenant.v1}/sessions/{known['session']['id']}"),
    "expired": lambda tenant, known, owner: owner.execute(
        "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id::text = $1", known["session"]["id"]
    ),
    "deactivated": lambda tenant, known, _: tenant.scim.patch(f"/Users/{known['person']['id']}", json=deactivation()),
    "removed": lambda tenant, known, _: tenant.scim.delete(f"/Users/{known['person']['id']}"),
    "suspended": lambda tenant, known, _: tenant.callers.operator.post(f"{tenant.v1}/suspend"),
    "epoch": lambda tenant, known, owner: owner.execute(
        "UPDATE accounts SET epoch = epoch + 1 WHERE id::text = $1", known["person"]["id"]
    ),
    "account": lambda tenant, known, owner: owner.execute(
        "UPDATE accounts SET active = false WHERE id::text = $1", known["person"]["id"]
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_ended_sessions(acme: Tenant, product: httpx.AsyncClient, owner: Connection, ending: str) -> None:
    """However a session ended, the answer says that it is not active, and not a byte more."""
    token = await _session(acme, ENDINGS[ending], owner)

    answer = await ask(product, token)

    assert (answer.status_code, answer.content) == (200, DEAD)
    assert answer.headers["cache-control"] == "no-store"


async def test_session_after_coming_back(acme: Tenant, product: httpx.AsyncClient) -> None:
    """A session that ended with its person stays dead when they come back."""
    person = await acme.person("maria")
    session = await acme.session(person)
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    await acme.callers.operator.post(f"{acme.v1}/people/{person['id']}/reactivate")

    assert (await ask(product, session)).content == DEAD


@pytest.mark.parametrize("ending", ["revoke", "rotate", "demote", "deactivate"])
async def test_ended_tokens(acme: Tenant, product: httpx.AsyncClient, ending: str) -> None:
    """However a token ended, the answer says that it is not active, and not a byte more."""
    what = f"tokens/{acme.token['id']}" if ending in ("revoke", "rotate") else f"people/{acme.admin['id']}"
    await acme.callers.operator.post(f"{acme.v1}/{what}/{ending}")

    assert (await ask(product, acme.token["token"])).content == DEAD


@pytest.mark.parametrize("change", ["nonsense", "cut", "secret", "tenant", "kind", "key"])
async def test_never_good(acme: Tenant, other: Tenant, product: httpx.AsyncClient, change: str) -> None:
    """What never was a credential is answered as one that is dead: nobody learns how close they came."""
    session = await acme.session(await acme.person("maria"))
    key = product.headers["authorization"].removeprefix("Bearer ")
    forged = {
        "nonsense": "nonsense",
        "cut": session[:-1],
        "secret": session[:-20] + "00000000000000000000",
        "tenant": session.replace(session.split("_")[2], other.token["token"].split("_")[2]),
        "kind": session.replace("rc_ses_", "rc_pat_"),
        "key": key,
    }[change]

    assert (await ask(product, forged)).content == DEAD


@pytest.mark.parametrize(
    "content", [b"", b"token=", b"other=x", b'{"token": "x"}', b"&".join(b"a%d=1" % number for number in range(50))]
)
async def test_missing_token(product: httpx.AsyncClient, content: bytes) -> None:
    """A request without the form field `token` is refused, which is not the same as a dead token."""
    turned_down(await product.post("/oauth/introspect", content=content), 400, "invalid_request", "token")


@pytest.mark.parametrize("address", ["/oauth/introspect", "/oauth/introspect/batch", "/oauth/revoke"])
async def test_strangers_learn_nothing(acme: Tenant, http: httpx.AsyncClient, address: str) -> None:
    """Only a live application or operator key may ask or end anything; anybody else is 401 whatever they send."""
    unknown, unknown_operator = (
        new_token(kind, NOBODY, uuid4()) for kind in (TokenKind.APPLICATION, TokenKind.OPERATOR)
    )
    session = await acme.session(await acme.person("maria"))
    admins = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])

    for key in (None, "nonsense", session, acme.token["token"], admins["token"], unknown, unknown_operator):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        for content in (f"token={session}", "", "&".join(["a=1"] * 50), '{"tokens": []}', '{"tokens": ["x"]}'):
            answer = await http.post(address, content=content, headers=headers)
            turned_down(answer, 401, "invalid_client")
            assert answer.headers["www-authenticate"] == 'Bearer realm="rollcall", Basic realm="rollcall"'
    assert await acme.callers.is_live(session)


def as_client(key: str, client_id: str = "shop") -> str:
    """How OAuth clients present their secret."""
    return "Basic " + b64encode(f"{client_id}:{key}".encode()).decode()


@pytest.mark.parametrize("client_id", ["", "shop", "sh%20op"])
async def test_key_as_a_clients_password(acme: Tenant, http: httpx.AsyncClient, client_id: str) -> None:
    """OAuth clients present their key as the password of whatever client id they have, at every address."""
    key = acme.callers.product.headers["authorization"].partition(" ")[2]
    headers = {"Authorization": as_client(key, client_id)}
    session = await acme.session(await acme.person("maria"))

    asked = await http.post("/oauth/introspect", data={"token": session}, headers=headers)
    many = await http.post("/oauth/introspect/batch", json={"tokens": [session]}, headers=headers)
    assert (asked.json()["active"], many.json()["answers"]) == (True, [asked.json()])
    ended = await http.post("/oauth/revoke", data={"token": session}, headers=headers)
    assert ended.status_code == 200, ended.text
    assert not await acme.callers.is_live(session)
    (entry,) = await acme.audit(action="session.closed")
    assert entry["actor_label"] == "product under test"


async def test_no_client(acme: Tenant, http: httpx.AsyncClient) -> None:
    """A client whose password is no live key of the product is 401, however the header is written."""
    session = await acme.session(await acme.person("maria"))
    key = acme.callers.product.headers["authorization"].partition(" ")[2]
    unknown = new_token(TokenKind.APPLICATION, NOBODY, uuid4())
    admins = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    without_colon = "Basic " + b64encode(key.encode()).decode()
    as_name = "Basic " + b64encode(f"{key}:".encode()).decode()

    for given in (
        as_client(unknown),
        as_client(admins),
        as_client(session),
        without_colon,
        as_name,
        "Basic",
        "Basic !",
    ):
        for address in ("/oauth/introspect", "/oauth/revoke"):
            answer = await http.post(address, data={"token": session}, headers={"Authorization": given})
            turned_down(answer, 401, "invalid_client")
            assert "Basic" in answer.headers["www-authenticate"]
    latin = b"Basic " + b64encode("shop:ü".encode("latin-1"))
    turned_down(await http.post("/oauth/revoke", headers=[(b"Authorization", latin)]), 401, "invalid_client")
    assert await acme.callers.is_live(session)


async def test_operators_may_ask(acme: Tenant, operator: httpx.AsyncClient) -> None:
    """Ops may ask too."""
    session = await acme.session(await acme.person("maria"))

    assert (await ask(operator, session)).json()["active"] is True


async def ask_many(client: httpx.AsyncClient, tokens: object) -> httpx.Response:
    """Ask about many credentials."""
    return await client.post("/oauth/introspect/batch", json={"tokens": tokens})


async def test_many_at_once(acme: Tenant, other: Tenant, product: httpx.AsyncClient) -> None:
    """Many are answered in their order, each as it would be alone, whatever tenants they are of."""
    maria, noor = await acme.person("maria"), await other.person("noor")
    gone = await acme.session(await acme.person("gone", externalId="g"))
    await acme.callers.operator.post(f"{acme.v1}/people/{(await found(acme, 'gone'))['id']}/deactivate")
    texts = [await acme.session(maria), gone, other.token["token"], "nonsense", await other.session(noor)]
    texts = [*texts, texts[0], await acme.personal_token(maria)]

    answer = await ask_many(product, texts)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    answers = answer.json()["answers"]
    assert answers == [(await ask(product, text)).json() for text in texts]
    assert [each["active"] for each in answers] == [True, False, True, False, True, True, True]
    assert [each.get("sub") for each in answers[:5:4]] == [maria["id"], noor["id"]]


async def found(tenant: Tenant, user_name: str) -> dict[str, Any]:
    """The person with this userName."""
    page = (await tenant.callers.operator.get(f"{tenant.v1}/people", params={"user_name": user_name})).json()
    return page["data"][0]


async def test_how_many(acme: Tenant, product: httpx.AsyncClient) -> None:
    """A hundred can be asked about, and none; more are refused."""
    session = await acme.session(await acme.person())
    assert (await ask_many(product, [])).json() == {"answers": []}
    hundred = (await ask_many(product, [session, *["x"] * 98, session])).json()["answers"]
    assert [each["active"] for each in hundred] == [True, *[False] * 98, True]
    turned_down(await ask_many(product, ["x"] * 101), 400, "invalid_request", "100")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"tokens": "x"}',
        b'{"tokens": [1]}',
        b'{"tokens": null}',
        b"[" * 100_000,
        b"\xff",
    ],
    ids=range(10),
)
async def test_what_is_no_question(product: httpx.AsyncClient, content: bytes) -> None:
    """A body that names no list of credentials is refused."""
    answer = await product.post("/oauth/introspect/batch", content=content)
    turned_down(answer, 400, "invalid_request", "tokens")


async def hand_back(client: httpx.AsyncClient, token: str, **more: str) -> httpx.Response:
    """End a credential."""
    return await client.post("/oauth/revoke", data={"token": token, **more})


@pytest.mark.parametrize("kind", ["session", "personal", "provider", "admin"])
async def test_handing_back(acme: Tenant, product: httpx.AsyncClient, kind: str) -> None:
    """A session or token that is handed back is dead at the next question, once, and the audit names the product."""
    maria = await acme.person("maria")
    text = {
        "session": lambda: acme.session(maria),
        "personal": lambda: acme.personal_token(maria),
        "provider": lambda: issued(acme, ["scim"]),
        "admin": lambda: issued(acme, ["admin"]),
    }[kind]
    token, another = await text(), await text()

    answers = await asyncio.gather(*(hand_back(product, token, token_type_hint="refresh_token") for _ in range(4)))

    for answer in answers:
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["cache-control"] == "no-store"
    assert (await ask(product, token)).content == DEAD
    assert await acme.callers.is_live(another)
    (entry,) = await acme.audit(action="session.closed" if kind == "session" else "token.revoked")
    assert (entry["actor_kind"], entry["actor_label"], entry["path"]) == (
        "application",
        "product under test",
        "/oauth/revoke",
    )


async def issued(tenant: Tenant, scopes: list[str]) -> str:
    """A token of the tenant's admin."""
    return (await tenant.issue_token(scopes=scopes, owner=tenant.admin["id"]))["token"]


@pytest.mark.parametrize("change", ["nonsense", "cut", "secret", "tenant", "kind", "nobodys"])
async def test_handing_back_what_is_none(acme: Tenant, other: Tenant, product: httpx.AsyncClient, change: str) -> None:
    """What never was a credential is answered like one that was, and ends nothing."""
    session = await acme.session(await acme.person("maria"))
    parts = session.split("_")
    forged = {
        "nonsense": "nonsense",
        "cut": session[:-1],
        "secret": retold(*parts[1:4], "0" * 50),
        "tenant": retold(parts[1], other.token["token"].split("_")[2], *parts[3:5]),
        "kind": retold("pat", *parts[2:5]),
        "nobodys": new_token(TokenKind.SESSION, uuid4(), uuid4()),
    }[change]

    answer = await hand_back(product, forged)

    assert (answer.status_code, answer.content) == (200, b"")
    assert await acme.callers.is_live(session)


def retold(*parts: str) -> str:
    """A text with a right check that nobody issued."""
    body = "_".join(("rc", *parts))
    number, check = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 36)
        check = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + check
    return f"{body}_{check.rjust(7, '0')}"


async def test_keys_are_not_handed_back(product: httpx.AsyncClient) -> None:
    """The installation's own keys are not ended here, and whoever tries is told so."""
    key = product.headers["authorization"].removeprefix("Bearer ")
    turned_down(await hand_back(product, key), 400, "unsupported_token_type", "rollcall keys revoke")
    assert (await ask(product, key)).status_code == 200
    turned_down(await product.post("/oauth/revoke", content=b"x=y"), 400, "invalid_request", "token")
