"""Every refusal outside SCIM as JSON: a code for programs, a sentence for people, the request's id for both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from litestar import Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException

from rollcall import metrics
from rollcall.api.requests import LARGEST_BODY, AnyRequest, methods_of
from rollcall.errors import Refusal, TooManyRequests, Unauthenticated
from rollcall.scim.errors import SCIMException

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an exception means to whoever called."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def answer(request: AnyRequest, exception: Exception) -> Response[dict[str, Any]]:
    """Say no: a refusal is logged in a line, anything else with where it came from."""
    meant = meaning(request, exception)
    metrics.figures().refusals.labels("management", meant.code).inc()
    if meant.status < 500:
        log.info("refused", status=meant.status, code=meant.code, detail=meant.detail)
    else:
        log.error("failed", path=request.url.path, exc_info=exception)
    request_id = request.scope["state"].get("request_id")
    body = {"code": meant.code, "detail": meant.detail, "request_id": request_id}
    return Response(body, status_code=meant.status, headers=dict(meant.headers), media_type="application/json")


def meaning(request: AnyRequest, exception: Exception) -> Meaning:  # noqa: PLR0911  # one for each kind
    """What we refuse, what the web framework does, and what nobody expected."""
    match exception:
        case Unauthenticated():
            headers = {"WWW-Authenticate": 'Bearer realm="rollcall"'}
            return Meaning(exception.status, exception.code, exception.detail, headers)
        case TooManyRequests():
            headers = {"Retry-After": str(exception.retry_after)}
            return Meaning(exception.status, exception.code, exception.detail, headers)
        case Refusal():
            return Meaning(exception.status, exception.code, exception.detail)
        case SCIMException():  # a person that can't be stored, by the same rules that SCIM has
            return Meaning(exception.status, exception.scim_type or "invalid", exception.detail)
        case RecursionError():  # the framework's decoder gives up
            return Meaning(400, "invalid", "body: it nests too deeply")
        case ValidationException():
            found = cast("list[dict[str, Any]]", exception.extra if isinstance(exception.extra, list) else [])
            return Meaning(400, "invalid", "; ".join(map(_said, found)) or exception.detail)
        case MethodNotAllowedException():
            allow = ", ".join(methods_of(request))
            detail = f"{request.method} is not possible at this address; it takes {allow}."
            return Meaning(405, "method_not_allowed", detail, {"Allow": allow})
        case HTTPException(status_code=404):
            return Meaning(404, "not_found", "There is nothing at this address; /v1/docs lists those there are.")
        case HTTPException(status_code=413):
            return Meaning(413, "too_large", f"The body is larger than {LARGEST_BODY} bytes, the most that is read.")
        case HTTPException(status_code=400):
            return Meaning(400, "invalid", f"body: it can't be read as JSON ({exception.detail})")
        case HTTPException(status_code=status) if status < 500:
            return Meaning(status, "invalid", exception.detail)
        case _:
            detail = "Something went wrong on our side; try again, and if that is no help, report this request_id."
            return Meaning(500, "failed", detail)


_IN_PLAIN_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"^'data'$", "is missing; send JSON with Content-Type: application/json"),
        (r"^Value error, ", ""),
        (r"^Field required$", "is missing"),
        (r"^Extra inputs are not permitted$", "there is no such field"),
        (r"^Input should be a valid dictionary or instance of \w+$", "has to be a JSON object"),
        (r"^Expected `object`, got `\w+`$", "has to be a JSON object"),
        (r"^Input should have timezone info$", "needs a time zone, as in 2026-01-31T12:00:00Z"),
        (r"^Invalid RFC3339 encoded datetime$", "has to be a moment, as 2026-01-31T12:00:00Z is one"),
        (r"^Invalid UUID$", "has to be an id, as 0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f is one"),
        (r"^Invalid enum value '(.*)'$", r'can\'t be "\1"'),
        (r"^Expected `int`, got `\w+`$", "has to be a whole number"),
        (r"^Expected `bool`, got `\w+`$", "has to be true or false"),
        (r"^Expected `int` >= (\d+)$", r"has to be at least \1"),
        (r"^Expected `int` <= (\d+)$", r"has to be at most \1"),
        (r"^(?:Input|String|List|Value) should (have|be) ", r"has to \1 "),
    )
)
"""What the framework's two validators say, and what we say instead; anything else is passed on as it is."""


def _said(found: dict[str, Any]) -> str:
    """What is wrong with one field, in words without the framework's own vocabulary."""
    key, message = found.get("key"), str(found.get("message", ""))
    for pattern, words in _IN_PLAIN_WORDS:
        message = pattern.sub(words, message)
    return f"{'body' if key in (None, 'data') else key}: {message}"
