"""How operators come in: an invitation whose button spends it, the page that makes a passkey, and signing in and out.

To a stranger every way of not getting in looks alike.
"""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromQuery, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import operator_passkeys, operator_sessions
from rollcall.access.authenticators import RelyingParty
from rollcall.access.operator_passkeys import CopiedPasskey
from rollcall.access.operator_sessions import IDLE, InvitationRefused, Opened
from rollcall.access.passkey_sign_in import SignInRefused
from rollcall.console.cookies import no_operator, operator_cookie
from rollcall.console.frame import FLEET
from rollcall.console.operators.visitors import operator, operator_if_any, operators, registering
from rollcall.console.requests import AnyRequest, form_field, json_answer, origin, see, source_of
from rollcall.console.sign_in import browser_of, count_refusal
from rollcall.console.visitors import STRANGER, page_for
from rollcall.console.words import domain, gettext
from rollcall.crypto import TokenKind, read_token
from rollcall.errors import Forbidden, Refusal, TooManyRequests
from rollcall.tenancy.operators import Right
from rollcall.work import open_fleet

PAGE = "/console/operators/sign-in"
REGISTER = "/console/operators/passkey"
_ATTEMPTS_AT = "operators"
_MOST_SHOWN = 200


class Answered(BaseModel):
    """What an authenticator made of a challenge."""

    challenge: str = Field(max_length=1000)
    credential: dict[str, Any]
    label: str = Field(default="", max_length=200)


