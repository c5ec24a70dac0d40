"""Sessions and introspection: opened for who may come in, good only while everything about them is."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from factories import Callers, Tenant, a_tenant
from rollcall.access import accounts, sessions
from rollcall.crypto import TokenKind, new_token
from rollcall.db import Connection
from rollcall.errors import Invalid, NotFound
from rows import tables_with


async def asked(callers: Callers, token: str) -> dict[str, Any]:
    """Everything introspection says of a credential."""
    answer = await callers.product.post("/oauth/introspect", data={"token": token})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_a_good_session(callers: Callers) -> None:
    """Introspection says whose session it is, in which tenant, until when, and the role they have now."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    said = await asked(callers, await tenant.session(maria))
    assert said["active"] is True
    assert (said["sub"], said["username"]) == (maria["id"], maria["userName"])
    assert (said["tenant"], said["tenant_id"]) == (tenant.slug, tenant.id)
    assert said["role"] == "member"
    assert said["exp"] - said["iat"] == 8 * 3600


async def test_the_role_is_the_present_one(callers: Callers) -> None:
    """A role given a moment ago is in the next answer about an old session."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session = await tenant.session(maria)
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/role", json={"role": "guest"})
    assert (await asked(callers, session))["role"] == "guest"


async def test_a_good_token(callers: Callers) -> None:
    """Introspection knows SCIM tokens and admins' own too, and a token without an owner has no subject."""
    tenant = await a_tenant(callers)
    personal = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    unowned = await tenant.issue_token(scopes=["scim:read"])
    assert (await asked(callers, tenant.token["token"]))["scope"] == "scim"
    assert (await asked(callers, personal["token"]))["sub"] == tenant.admin["id"]
    said = await asked(callers, unowned["token"])
    assert (said["active"], said["scope"]) == (True, "scim:read")
    assert "sub" not in said


async def close(tenant: Tenant, _owner: Connection, session: UUID, _person: str) -> None:
    answer = await tenant.callers.product.delete(f"{tenant.v1}/sessions/{session}")
    assert answer.status_code == 204, answer.text


async def expire(_tenant: Tenant, owner: Connection, session: UUID, _person: str) -> None:
    await owner.execute("UPDATE sessions SET expires_at = clock_timestamp() WHERE id = $1", session)


async def suspend(tenant: Tenant, _owner: Connection, _session: UUID, _person: str) -> None:
    await tenant.callers.operator.post(f"{tenant.v1}/suspend")


async def raise_epoch(_tenant: Tenant, owner: Connection, _session: UUID, person: str) -> None:
    await owner.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", UUID(person))


async def close_account_alone(_tenant: Tenant, owner: Connection, _session: UUID, person: str) -> None:
    await owner.execute("UPDATE accounts SET active = false WHERE id = $1", UUID(person))


async def forget(_tenant: Tenant, owner: Connection, session: UUID, _person: str) -> None:
    await owner.execute("DELETE FROM sessions WHERE id = $1", session)


@pytest.mark.parametrize("end", [close, expire, suspend, raise_epoch, close_account_alone, forget])
async def test_what_ends_a_session(
    callers: Callers, owner: Connection, end: Callable[[Tenant, Connection, UUID, str], Awaitable[None]]
) -> None:
    """A session is good while its row is open and in time, of its account's epoch, and account and tenant active."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session = await tenant.session(maria)
    row = await owner.fetchval("SELECT id FROM sessions WHERE account_id = $1", UUID(maria["id"]))
    await end(tenant, owner, row, maria["id"])
    assert await asked(callers, session) == {"active": False}


async def test_why_is_not_told(callers: Callers) -> None:
    """What is not good is answered with the same bytes, whatever the reason, also for what is no token at all."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session = await tenant.session(maria)
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/deactivate")
    dead = [
        session,
        session[:-1],
        new_token(TokenKind.SESSION, UUID(tenant.id), uuid4()),
        new_token(TokenKind.SESSION, uuid4(), uuid4()),
        new_token(TokenKind.OPERATOR, UUID(int=0), uuid4()),
        callers.product.headers["authorization"].removeprefix("Bearer "),
        "é",
        "\x00",
    ]
    answers = {(await callers.product.post("/oauth/introspect", data={"token": text})).content for text in dead}
    assert answers == {b'{"active":false}'}


