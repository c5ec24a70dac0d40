"""Signing in to the console: with a passkey, which says whose it is, or with a code of ops'; and signing out.

To a stranger every way of not getting in looks alike, and takes the same statements: no such workspace, nobody there,
gone, used, too late.
"""

from typing import Any
from uuid import uuid4

from litestar import Request, Response, get, post
from litestar.params import FromQuery, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import authenticators, challenges, passkey_sign_in, sessions, sign_in_codes
from rollcall.access.authenticators import RelyingParty
from rollcall.access.console_sessions import LIFETIME
from rollcall.access.passkey_sign_in import SignInRefused
from rollcall.access.sessions import NewSession
from rollcall.console.browsers import browser_named
from rollcall.console.cookies import WORKSPACE, no_session, session_cookie, workspace_cookie
from rollcall.console.frame import HOME
from rollcall.console.requests import AnyRequest, form_field, json_answer, origin, see, source_of
from rollcall.console.visitors import (
    STRANGER,
    anybody_signed_in,
    page_for,
    strangers_work,
    visitor,
    visitor_if_any,
    work_of,
)
from rollcall.console.words import domain, mark, of
from rollcall.errors import Forbidden, NotFound, PersonInactive, Refusal, TooManyRequests
from rollcall.tenancy import tenants
from rollcall.work import TenantRef, Work, open_fleet

PAGE = "/console/sign-in"

SAID = {
    "signed-out": mark("You have signed out."),
}


class SignInWanted(BaseModel):
    """Somebody is about to sign in with a passkey; it says by itself of which workspace they are."""

    workspace: str = Field(default="", max_length=200)


class SignInAnswered(BaseModel):
    """What their authenticator made of it."""

    workspace: str = Field(default="", max_length=200)
    challenge: str = Field(max_length=1000)
    credential: dict[str, Any]