def operator_sign_in_page(
    request: AnyRequest, *, status_code: int = 200, notice: str | None = None, has_ended: bool = False
) -> Response[str]:
    """The page on which operators sign in, for whoever is to be sent there; *has_ended* if their session has."""
    party: RelyingParty | None = request.app.state.own_party
    return page_for(
        request,
        "operators/sign_in.html",
        status_code=status_code,
        with_passkeys=party is not None,
        origin=None if party is None else party.origins[0],
        idle=int(IDLE.total_seconds() // 60),
        notice=notice,
        notice_tone="notice" if has_ended else "good",
    )


@get("/operators/sign-in", name="console_operator_sign_in")
async def sign_in(request: Request[Any, Any, Any], done: FromQuery[str] = "") -> Response[Any]:
    """Sign in with a passkey; whoever is signed in already is led on."""
    somebody = await operator_if_any(request)
    if somebody is not None:
        return see(FLEET if somebody.purpose == "console" else REGISTER)
    return operator_sign_in_page(request, notice=gettext("You have signed out.") if done == "signed-out" else None)


@post("/operators/sign-in/begin", status_code=200, name="console_operator_begin_sign_in")
async def begin_sign_in(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Begin to sign in."""
    await _check_attempt(request)
    sealed, options = operator_passkeys.begin_sign_in(_party(request), request.app.state.sealer)
    return json_answer({"challenge": sealed, "options": options})


@post("/operators/sign-in", status_code=200, name="console_operator_finish_sign_in")
async def finish_sign_in(request: Request[Any, Any, Any], data: JSONBody[Answered]) -> Response[dict[str, Any]]:
    """Sign in whoever's authenticator signed."""
    await _check_attempt(request, shown=str(data.credential.get("id", "")))
    begun = operator_passkeys.challenge_of(request.app.state.sealer, data.challenge)
    database = request.app.state.database
    try:
        async with open_fleet(database, STRANGER, origin(request)) as fleet:
            opened = await operator_passkeys.sign_in(
                fleet, _party(request), begun, data.credential, label=browser_of(request)
            )
    except SignInRefused as refusal:
        count_refusal(request)
        if isinstance(refusal, CopiedPasskey):
            async with open_fleet(database, STRANGER, origin(request)) as fleet:
                await operator_passkeys.record_copy(fleet, refusal)
        raise SignInRefused from None
    return json_answer({"next": FLEET}, operator_cookie(request, opened))


@post("/operators/sign-out", status_code=200, guards=[operators(Right.LOOK)], name="console_operator_sign_out")
async def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """Close this session."""
    somebody = operator(request)
    database = request.app.state.database
    async with open_fleet(database, somebody.actor, origin(request), judged=False) as fleet:
        await operator_sessions.sign_out(fleet, somebody)
    return see(f"{PAGE}?done=signed-out", no_operator(request))


@get("/operators/invitation", name="console_operator_invitation")
async def ask_to_enter(request: Request[Any, Any, Any], link: FromQuery[str] = "") -> Response[str]:
    """Ask whoever comes by an invitation whether they want to go on. Nothing is looked up, and nothing spent."""
    return _invitation_page(request, link)


@post("/operators/invitation", status_code=200, name="console_operator_enter")
async def enter(request: Request[Any, Any, Any]) -> Response[Any]:
    """Spend the invitation, and lead on to the page that makes a passkey."""
    text = await form_field(request, "link")
    try:
        await _check_attempt(request, shown=text)
        link = read_token(text)
        if link is None or link.kind is not TokenKind.OPERATOR_SESSION:
            raise InvitationRefused
        async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
            opened = await operator_sessions.enter(fleet, link, label=browser_of(request))
    except Refusal as refusal:
        count_refusal(request)
        page = _invitation_page(request, "", status_code=refusal.status, alert=domain(refusal.detail))
        if isinstance(refusal, TooManyRequests):
            page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    return see(REGISTER, operator_cookie(request, opened))


@get("/operators/passkey", guards=[registering], name="console_operator_passkey")
async def passkey_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Make a passkey, by whoever came by an invitation."""
    party: RelyingParty | None = request.app.state.own_party
    return page_for(
        request,
        "operators/passkey.html",
        with_passkeys=party is not None,
        origin=None if party is None else party.origins[0],
        operator=operator(request),
    )


@post("/operators/passkey/begin", status_code=200, guards=[registering], name="console_operator_begin_passkey")
async def begin_passkey(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Begin making a passkey."""
    party, sealer = _party(request), request.app.state.sealer
    async with open_fleet(request.app.state.database, operator(request).actor, origin(request)) as fleet:
        sealed, options = await operator_passkeys.begin_registration(fleet, party, sealer, operator(request))
    return json_answer({"challenge": sealed, "options": options})


@post("/operators/passkey", status_code=200, guards=[registering], name="console_operator_add_passkey")
async def add_passkey(request: Request[Any, Any, Any], data: JSONBody[Answered]) -> Response[dict[str, Any]]:
    """Keep the passkey that the operator's device made, and sign them in."""
    somebody = operator(request)
    database = request.app.state.database
    # The visit by which they act ends with it: the function judges it by itself, under the operator's lock.
    async with open_fleet(database, somebody.actor, origin(request), judged=False) as fleet:
        opened: Opened = await operator_passkeys.finish_registration(
            fleet,
            _party(request),
            request.app.state.sealer,
            somebody,
            sealed=data.challenge,
            answer=data.credential,
            label="".join(filter(str.isprintable, data.label)).strip() or browser_of(request),
        )
    return json_answer({"next": f"{FLEET}?done=signed-in"}, operator_cookie(request, opened))


def _invitation_page(
    request: AnyRequest, link: str, *, status_code: int = 200, alert: str | None = None
) -> Response[str]:
    return page_for(request, "operators/invitation.html", status_code=status_code, link=link[:_MOST_SHOWN], alert=alert)


async def _check_attempt(request: AnyRequest, *, shown: str | None = None) -> None:
    what = None if shown is None else shown[:_MOST_SHOWN]
    await request.app.state.attempts.check(source_of(request), _ATTEMPTS_AT, shown=what)


def _party(request: AnyRequest) -> RelyingParty:
    party: RelyingParty | None = request.app.state.own_party
    if party is None:
        msg = "Passkeys don't work at this address; see ROLLCALL_PUBLIC_URL and ROLLCALL_PASSKEY_RP_ID."
        raise Forbidden(msg)
    return party
