"""Every refusal under ``/scim/v2`` as the body RFC 7644 §3.12 asks for."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException

from rollcall import db, metrics
from rollcall.api.errors import may_be_done
from rollcall.api.refused import log_failure, log_refusal, log_unavailable
from rollcall.api.requests import LARGEST_BODY, methods_of
from rollcall.api.scim.answers import MEDIA_TYPE
from rollcall.scim.errors import (
    InternalError,
    InvalidSyntax,
    MethodNotAllowed,
    NoSuchAddress,
    Paused,
    PayloadTooLarge,
    SCIMException,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    error_body,
)

_ENDPOINTS = frozenset(
    {"users", "groups", "me", "bulk", ".search", "serviceproviderconfig", "resourcetypes", "schemas"}
)
_OTHER_SURFACES = frozenset({"v1", "oauth", "console", "health", ".well-known"})


def is_meant_for_scim(path: str) -> bool:
    """Whether who calls this address speaks SCIM, be it at an address where nobody does."""
    first, *more = path.strip("/").casefold().split("/")
    return first == "scim" or (first not in _OTHER_SURFACES and not _ENDPOINTS.isdisjoint((first, *more)))


def answer_refusal(request: Request[Any, Any, Any], refusal: SCIMException) -> Response[bytes]:
    """A refusal in the protocol's own words."""
    headers: dict[str, str] = {}
    match refusal:
        case TooManyRequests() | Unavailable() | Paused():
            headers["Retry-After"] = str(refusal.retry_after)
        case MethodNotAllowed():
            headers["Allow"] = ", ".join(refusal.allow)
        case Unauthorized():
            headers["WWW-Authenticate"] = 'Bearer realm="scim"'
        case _:
            pass
    metrics.figures().refusals.labels("scim", refusal.scim_type or type(refusal).__name__).inc()
    if refusal.status < InternalError.status:
        log_refusal(request, status=refusal.status, code=refusal.scim_type or None, detail=refusal.detail)
    body = error_body(refusal, request.scope["state"].get("request_id"))
    return Response(body, status_code=refusal.status, media_type=MEDIA_TYPE, headers=headers)


def answer_exception(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """What the web framework refuses, and what nobody expected."""
    match exception:
        case MethodNotAllowedException() if request.scope["path"].rstrip("/") != "/scim/v2":
            return answer_refusal(request, MethodNotAllowed(methods_of(request)))
        case MethodNotAllowedException() | HTTPException(status_code=404):
            return answer_refusal(request, NoSuchAddress(request.scope["path"], request.app.state.context.base_url))
        case HTTPException(status_code=413):
            return answer_refusal(request, PayloadTooLarge(LARGEST_BODY))
        case HTTPException(status_code=status) if status < 500:
            return answer_refusal(
                request,
                InvalidSyntax(
                    detail="The request can't be read as HTTP says it should be; look at its headers and query"
                ),
            )
        case _ if db.is_away(exception):
            log_unavailable(request, status=Unavailable.status, error=exception)
            return answer_refusal(
                request, Unavailable(db.when_back(exception), may_be_done=may_be_done(request, exception))
            )
        case _:
            log_failure(request, status=InternalError.status, error=exception)
            return answer_refusal(request, InternalError())
