"""Signing in with an e-mail address: a code is mailed, and whoever has it chooses among the tenants it belongs to.

The answer to an address is the same whosever it is, and so is the work: one row is written, and nothing is looked up.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response, post

from rollcall.access import mail_codes
from rollcall.access.console_sessions import LIFETIME
from rollcall.access.mail_codes import MailCodeRefused, Theirs
from rollcall.access.sessions import NewSession
from rollcall.console.cookies import session_cookie, workspace_cookie
from rollcall.console.frame import HOME
from rollcall.console.requests import AnyRequest, form_field, origin, see, source_of
from rollcall.console.sign_in import browser_of, sign_in_page
from rollcall.console.visitors import STRANGER, page_for, strangers_work
from rollcall.console.words import domain
from rollcall.errors import Forbidden, Invalid, Refusal, TooManyRequests
from rollcall.tenancy import tenants
from rollcall.work import TenantRef, open_fleet

_AT = "mail"


@post("/sign-in/mail", status_code=200, name="console_ask_for_code")
async def ask_for_code(request: Request[Any, Any, Any]) -> Response[Any]:
    """Have a code mailed, and show where to enter it."""
    address = await form_field(request, "email")
    try:
        asked = await asked_for(request, address)
    except Refusal as refusal:
        page = sign_in_page(request, status_code=refusal.status, email=address, wrong_email=domain(refusal.detail))
        return _with_retry(page, refusal)
    return _code_page(request, asked, address)


@post("/sign-in/mail/code", status_code=200, name="console_enter_mailed_code")
async def enter_mailed_code(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take the code; whoever's address belongs to several tenants chooses one."""
    asked, address = asked_of(await form_field(request, "asked")), await form_field(request, "email")
    try:
        theirs = await entered(request, asked, await form_field(request, "code"))
        if asked is None or not theirs:
            raise MailCodeRefused
        if len(theirs) == 1:
            return await _sign_in(request, asked, theirs[0])
    except Refusal as refusal:
        return _refused(request, refusal, asked, address)
    choices = await _named(request, theirs)
    return page_for(
        request,
        "sign_in/choose.html",
        choices=choices,
        sealed=mail_codes.sealed(request.app.state.sealer, asked, theirs),
    )


@post("/sign-in/mail/tenant", status_code=200, name="console_choose_tenant")
async def choose(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign in to the tenant that was chosen among those of the address."""
    chosen = await form_field(request, "tenant")
    try:
        opened = mail_codes.unsealed(request.app.state.sealer, (await form_field(request, "choice"))[:200_000])
        if opened is None:
            raise MailCodeRefused
        asked, theirs = opened
        wanted = next((each for each in theirs if str(each.account_id) == chosen), None)
        if wanted is None:
            raise MailCodeRefused
        return await _sign_in(request, asked, wanted)
    except Refusal as refusal:
        request.app.state.context.batched_entries.refused(source_of(request))
        return sign_in_page(request, status_code=refusal.status, wrong_email=domain(refusal.detail))


async def asked_for(request: AnyRequest, address: str) -> UUID:
    """Have a code mailed; returns what belongs to it in this browser.

    Raises:
        Forbidden: this installation sends no mail.
        Invalid: it can't be an address.
        TooManyRequests: too many were asked for, for this address or from this source.
    """
    if not request.app.state.console.sends_mail:
        msg = "This installation sends no mail. Sign in another way."
        raise Forbidden(msg)
    plain = mail_codes.plain_address(address)
    if plain is None:
        msg = "Enter an e-mail address, such as ada@acme.example."
        raise Invalid(msg, param="email")
    await request.app.state.attempts.check_mail(source_of(request), plain)
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        return await mail_codes.ask(fleet, plain)


async def entered(request: AnyRequest, asked: UUID | None, code: str) -> Sequence[Theirs]:
    """The accounts of the address for which a code was asked for, if it is this one.

    Raises:
        MailCodeRefused: it is not.
        TooManyRequests: too many were tried.
    """
    await request.app.state.attempts.check(source_of(request), _AT, shown=str(asked))
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        theirs = await mail_codes.enter(fleet, asked or UUID(int=0), code)
    if theirs is None:  # the wrong one has been counted
        raise MailCodeRefused
    return theirs


def asked_of(text: str) -> UUID | None:
    """What a browser shows with a code; None for what can't be it."""
    try:
        return UUID(text)
    except ValueError:
        return None


async def _sign_in(request: AnyRequest, asked: UUID, theirs: Theirs) -> Response[Any]:
    """Open a session for this account, once.

    Raises:
        MailCodeRefused: the code was used meanwhile, or it is not theirs any more.
    """
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        address = await mail_codes.spend(fleet, asked)
        tenant = tenants.ref(await tenants.find(fleet, str(theirs.tenant_id)))
    if address is None:
        raise MailCodeRefused
    new = await _opened(request, tenant, theirs, address)
    return see(HOME, session_cookie(request, new), workspace_cookie(request, tenant.slug))


async def _opened(request: AnyRequest, tenant: TenantRef, theirs: Theirs, address: str) -> NewSession:
    async with strangers_work(request, tenant) as work:
        return await mail_codes.sign_in(work, theirs.account_id, address, lifetime=LIFETIME, label=browser_of(request))


async def _named(request: AnyRequest, theirs: Sequence[Theirs]) -> list[tuple[str, str]]:
    """The names of these tenants, by the accounts in them."""
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        names = await tenants.names(fleet, [each.tenant_id for each in theirs])
    return sorted(((str(each.account_id), names[each.tenant_id]) for each in theirs), key=lambda each: each[1])


def _code_page(
    request: AnyRequest, asked: UUID, address: str, *, status_code: int = 200, alert: str | None = None
) -> Response[str]:
    return page_for(
        request,
        "sign_in/code.html",
        status_code=status_code,
        asked=asked,
        email=address[: mail_codes.LONGEST_ADDRESS],
        minutes=int(mail_codes.PATIENCE.total_seconds() // 60),
        alert=alert,
    )


def _refused(request: AnyRequest, refusal: Refusal, asked: UUID | None, address: str) -> Response[str]:
    request.app.state.context.batched_entries.refused(source_of(request))
    page = _code_page(request, asked or UUID(int=0), address, status_code=refusal.status, alert=domain(refusal.detail))
    return _with_retry(page, refusal)


def _with_retry(page: Response[str], refusal: Refusal) -> Response[str]:
    if isinstance(refusal, TooManyRequests):
        page.headers["Retry-After"] = str(refusal.retry_after)
    return page
