"""Every refusal outside SCIM as JSON: a code for programs, a sentence for people, the request's id for both."""

from typing import Any, cast

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException

from rollcall.api.requests import LARGEST_BODY, methods_of
from rollcall.errors import Refusal, Unauthenticated
from rollcall.scim.errors import SCIMException

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[dict[str, Any]]:
    """A refusal of ours."""
    log.info("refused", status=refusal.status, code=refusal.code, detail=refusal.detail)
    headers = {"WWW-Authenticate": 'Bearer realm="rollcall"'} if isinstance(refusal, Unauthenticated) else {}
    return _answer(request, refusal.status, refusal.code, refusal.detail, headers)


def answer_scim_refusal(request: AnyRequest, refusal: SCIMException) -> Response[dict[str, Any]]:
    """A person that can't be stored, refused by the same rules that SCIM has."""
    return _answer(request, refusal.status, refusal.scim_type or "invalid", refusal.detail)


def answer_nesting(request: AnyRequest, _exception: RecursionError) -> Response[dict[str, Any]]:
    """A body that nests without end, which the framework's decoder gives up on."""
    return _answer(request, 400, "invalid", "body: it nests too deeply")


def answer_exception(request: AnyRequest, exception: Exception) -> Response[dict[str, Any]]:
    """What the web framework refuses, and what nobody expected."""
    match exception:
        case ValidationException():
            found = cast("list[dict[str, Any]]", exception.extra if isinstance(exception.extra, list) else [])
            return _answer(request, 400, "invalid", "; ".join(map(_said, found)) or exception.detail)
        case MethodNotAllowedException():
            allow = ", ".join(methods_of(request))
            return _answer(request, 405, "method_not_allowed", f"This address takes {allow}.", {"Allow": allow})
        case HTTPException(status_code=404):
            return _answer(request, 404, "not_found", "There is nothing at this address; see /v1/docs.")
        case HTTPException(status_code=413):
            return _answer(request, 413, "too_large", f"The body is larger than {LARGEST_BODY} bytes.")
        case HTTPException(status_code=status) if status < 500:
            return _answer(request, status, "invalid", exception.detail)
        case _:
            log.exception("failed", path=request.url.path)
            return _answer(request, 500, "failed", "Something went wrong here; the log has it under this request's id.")


def _said(found: dict[str, Any]) -> str:
    """What is wrong with one field, in words without the framework's own vocabulary."""
    key, message = found.get("key"), str(found.get("message", "")).removeprefix("Value error, ")
    if key == "data" and message == "'data'":
        return "body: it is missing"
    return f"{'body' if key in (None, 'data') else key}: {message}"


def _answer(
    request: AnyRequest, status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response[dict[str, Any]]:
    request_id = request.scope["state"].get("request_id")
    body = {"code": code, "detail": detail, "request_id": request_id}
    return Response(body, status_code=status, headers=headers, media_type="application/json")