async def test_who_may_ask(callers: Callers, http: httpx.AsyncClient) -> None:
    """Only a live application or operator key may ask; everybody else hears nothing about the credential."""
    tenant = await a_tenant(callers)
    session = await tenant.session(tenant.admin)
    assert (await callers.operator.post("/oauth/introspect", data={"token": session})).json()["active"] is True
    personal = (await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"]))["token"]
    strangers = [tenant.token["token"], session, personal, new_token(TokenKind.APPLICATION, UUID(int=0), uuid4()), "x"]
    for text in strangers:
        async with callers.bearer(text) as client:
            answer = await client.post("/oauth/introspect", data={"token": session})
        assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
        assert "active" not in answer.json()
    assert (await http.post("/oauth/introspect", data={"token": session})).status_code == 401


async def test_a_session_is_shown_once(callers: Callers, owner: Connection) -> None:
    """The text that opens a session is in no row of any table."""
    tenant = await a_tenant(callers)
    secret = (await tenant.session(tenant.admin)).split("_")[4]
    assert await tables_with(owner, secret) == []
    assert await tables_with(owner, secret.encode().hex()) == []


async def test_nothing_for_who_is_inactive(callers: Callers) -> None:
    """No session is opened for somebody inactive, unknown, or another tenant's."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria = await tenant.person(active=False)
    for person, status in ((maria["id"], 409), (str(uuid4()), 404), (other.admin["id"], 404)):
        answer = await callers.product.post("/v1/sessions", json={"tenant": tenant.slug, "person": person})
        assert answer.status_code == status, answer.text


async def test_by_user_name(callers: Callers) -> None:
    """The product may name the person as they sign in, in any case."""
    tenant = await a_tenant(callers)
    maria = await tenant.person("Maria@Example.test")
    wanted = {"tenant": tenant.id, "user_name": "mARIA@example.TEST"}
    answer = await callers.product.post("/v1/sessions", json=wanted)
    assert answer.json()["person_id"] == maria["id"]


async def test_closing_twice(callers: Callers) -> None:
    """Closing a session twice is the same as once, and another tenant's is not found."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    wanted = {"tenant": tenant.slug, "person": tenant.admin["id"]}
    session = (await callers.product.post("/v1/sessions", json=wanted)).json()
    assert (await callers.product.delete(f"{other.v1}/sessions/{session['id']}")).status_code == 404
    assert await callers.is_live(session["token"])
    for _ in range(2):
        assert (await callers.product.delete(f"{tenant.v1}/sessions/{session['id']}")).status_code == 204
    assert len(await tenant.audit(action="session.closed")) == 1


async def test_list_shows_open_ones(callers: Callers, owner: Connection) -> None:
    """A person's list of sessions has those that are open and in time, newest first."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    wanted = {"tenant": tenant.slug, "person": maria["id"]}
    made = [(await callers.product.post("/v1/sessions", json=wanted | {"label": str(n)})).json() for n in range(4)]
    await callers.product.delete(f"{tenant.v1}/sessions/{made[0]['id']}")
    await owner.execute("UPDATE sessions SET expires_at = now() WHERE id = $1", UUID(made[2]["id"]))
    listed = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/sessions")).json()["data"]
    assert [each["label"] for each in listed] == ["3", "1"]


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(days=91)])
async def test_lifetime_has_bounds(callers: Callers, lifetime: timedelta) -> None:
    """A session lives between a second and ninety days."""
    tenant = await a_tenant(callers)
    async with tenant.work() as work:
        with pytest.raises(Invalid):
            await sessions.open_session(work, UUID(tenant.admin["id"]), lifetime=lifetime)


async def test_expiry_is_what_was_asked_for(callers: Callers) -> None:
    """A session asked for a minute ends after a minute."""
    tenant = await a_tenant(callers)
    wanted = {"tenant": tenant.slug, "person": tenant.admin["id"], "lifetime_seconds": 60}
    opened = (await callers.product.post("/v1/sessions", json=wanted)).json()
    rest = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < rest <= timedelta(seconds=60)


async def test_counting_admins(callers: Callers) -> None:
    """Active admins are counted, and neither members nor admins who left."""
    tenant = await a_tenant(callers)
    await tenant.person()
    gone = await tenant.person(roles=["dart-admins"])
    await callers.operator.post(f"{tenant.v1}/people/{gone['id']}/deactivate")
    async with tenant.work() as work:
        assert await accounts.admins(work) == 1


async def test_accounts_of_others(callers: Callers) -> None:
    """Another tenant's account is not found, and can't be held."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    async with tenant.work() as work:
        for ask in (accounts.find, accounts.locked_for_issuing):
            with pytest.raises(NotFound):
                await ask(work, UUID(other.admin["id"]))
