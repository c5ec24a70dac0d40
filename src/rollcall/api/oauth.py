"""``/oauth``: the product asks whether credentials are good (RFC 7662), and hands back one that is done (RFC 7009)."""

from base64 import b64decode
from typing import Any, cast
from urllib.parse import parse_qs, unquote_plus

import orjson
from litestar import Request, Response, Router, post

from rollcall.access import revocation
from rollcall.access.introspection import MOST_AT_ONCE, Live, client_of
from rollcall.api import oauth_errors
from rollcall.api.prepared import Prepared
from rollcall.api.receiving import DEEPEST
from rollcall.api.requests import AnyRequest, header, origin
from rollcall.api.v1.callers import identify_key, tenant_named
from rollcall.api.v1.operator_roles import check_role
from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.errors import Invalid, NotFound, Refusal
from rollcall.scim.errors import InvalidSyntax
from rollcall.scim.reader import check_shape
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import Actor, open_work

LARGEST_QUESTION = 16_384
"""Bytes of a form with one credential; a real one has some hundred."""

LARGEST_BATCH = 262_144
"""Bytes of a question about a hundred."""

_DEAD = b'{"active":false}'
_KEYS = frozenset({TokenKind.APPLICATION, TokenKind.OPERATOR})


class UnsupportedTokenType(Refusal):
    """A credential that is real and is not ended here (RFC 7009 §2.2.1)."""

    code = "unsupported_token_type"
    advice = "End a key of the installation with 'rollcall keys revoke'."

    def __init__(self) -> None:
        super().__init__("This is a key of the installation; ops end it with 'rollcall keys revoke'.")


@post(
    "/oauth/introspect",
    request_max_body_size=LARGEST_QUESTION,
    status_code=200,
    name="oauth_introspect",
    tags=["introspection"],
)
async def introspect_token(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell whether the session or token in the form field ``token`` is good right now.

    The caller presents its application key as bearer token, or as a client's password. A credential that is not good,
    for whatever reason, is answered with exactly ``{"active": false}``.
    """
    clients, client = request.app.state.clients, client_of(_key_of(request))
    await clients.admit(client)
    token = _token_of(await request.body())
    live = await clients.introspect(client, token or "")
    if token is None:
        raise _no_token()
    return _answer(_DEAD if live is None else orjson.dumps(_claims(live)))


@post(
    "/oauth/introspect/batch",
    request_max_body_size=LARGEST_BATCH,
    status_code=200,
    name="oauth_introspect_batch",
    tags=["introspection"],
)
async def introspect_batch(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell the same about up to 100 sessions and tokens at once, in the order they were named."""
    clients, client = request.app.state.clients, client_of(_key_of(request))
    await clients.admit(client)
    tokens = _tokens_of(await request.body())
    found = await clients.introspect_many(client, tokens or ())
    if tokens is None:
        msg = f'body: send {{"tokens": ["…"]}} as JSON, with {MOST_AT_ONCE} credentials at most'
        raise Invalid(msg)
    answers = [{"active": False} if live is None else _claims(live) for live in found]
    return _answer(orjson.dumps({"answers": answers}))


@post(
    "/oauth/revoke",
    request_max_body_size=LARGEST_QUESTION,
    status_code=200,
    name="oauth_revoke",
    tags=["introspection"],
)
async def revoke_credential(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the session or token in the form field ``token``, from this answer on.

    One that is over, or never was, is answered like one that was just ended.
    """
    key = _key_of(request) or ""
    client_of(key)
    actor = await identify_key(request, key)
    check_role(actor, OperatorRole.OPS)
    token = _token_of(await request.body())
    if token is None:
        raise _no_token()
    shown = read_token(token)
    if shown is not None:
        await _end(request, actor, shown)
    return _answer(b"")


async def _end(request: AnyRequest, actor: Actor, shown: TokenText) -> None:
    if shown.kind in _KEYS:
        raise UnsupportedTokenType
    try:
        tenant = await tenant_named(request, str(shown.tenant_id))
    except NotFound:
        return
    async with open_work(request.app.state.database, tenant, actor, origin(request)) as work:
        await revocation.end_shown(work, shown)


def _key_of(request: AnyRequest) -> str | None:
    """The key of who asks: a bearer token or, as OAuth clients send it, a client's password (RFC 6749 §2.3.1)."""
    scheme, _, key = (header(request.scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return _password(key) if scheme.lower() == "basic" else None


def _password(credentials: str) -> str | None:
    """What stands behind the client id, whatever that is: the key says by itself whose it is."""
    try:
        _, colon, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return unquote_plus(password) if colon else None


def _no_token() -> Invalid:
    return Invalid("token: send the credential in the form field 'token' (application/x-www-form-urlencoded)")


def _token_of(body: bytes) -> str | None:
    """The form field ``token``; None if there is none, or the body is no such form."""
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=10).get("token", [None])[0]
    except ValueError:
        return None


def _tokens_of(body: bytes) -> list[str] | None:
    """The credentials in a body for many; None if it is none, or names too many."""
    try:
        check_shape(body, depth=DEEPEST, lists=True)
        read: object = orjson.loads(body)
    except (InvalidSyntax, orjson.JSONDecodeError):
        return None
    tokens = cast("dict[str, object]", read).get("tokens") if isinstance(read, dict) else None
    if not isinstance(tokens, list) or len(cast("list[object]", tokens)) > MOST_AT_ONCE:
        return None
    named = cast("list[object]", tokens)
    return cast("list[str]", named) if all(isinstance(each, str) for each in named) else None


def _answer(body: bytes) -> Response[bytes]:
    return Prepared(body, media_type="application/json")


def _claims(live: Live) -> dict[str, object]:
    """RFC 7662 §2.2, and beside it the kind, tenant and role as of now; a session is named by ``sid`` as well."""
    jti = str(live.id)
    claims: dict[str, object] = {
        "active": True,
        "token_type": "Bearer",
        "kind": live.kind.value,
        "jti": jti,
        "tenant": live.tenant,
        "tenant_id": str(live.tenant_id),
        "iat": int(live.issued_at.timestamp()),
    }
    if live.kind is TokenKind.SESSION:
        claims["sid"] = jti
    if live.account_id is not None:
        claims |= {"sub": str(live.account_id), "username": live.user_name, "role": live.role}
    if live.scopes:
        claims["scope"] = " ".join(live.scopes)
    if live.expires_at is not None:
        claims["exp"] = int(live.expires_at.timestamp())
    return claims


router = Router(
    "/",
    route_handlers=[introspect_token, introspect_batch, revoke_credential],
    exception_handlers={Exception: oauth_errors.answer},
)
