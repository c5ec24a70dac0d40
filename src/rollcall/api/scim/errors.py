"""Every refusal under ``/scim/v2`` as the body RFC 7644 §3.12 asks for."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException

from rollcall import metrics
from rollcall.api.requests import LARGEST_BODY, methods_of
from rollcall.api.scim.answers import MEDIA_TYPE
from rollcall.scim.errors import (
    InternalError,
    InvalidSyntax,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    SCIMException,
    TooManyRequests,
    Unauthorized,
    error_body,
)

log = structlog.get_logger(__name__)


def answer_refusal(_request: Request[Any, Any, Any], refusal: SCIMException) -> Response[bytes]:
    """A refusal in the protocol's own words."""
    headers: dict[str, str] = {}
    match refusal:
        case TooManyRequests():
            headers["Retry-After"] = str(refusal.retry_after)
        case MethodNotAllowed():
            headers["Allow"] = ", ".join(refusal.allow)
        case Unauthorized():
            headers["WWW-Authenticate"] = 'Bearer realm="scim"'
        case _:
            pass
    log.info("refused", status=refusal.status, detail=refusal.detail)
    metrics.figures().refusals.labels("scim", refusal.scim_type or type(refusal).__name__).inc()
    return Response(error_body(refusal), status_code=refusal.status, media_type=MEDIA_TYPE, headers=headers)


def answer_exception(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """What the web framework refuses, and what nobody expected."""
    match exception:
        case MethodNotAllowedException():
            return answer_refusal(request, MethodNotAllowed(methods_of(request)))
        case HTTPException(status_code=404):
            return answer_refusal(request, NotFound())
        case HTTPException(status_code=413):
            return answer_refusal(request, PayloadTooLarge(LARGEST_BODY))
        case HTTPException(status_code=status) if status < 500:
            return answer_refusal(request, InvalidSyntax(detail="The request can't be read"))
        case _:
            log.exception("failed", path=request.url.path)
            return answer_refusal(request, InternalError())
