"""``/oauth``: the product asks whether a credential is good (RFC 7662)."""

from typing import Any
from urllib.parse import parse_qs

import orjson
from litestar import Request, Response, post

from rollcall.access.introspection import Live, introspect
from rollcall.api.prepared import Prepared
from rollcall.errors import Invalid

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_DEAD = b'{"active":false}'


@post("/oauth/introspect", status_code=200, name="oauth_introspect", tags=["introspection"])
async def introspect_token(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell whether the session or token in the form field ``token`` is good right now.

    The caller presents its application key as bearer token. A credential that is not good, for whatever reason, is
    answered with exactly ``{"active": false}``.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    token = _token_of(await request.body())
    live = await introspect(
        request.app.state.door.pool,
        key.strip() if scheme.lower() == "bearer" else None,
        token or "",
    )
    if token is None:
        msg = "token: send the credential in the form field 'token' (application/x-www-form-urlencoded)"
        raise Invalid(msg)
    body = _DEAD if live is None else orjson.dumps(_claims(live))
    return Prepared(body, media_type="application/json", headers=_NO_STORE)


def _token_of(body: bytes) -> str | None:
    """The form field ``token``; None if there is none, or the body is no such form."""
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=10).get("token", [None])[0]
    except ValueError:
        return None


def _claims(live: Live) -> dict[str, object]:
    """RFC 7662 §2.2, and beside it the tenant and the role as of now."""
    claims: dict[str, object] = {
        "active": True,
        "token_type": live.kind.value,
        "jti": str(live.id),
        "tenant": live.tenant,
        "tenant_id": str(live.tenant_id),
        "iat": int(live.issued_at.timestamp()),
    }
    if live.account_id is not None:
        claims |= {"sub": str(live.account_id), "username": live.user_name, "role": live.role}
    if live.scopes:
        claims["scope"] = " ".join(live.scopes)
    if live.expires_at is not None:
        claims["exp"] = int(live.expires_at.timestamp())
    return claims
