"""The page about oneself: who I am here, and my ways in, each with the way to end it."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.access import accounts, passkeys, passwords, personal_tokens, sessions
from rollcall.access.authenticators import RelyingParty
from rollcall.access.sessions import Purpose
from rollcall.console.visitors import PersonWork, page_for, person_work, signed_in, visitor
from rollcall.console.words import gettext, mark

A_PAGE_OF_SESSIONS = 10

SAID = {
    "passkey-added": ("passkeys", mark("The passkey is added. You can sign in with it from now on.")),
    "passkey-removed": ("passkeys", mark("The passkey is removed. It opens nothing any more.")),
    "session-closed": ("sessions", mark("The session is closed.")),
    "others-closed": ("sessions", mark("You are signed out everywhere else.")),
    "password-set": (
        "password",
        mark("The password is set. It opens this console from now on, and the one before no more."),
    ),
    "password-removed": ("password", mark("The password is removed. It opens nothing any more.")),
    "token-closed": ("tokens", mark("The token is closed. Whatever used it is refused from now on.")),
}
"""What was done, and the section that says so: the one that the page is opened at."""

OPENS = {
    Purpose.PRODUCT: mark("the product"),
    Purpose.CONSOLE: mark("this console"),
    Purpose.CONSOLE_CODE: mark("this console, once; nobody has entered it yet"),
    Purpose.PORTAL: mark("one part of this console, by a link from the product"),
    Purpose.PORTAL_LINK: mark("one part of this console, once; nobody has opened it yet"),
    Purpose.CONTACT_LINK: mark("the set-up, to whoever has the link that you vouch for"),
}


@get("/account", guards=[signed_in], dependencies={"work": person_work}, name="console_account")
async def account_page(
    request: Request[Any, Any, Any],
    work: PersonWork,
    page: FromQuery[str] = "1",
    done: FromQuery[str | None] = None,
) -> Response[str]:
    """Who I am here, and my ways in."""
    person, party = visitor(request).account_id, _party(request)
    total = await sessions.count(work, person)
    pages = max(1, -(-total // A_PAGE_OF_SESSIONS))
    number = min(_number(page), pages)
    shown = await sessions.of_person(work, person, limit=A_PAGE_OF_SESSIONS, offset=(number - 1) * A_PAGE_OF_SESSIONS)
    where, said = SAID.get(done or "", ("", ""))
    return page_for(
        request,
        "account/page.html",
        with_passkeys=party is not None,
        origin=None if party is None else party.origins[0],
        passkeys=await passkeys.of_person(work, person),
        most_passkeys=passkeys.MOST_LIVE,
        password=await passwords.of_person(work, person),
        may_have_password=await passwords.may_have(work, await accounts.find(work, person)),
        sessions=shown,
        opens={row.id: gettext(OPENS[Purpose(row.purpose)]) for row in shown},
        sessions_total=total,
        number=number,
        pages=pages,
        tokens=await personal_tokens.live_of_person(work, person),
        done=(where, gettext(said)),
    )


def _party(request: Request[Any, Any, Any]) -> RelyingParty | None:
    return request.app.state.own_party


def _number(page: str) -> int:
    """The page that an address asks for; the first for what is none."""
    return max(1, int(page)) if page.isascii() and page.isdecimal() and len(page) < 6 else 1
