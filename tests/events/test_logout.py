"""Logout tokens: what a product gets that signs people out by OpenID Connect Back-Channel Logout."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import httpx
import pytest

from factories import Callers, Tenant, a_tenant
from other_libraries import read_by_authlib
from rollcall.crypto import Sealer
from rollcall.events import logout
from rollcall.events.outgoing import Destination, Message, Outgoing, Signing
from rollcall.settings import Settings

MARIA, SESSION = uuid4(), uuid4()


def destination(tenant: Tenant, settings: Settings) -> Destination:
    """A product's address for logout tokens."""
    return Destination(
        tenant_id=UUID(tenant.id),
        id=uuid4(),
        kind="logout",
        url="https://app.example/backchannel?tenant=1",
        label="app",
        audience="client-7",
        secrets=(),
        signing=Signing(Sealer.of(settings), settings.public_url),
    )


def message(topic: str, account_id: UUID | None = MARIA, **payload: Any) -> Message:
    """Something that happened to maria."""
    return Message(
        id=uuid4(),
        topic=topic,
        account_id=account_id,
        user_name="maria",
        payload=payload,
        request_id="test",
        created_at=datetime.now(UTC),
    )


async def words(tenant: Tenant, settings: Settings, said: Message) -> Outgoing | None:
    async with tenant.work() as work:
        return await logout.outgoing(work, destination(tenant, settings), said)


async def token(http: httpx.AsyncClient, call: Outgoing | None) -> Any:
    """The token in a call, read and verified by a library that nobody here wrote."""
    assert call is not None
    ((text,),) = parse_qs(call.body.decode(), strict_parsing=True).values()
    claims = read_by_authlib(
        text,
        (await http.get("/.well-known/jwks.json")).json(),
        claims_options={
            "iss": {"essential": True, "value": "http://rollcall.test"},
            "aud": {"essential": True, "value": "client-7"},
            "iat": {"essential": True},
            "exp": {"essential": True},
            "jti": {"essential": True},
        },
    )
    claims.validate()
    return claims


async def test_a_departure(callers: Callers, settings: Settings, http: httpx.AsyncClient) -> None:
    """A departure signs a person out everywhere: the subject, and no single session."""
    call = await words(await a_tenant(callers), settings, message("user.deactivated", reason="left", closed={}))
    claims = await token(http, call)
    assert claims.header["typ"] == "logout+jwt"
    assert claims["sub"] == str(MARIA)
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims.keys() == {"iss", "aud", "iat", "exp", "jti", "sub", "events"}
    assert claims["exp"] - claims["iat"] == 120
    assert abs(claims["iat"] - time.time()) < 30


async def test_the_call(callers: Callers, settings: Settings) -> None:
    """The token comes as a form with one field, to the address as it was registered, and is stored by nobody."""
    call = await words(await a_tenant(callers), settings, message("user.deactivated"))
    assert call is not None
    assert call.url == "https://app.example/backchannel?tenant=1"
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert call.headers["Cache-Control"] == "no-store"
    assert list(parse_qs(call.body.decode(), strict_parsing=True)) == ["logout_token"]
    assert b"logout_token" not in repr(call).encode()


async def test_one_session(callers: Callers, settings: Settings, http: httpx.AsyncClient) -> None:
    """A closed session ends alone: its id stands beside the person's."""
    call = await words(await a_tenant(callers), settings, message("session.closed", session_id=str(SESSION)))
    claims = await token(http, call)
    assert (claims["sub"], claims["sid"]) == (str(MARIA), str(SESSION))


async def test_each_attempt_is_new(callers: Callers, settings: Settings, http: httpx.AsyncClient) -> None:
    """Said again, it is another token: a receiver that remembers ids does not take a retry for a replay."""
    tenant, said = await a_tenant(callers), message("user.deactivated")
    first, second = [await token(http, await words(tenant, settings, said)) for _ in range(2)]
    assert first["jti"] != second["jti"]


@pytest.mark.parametrize("topic", ["user.updated", "user.role_changed", "tenant.suspended", "session.opened"])
async def test_what_ends_no_session(callers: Callers, settings: Settings, topic: str) -> None:
    """Of anything else there is nothing to say."""
    assert await words(await a_tenant(callers), settings, message(topic)) is None


async def test_about_nobody(callers: Callers, settings: Settings) -> None:
    """A message about no person signs nobody out."""
    assert await words(await a_tenant(callers), settings, message("user.deactivated", None)) is None
