"""``/.well-known``: the public keys that verify what Rollcall signs, for anybody."""

from typing import Any

import orjson
from litestar import Request, Response, get

from rollcall.proof import signing

_MEDIA_TYPE = "application/jwk-set+json"  # RFC 7517 §8.5
_HEADERS = {
    "Cache-Control": f"public, max-age={int(signing.JWKS_MAX_AGE.total_seconds())}",
    "Access-Control-Allow-Origin": "*",
}


@get("/.well-known/jwks.json", include_in_schema=False)
async def jwks(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The keys that sign now, will next, or did in the last 90 days; a new one is here before it signs."""
    return _answer(await signing.published(request.app.state.database.pool))


@get("/.well-known/receipt-keys.json", include_in_schema=False)
async def receipt_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Every key there ever was, for receipts are checked years later."""
    return _answer(await signing.published(request.app.state.database.pool, ever=True))


def _answer(keys: dict[str, Any]) -> Response[bytes]:
    return Response(orjson.dumps(keys), media_type=_MEDIA_TYPE, headers=_HEADERS)
