"""Refusals and failures as a page that says what to do next; as JSON where our own script asked."""

from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Response
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException

from rollcall import db
from rollcall.access.console_sessions import NotFresh, NotSignedIn, SignedIn
from rollcall.access.operator_sessions import OperatorNotSignedIn
from rollcall.console.confirm import address_of, confirm_page
from rollcall.console.cookies import no_csrf, no_operator, no_session, no_view
from rollcall.console.frame import FLEET, HOME, first_page, sections_of
from rollcall.console.operators import sign_in as operators
from rollcall.console.own import ACCOUNT
from rollcall.console.requests import AnyRequest, asks_for_json, json_answer, see, source_of
from rollcall.console.sign_in import PAGE, sign_in_page
from rollcall.console.viewing import OnlyLooking
from rollcall.console.visitors import looks, page_for
from rollcall.console.words import domain, gettext
from rollcall.errors import KeyEnded, NotFound, Refusal, TooManyRequests

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What a page says about something that did not happen, and where it leads."""

    status: int
    code: str
    title: str
    said: str
    next: str = HOME
    next_label: str = ""
    """What leads there; to the console if it is empty."""


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    """A refusal of ours."""
    _log(request, status=refusal.status, code=refusal.code, detail=refusal.detail)
    where = _way_on(request)
    match refusal:
        case NotFound():
            said = gettext("%(detail)s It may have been removed meanwhile.", detail=_told(request, refusal.detail))
            return _answer(request, Message(404, refusal.code, gettext("It is not here"), said, *where))
        case TooManyRequests():
            answer = _answer(
                request, Message(429, refusal.code, gettext("Too much at once"), _told(request, refusal.detail), *where)
            )
            answer.headers["Retry-After"] = str(refusal.retry_after)
            return answer
        case _:
            message = Message(
                refusal.status, refusal.code, gettext("This is not possible"), _told(request, refusal.detail), *where
            )
            answer = _answer(request, message)
            if isinstance(refusal, OnlyLooking) and refusal.ended:
                answer.cookies.append(no_view(request))
            return answer


def answer_not_signed_in(request: AnyRequest, refusal: NotSignedIn) -> Response[Any]:
    """The way to sign in; if a session has ended, it is said and its cookie taken back."""
    _log(request, status=refusal.status, code=refusal.code, detail=refusal.detail)
    if asks_for_json(request):
        body = {"code": refusal.code, "detail": gettext(refusal.detail), "next": PAGE}
        return json_answer(body, no_session(request), status_code=refusal.status)
    if not refusal.ended and request.method == "GET":
        return see(PAGE)
    request.scope["state"].pop("visitor", None)
    answer = sign_in_page(request, status_code=refusal.status, notice=domain(refusal.detail), has_ended=refusal.ended)
    answer.cookies.append(no_session(request))
    return answer


def answer_not_fresh(request: AnyRequest, refusal: NotFresh) -> Response[Any]:
    """The page that asks who somebody is, and leads back to what they were about to do."""
    if asks_for_json(request):
        body = {"code": refusal.code, "detail": gettext(refusal.detail), "next": address_of(ACCOUNT)}
        return json_answer(body, status_code=refusal.status)
    if refusal.fields is None:
        return see(address_of(refusal.act))
    return confirm_page(request, refusal.act, refusal.fields, status_code=refusal.status)


def answer_no_operator(request: AnyRequest, refusal: OperatorNotSignedIn) -> Response[Any]:
    """The same for operators, who have a page of their own to sign in on."""
    _log(request, status=refusal.status, code=refusal.code, detail=refusal.detail)
    if asks_for_json(request):
        body = {"code": refusal.code, "detail": gettext(refusal.detail), "next": operators.PAGE}
        return json_answer(body, no_operator(request), status_code=refusal.status)
    if not refusal.ended and request.method == "GET":
        return see(operators.PAGE)
    request.scope["state"].pop("operator", None)
    answer = operators.operator_sign_in_page(
        request, status_code=refusal.status, notice=domain(refusal.detail), has_ended=refusal.ended
    )
    answer.cookies.append(no_operator(request))
    return answer


def answer_ended(request: AnyRequest, _refusal: KeyEnded) -> Response[Any]:
    """The same for whoever was signed in as the request came, and not any more as it was to be committed."""
    if request.scope["state"].get("operator") is not None:
        return answer_no_operator(request, OperatorNotSignedIn(ended=True))
    return answer_not_signed_in(request, NotSignedIn(ended=True))


def answer_exception(request: AnyRequest, exception: Exception) -> Response[Any]:
    """What the web framework refuses, and what nobody expected."""
    match exception:
        case NotFoundException():
            said = gettext("The address may be mistyped, or the page has moved.")
            return _answer(request, Message(404, "not_found", gettext("There is no such page"), said))
        case PermissionDeniedException():
            return _answer_forged(request)
        case HTTPException(status_code=status) if status < 500:
            return _answer(
                request, Message(status, "invalid", gettext("This is not possible"), _told(request, exception.detail))
            )
        case _ if db.is_away(exception):
            log.warning("unavailable", status=503, path=request.url.path, because=repr(exception))
            return _answer_away(request, exception)
        case _:
            log.exception("failed", path=request.url.path)
            said = gettext(
                "It is not your doing, and it is in the log. Try again; if it stays, tell whoever runs Rollcall."
            )
            return _answer(request, Message(500, "failed", gettext("Something went wrong here"), said))


def _answer_away(request: AnyRequest, exception: Exception) -> Response[Any]:
    """The database is away or too busy."""
    said = gettext("Rollcall's database is away or too busy, so nothing was done. Try again in a few seconds.")
    if request.method != "GET" and db.may_be_done(exception):
        said = gettext(
            "Rollcall's database went away in the middle, so this may have been done or not. "
            "Look whether it was before you try again in a few seconds."
        )
    answer = _answer(request, Message(503, "unavailable", gettext("Not available just now"), said))
    answer.headers["Retry-After"] = str(db.when_back(exception))
    return answer


def _answer_forged(request: AnyRequest) -> Response[Any]:
    """A form that does not come from a page of ours, or from one that was open for too long."""
    _log(request, status=403, code="csrf")
    said = gettext(
        "Nothing was changed. The page it was on was open for too long, or cookies are off in this browser, or another "
        "site sent it in your name. Open the page again and send it once more."
    )
    message = Message(
        403,
        "csrf",
        gettext("This form is not good any more"),
        said,
        _page_again(request),
        gettext("Open the page again"),
    )
    answer = _answer(request, message)
    # A cookie made under a key that is no longer ours would be refused for ever.
    answer.cookies.append(no_csrf(request))
    return answer


def _log(request: AnyRequest, **line: object) -> None:
    somebody = looks(request)
    who = source_of(request) if somebody is None else somebody.session_id
    request.app.state.context.batched_entries.refusals.log(who, line)


def _answer(request: AnyRequest, message: Message) -> Response[Any]:
    request_id = request.scope["state"].get("request_id")
    if asks_for_json(request):
        body = {"code": message.code, "detail": message.said, "request_id": request_id}
        return json_answer(body, status_code=message.status)
    return page_for(request, "errors/page.html", status_code=message.status, message=message, request_id=request_id)


def _told(request: AnyRequest, detail: str) -> str:
    """What a refusal says, as a page has it, or without any tags for our script."""
    return gettext(detail) if asks_for_json(request) else domain(detail)


def _way_on(request: AnyRequest) -> tuple[str, str]:
    """Where a page leads on that says why something did not happen."""
    somebody = looks(request)
    if somebody is None:
        return HOME, gettext("Go to the console")
    section = sections_of(somebody)[0]
    return section.address, gettext("Go to %(label)s", label=gettext(section.label))


def _page_again(request: AnyRequest) -> str:
    """The page whose form was refused."""
    state = request.scope["state"]
    if state.get("operator") is not None or request.scope["path"].startswith(f"{FLEET}/"):
        return FLEET
    somebody: SignedIn | None = state.get("visitor")
    has_account = somebody is None or not (somebody.intent is not None or somebody.is_looking)
    return ACCOUNT if has_account or somebody is None else first_page(somebody)