def sign_in_page(
    request: AnyRequest,
    *,
    status_code: int = 200,
    workspace: str | None = None,
    notice: str | None = None,
    alert: str | None = None,
    email: str = "",
    wrong_email: str | None = None,
    has_ended: bool = False,
) -> Response[str]:
    """The page to sign in, for whoever is to be sent there, also as their session *has_ended*.

    *alert* is about a code, *wrong_email* about an address.
    """
    party: RelyingParty | None = request.app.state.own_party
    return page_for(
        request,
        "sign_in/page.html",
        status_code=status_code,
        with_passkeys=party is not None,
        workspace=request.cookies.get(WORKSPACE, "")[:63] if workspace is None else workspace[:63],
        origin=None if party is None else party.origins[0],
        minutes=int(sign_in_codes.PATIENCE.total_seconds() // 60),
        notice=notice,
        notice_tone="notice" if has_ended else "good",
        alert=alert,
        sends_mail=request.app.state.console.sends_mail,
        email=email[:254],
        wrong_email=wrong_email,
    )


@get("/sign-in", name="console_sign_in")
async def sign_in(
    request: Request[Any, Any, Any], workspace: FromQuery[str | None] = None, done: FromQuery[str | None] = None
) -> Response[Any]:
    """Choose a workspace and a way to sign in; whoever is signed in already is led on."""
    if await visitor_if_any(request) is not None:
        return see(HOME)
    return sign_in_page(request, workspace=workspace, notice=of(SAID, done))


@post("/sign-in", status_code=200, name="console_enter_code")
async def enter_code(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign in with a code."""
    workspace, code = await form_field(request, "workspace"), await form_field(request, "code")
    try:
        await _check_attempt(request, workspace, shown=sign_in_codes.plain(code))
        tenant = await tenant_named(request, workspace)
        async with strangers_work(request, tenant) as work:
            new = await sign_in_codes.enter(work, code, lifetime=LIFETIME, label=browser_of(request))
    except Refusal as refusal:
        count_refusal(request)
        page = sign_in_page(request, status_code=refusal.status, workspace=workspace, alert=domain(refusal.detail))
        if isinstance(refusal, TooManyRequests):
            page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    return see(HOME, *signed_in_cookies(request, tenant, new))


@post("/sign-in/passkey/begin", status_code=200, name="console_begin_sign_in")
async def begin_sign_in(request: Request[Any, Any, Any], data: JSONBody[SignInWanted]) -> Response[dict[str, Any]]:
    """Begin to sign in with a passkey; answered without asking whether there is such a workspace."""
    await _check_attempt(request, data.workspace)
    sealed, challenge = challenges.seal(request.app.state.sealer, _named(data.workspace))
    options = authenticators.sign_in_options(_party(request), challenge=challenge, milliseconds=challenges.MILLISECONDS)
    return json_answer({"challenge": sealed, "options": options})


@post("/sign-in/passkey", status_code=200, name="console_finish_sign_in")
async def finish_sign_in(request: Request[Any, Any, Any], data: JSONBody[SignInAnswered]) -> Response[dict[str, Any]]:
    """Sign in whoever's authenticator signed."""
    await _check_attempt(request, data.workspace, shown=str(data.credential.get("id", ""))[:1000])
    party = _party(request)
    begun = challenges.unseal(request.app.state.sealer, data.challenge, _named(data.workspace))

    async def on_refusal(work: Work, refusal: Refusal) -> None:
        await passkey_sign_in.after_console_refusal(work, begun, refusal)

    try:
        tenant = await _of_passkey(request, data) if not data.workspace else await tenant_named(request, data.workspace)
        async with strangers_work(request, tenant, on_refusal) as work:
            new = await passkey_sign_in.enter_console(
                work, party, begun=begun, answer=data.credential, lifetime=LIFETIME, label=browser_of(request)
            )
    except (SignInRefused, Forbidden, NotFound, PersonInactive):
        count_refusal(request)
        raise SignInRefused from None
    return json_answer({"next": HOME}, *signed_in_cookies(request, tenant, new))


@post("/sign-out", status_code=200, guards=[anybody_signed_in], name="console_sign_out")
async def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """Close this session."""
    somebody = visitor(request)
    async with work_of(request) as work:
        await sessions.close(work, somebody.session_id, account_id=somebody.account_id)
    return see(f"{PAGE}?done=signed-out", no_session(request))


def signed_in_cookies(request: AnyRequest, tenant: TenantRef, new: NewSession) -> tuple[Any, ...]:
    """What a browser is handed that has signed in."""
    return session_cookie(request, new), workspace_cookie(request, tenant.slug)


async def tenant_named(request: AnyRequest, workspace: str) -> TenantRef:
    """The workspace of that name; where there is none, one in which nobody is, so that all that follows is the same."""
    name = _named(workspace)
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        try:
            return tenants.ref(await tenants.find(fleet, name if tenants.SLUG.fullmatch(name) else "-"))
        except NotFound:
            return TenantRef(uuid4(), "-")


async def _of_passkey(request: AnyRequest, data: SignInAnswered) -> TenantRef:
    """The tenant of whoever's passkey is said to have signed; where there is none, one in which nobody is."""
    assertion = authenticators.read_assertion(data.credential)
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        found = await passkey_sign_in.tenant_of(fleet, assertion)
    return TenantRef(uuid4(), "-") if found is None else found


async def _check_attempt(request: AnyRequest, workspace: str, *, shown: str | None = None) -> None:
    await request.app.state.attempts.check(source_of(request), workspace, shown=shown)


def _named(workspace: str) -> str:
    return workspace.strip().lower()


def _party(request: AnyRequest) -> RelyingParty:
    party: RelyingParty | None = request.app.state.own_party
    if party is None:
        msg = "Passkeys don't work at this address; sign in with a code."
        raise Forbidden(msg)
    return party


def browser_of(request: AnyRequest) -> str:
    """The browser that somebody signs in with, in a few words."""
    return browser_named(request.headers.get("user-agent", ""))


def count_refusal(request: AnyRequest) -> None:
    """Count a stranger who was refused; they fill nobody's audit."""
    request.app.state.context.batched_entries.refused(source_of(request))
