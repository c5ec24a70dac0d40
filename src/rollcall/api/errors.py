"""Every refusal outside SCIM and OAuth as a problem (RFC 9457): a code for programs, a sentence for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from litestar import Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException

from rollcall import db, metrics
from rollcall.api.refused import log_failure, log_refusal, log_unavailable
from rollcall.api.requests import LARGEST_BODY, AnyRequest, methods_of
from rollcall.api.saying import MOST_SAID, said
from rollcall.errors import (
    IdempotencyKeyInUse,
    Invalid,
    NotFound,
    Refusal,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from rollcall.scim.errors import SCIMException

MEDIA_TYPE = "application/problem+json"

CODES = "/v1/errors"
"""Where the page that lists the codes is; a problem's ``type`` leads to its line there."""


class MethodNotAllowed(Refusal):
    """The address exists and does not take this method."""

    status = 405
    code = "method_not_allowed"
    advice = "Use one of the methods that the header Allow lists."


class TooLarge(Refusal):
    """The body is longer than what is read."""

    status = 413
    code = "too_large"
    advice = "Send less at once; the detail says how many bytes are read."


class Failed(Refusal):
    """Something went wrong on our side."""

    status = 500
    code = "failed"
    advice = "Try again; if that is no help, report the request_id: the log says what happened under it."


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an exception means to whoever called."""

    status: int
    code: str
    title: str
    detail: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def answer(request: AnyRequest, exception: Exception) -> Response[dict[str, Any]]:
    """Say no: a refusal is logged in a line, anything else with where it came from."""
    meant = logged(request, exception)
    body = {
        "type": f"{request.app.state.public_url}{CODES}#{meant.code}",
        "title": meant.title,
        "status": meant.status,
        "code": meant.code,
        "detail": meant.detail,
        "param": meant.param,
        "request_id": request.scope["state"].get("request_id"),
    }
    return Response(body, status_code=meant.status, headers=dict(meant.headers), media_type=MEDIA_TYPE)


def logged(request: AnyRequest, exception: Exception) -> Meaning:
    """What an exception means, once it has been logged."""
    meant = meaning(request, exception)
    metrics.figures().refusals.labels("management", meant.code).inc()
    if meant.status < 500:
        log_refusal(request, status=meant.status, code=meant.code, detail=meant.detail)
    elif meant.status == Unavailable.status:
        log_unavailable(request, status=meant.status, error=exception)
    else:
        log_failure(request, status=meant.status, error=exception)
    return meant


def meaning(request: AnyRequest, exception: Exception) -> Meaning:
    """What we refuse, what the web framework does, and what nobody expected."""
    headers: dict[str, str] = {}
    refusal = refusal_in(request, exception)
    match refusal:
        case Unauthenticated():
            headers["WWW-Authenticate"] = 'Bearer realm="rollcall"'
        case TooManyRequests() | IdempotencyKeyInUse() | Unavailable():
            headers["Retry-After"] = str(refusal.retry_after)
        case MethodNotAllowed():
            headers["Allow"] = ", ".join(methods_of(request))
        case _:
            pass
    return Meaning(refusal.status, refusal.code, refusal.title(), refusal.detail, refusal.param, headers)


def refusal_in(request: AnyRequest, exception: Exception) -> Refusal:  # noqa: PLR0911  # one for each kind
    """The refusal that an exception is or stands for."""
    if isinstance(exception, ExceptionGroup):  # the framework's wrapping of what was raised as a refused call ended
        return refusal_in(request, cast("ExceptionGroup[Exception]", exception).exceptions[0])
    match exception:
        case Refusal():
            return exception
        case SCIMException():  # a person that can't be stored, by the same rules that SCIM has
            return Invalid(exception.detail)
        case RecursionError():  # the framework's decoder gives up
            return Invalid("body: it nests too deeply")
        case ValidationException():
            found = cast("list[dict[str, Any]]", exception.extra if isinstance(exception.extra, list) else [])
            named = [(_key(each), str(each.get("message", ""))) for each in found[:MOST_SAID]]
            return said(named, others=len(found) - len(named), or_else=exception.detail)
        case MethodNotAllowedException():
            allow = ", ".join(methods_of(request))
            return MethodNotAllowed(f"{request.method} is not possible at this address; it takes {allow}.")
        case HTTPException(status_code=404):
            return NoSuchAddress()
        case HTTPException(status_code=413):
            return TooLarge(f"The body is larger than {_largest(request)} bytes, the most that is read here.")
        case HTTPException(status_code=400):
            return Invalid(f"body: it can't be read as JSON ({exception.detail})")
        case HTTPException(status_code=status) if status < 500:
            return Invalid(exception.detail)
        case _ if db.is_away(exception):
            return Unavailable(_LOST if may_be_done(request, exception) else _AWAY, retry_after=db.when_back(exception))
        case _:
            return Failed(
                "Something went wrong on our side; try again, and if that is no help, report this request_id."
            )


_AWAY = "The database is away or too busy, so nothing was done; try again in a few seconds."
_LOST = (
    "The database went away in the middle, so this may have been done or not; look whether it was before you try again "
    "in a few seconds, or send it again with the same Idempotency-Key if it had one."
)


def may_be_done(request: AnyRequest, exception: Exception) -> bool:
    """Whether what a call wanted to change may have been changed although it ends in *exception*."""
    return not _only_reads(request) and db.may_be_done(exception)


def _only_reads(request: AnyRequest) -> bool:
    scope = request.scope
    asks = scope["path"].endswith("/.search") or scope["path"].startswith("/oauth/introspect")
    return scope["method"] in ("GET", "HEAD") or asks


class NoSuchAddress(NotFound):
    """An address that nothing answers at."""

    def __init__(self) -> None:
        Refusal.__init__(self, "There is nothing at this address; /v1/docs lists those there are.")


def _largest(request: AnyRequest) -> int:
    limit = request.route_handler.resolve_request_max_body_size()
    return limit if isinstance(limit, int) else LARGEST_BODY


def _key(found: dict[str, Any]) -> str:
    key = str(found.get("key") or "")
    return "" if key == "data" else key
