"""My sessions, in the product and in the console: close one, or all but this one."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import sessions
from rollcall.access.models import Session
from rollcall.access.sessions import Purpose
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of, section
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, person_work, signed_in, visitor
from rollcall.console.words import gettext, ngettext


@get(
    "/account/sessions/{session:str}/close",
    guards=[signed_in],
    dependencies={"work": person_work},
    name="console_ask_about_session",
)
async def ask_about_session(request: Request[Any, Any, Any], work: PersonWork, session: FromPath[str]) -> Response[str]:
    """Say what closing a session does."""
    wanted = await sessions.find(work, visitor(request).account_id, id_of(session, "session"))
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Close the session “%(label)s”?", label=wanted.label)
            if wanted.label
            else gettext("Close this session?"),
            said=[_what_closing_does(wanted, visitor(request).session_id)],
            facts=[(gettext("Opened"), wanted.created_at), (gettext("Ends by itself"), wanted.expires_at)],
            button=gettext("Close the session"),
            back=section("sessions"),
        ),
    )


@post(
    "/account/sessions/{session:str}/close",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": person_work},
    name="console_close_session",
)
async def close_session(request: Request[Any, Any, Any], work: PersonWork, session: FromPath[str]) -> Response[Any]:
    """Close one of my sessions."""
    await sessions.close(work, id_of(session, "session"), account_id=visitor(request).account_id)
    return see(section("sessions", "session-closed"))


@get(
    "/account/sessions/others", guards=[signed_in], dependencies={"work": person_work}, name="console_ask_about_others"
)
async def ask_about_others(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Say what signing out everywhere else does."""
    others = await sessions.count(work, visitor(request).account_id) - 1
    said = ngettext(
        "This closes %(count)s other session of yours, in the product and in this console, from the next request on. "
        "Only this one stays open.",
        "This closes %(count)s other sessions of yours, in the product and in this console, from the next request on. "
        "Only this one stays open.",
        others,
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Sign out everywhere else?"),
            said=[said],
            facts=[],
            button=ngettext("Close %(count)s session", "Close %(count)s sessions", others),
            back=section("sessions"),
        ),
    )


@post(
    "/account/sessions/others",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": person_work},
    name="console_close_others",
)
async def close_others(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Close all of my sessions but this one."""
    await sessions.close_others(work, visitor(request).account_id, visitor(request).session_id)
    return see(section("sessions", "others-closed"))


def _what_closing_does(session: Session, this_one: UUID) -> str:
    if session.id == this_one:
        return gettext("This is the session you are using: you are signed out here.")
    match Purpose(session.purpose):
        case Purpose.PRODUCT:
            return gettext("Whoever uses it is signed out of the product at their next request.")
        case Purpose.CONSOLE | Purpose.PORTAL:
            return gettext("Whoever uses it is signed out of this console at their next request.")
        case Purpose.CONSOLE_CODE:
            return gettext("The code opens nothing any more.")
        case Purpose.PORTAL_LINK:
            return gettext("The link opens nothing any more.")
        case Purpose.CONTACT_LINK:
            return gettext("The link opens nothing any more, and whoever came by it is out at their next request.")
