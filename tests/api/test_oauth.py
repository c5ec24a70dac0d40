"""/oauth/introspect: is this session or token good, at this moment."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from api.expect import turned_down
from factories import Tenant, deactivation
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
        "token_type": "ses",
        "jti": session["id"],
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

    assert (owned["token_type"], owned["scope"], owned["sub"]) == ("scim", "scim", acme.admin["id"])
    assert set(unowned["scope"].split()) == {"scim", "scim:read"}
    assert not {"sub", "username", "role", "exp"} & set(unowned)
    assert (admins["token_type"], admins["scope"], admins["role"]) == ("pat", "admin", "admin")


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
    turned_down(await product.post("/oauth/introspect", content=content), 400, "invalid", "token")


async def test_strangers_learn_nothing(acme: Tenant, http: httpx.AsyncClient) -> None:
    """Only a live application or operator key may ask; anybody else is 401 whatever they send."""
    session = await acme.session(await acme.person("maria"))
    admins = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])

    for key in (None, "nonsense", session, acme.token["token"], admins["token"]):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        for content in (f"token={session}", "", "&".join(["a=1"] * 50)):
            answer = await http.post("/oauth/introspect", content=content, headers=headers)
            turned_down(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_operators_may_ask(acme: Tenant, operator: httpx.AsyncClient) -> None:
    """Ops may ask too."""
    session = await acme.session(await acme.person("maria"))

    assert (await ask(operator, session)).json()["active"] is True
