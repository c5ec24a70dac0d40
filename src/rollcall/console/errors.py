"""Refusals and failures as a page that says what to do next."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException

from rollcall.console.pages import page
from rollcall.errors import Refusal

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[str]:
    """A refusal of ours."""
    log.info("refused", status=refusal.status, code=refusal.code, detail=refusal.detail)
    return _answer(request, refusal.status, "This is not possible", refusal.detail)


def answer_exception(request: AnyRequest, exception: Exception) -> Response[str]:
    """What the web framework refuses, and what nobody expected."""
    match exception:
        case NotFoundException():
            said = "The address may be mistyped, or the page has moved."
            return _answer(request, 404, "There is no such page", said)
        case HTTPException(status_code=status) if status < 500:
            return _answer(request, status, "This is not possible", exception.detail)
        case _:
            log.exception("failed", path=request.url.path)
            said = "It is not your doing, and it is in the log. Try again; if it stays, tell whoever runs Rollcall."
            return _answer(request, 500, "Something went wrong here", said)


def _answer(request: AnyRequest, status: int, title: str, said: str) -> Response[str]:
    request_id = request.scope["state"].get("request_id")
    return page("errors/page.html", status_code=status, title=title, said=said, request_id=request_id)
