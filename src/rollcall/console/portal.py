"""Coming in by a portal link: the page shows a button, and only that spends the link.

Scanners of mail and previews of chats follow links; none of them sends a form. A link for somebody without an
account is not spent, and its page says so.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromQuery

from rollcall.access import contact_links, portal_links
from rollcall.access.portal_links import LinkRefused
from rollcall.access.sessions import NewSession
from rollcall.console.browsers import browser_named
from rollcall.console.cookies import session_cookie
from rollcall.console.frame import SECTIONS
from rollcall.console.requests import AnyRequest, form_field, origin, see, source_of
from rollcall.console.visitors import STRANGER, page_for, strangers_work
from rollcall.console.words import domain
from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.errors import NotFound, Refusal, TooManyRequests
from rollcall.tenancy import tenants
from rollcall.work import TenantRef, open_fleet

PAGE = "/console/portal"
_ATTEMPTS_AT = "portal"
_HOURS = int(portal_links.LIFETIME.total_seconds() // 3600)


@get("/portal", name="console_portal")
async def ask_to_enter(request: Request[Any, Any, Any], link: FromQuery[str] = "") -> Response[str]:
    """Ask whoever comes by a link whether they want to go on. Nothing is looked up, and nothing spent."""
    return portal_page(request, link)


@post("/portal", status_code=200, name="console_enter_portal")
async def enter_portal(request: Request[Any, Any, Any]) -> Response[Any]:
    """Spend the link, and lead on to what it is for."""
    return await _enter(request, portal_page, _entered)


@get("/contact", name="console_contact")
async def ask_contact_to_enter(request: Request[Any, Any, Any], link: FromQuery[str] = "") -> Response[str]:
    """The same for somebody without an account, for whom an admin vouches."""
    return contact_page(request, link)


@post("/contact", status_code=200, name="console_enter_contact")
async def enter_contact(request: Request[Any, Any, Any]) -> Response[Any]:
    """Open the set-up to somebody without an account; the link stays good until its end."""
    return await _enter(request, contact_page, _contact_entered)


def portal_page(request: AnyRequest, link: str, *, status_code: int = 200, alert: str | None = None) -> Response[str]:
    """The page with the button, or without it and with what is wrong."""
    return page_for(
        request,
        "portal/page.html",
        status_code=status_code,
        link=link[:200],
        alert=alert,
        minutes=int(portal_links.PATIENCE.total_seconds() // 60),
        hours=_HOURS,
    )


def contact_page(request: AnyRequest, link: str, *, status_code: int = 200, alert: str | None = None) -> Response[str]:
    """The same for somebody without an account."""
    return page_for(request, "portal/contact.html", status_code=status_code, link=link[:200], alert=alert, hours=_HOURS)


async def _enter(
    request: AnyRequest,
    shown: Callable[..., Response[str]],
    entered: Callable[[AnyRequest, TenantRef, TokenText], Awaitable[NewSession]],
) -> Response[Any]:
    text = await form_field(request, "link")
    try:
        await request.app.state.attempts.check(source_of(request), _ATTEMPTS_AT, shown=text[:200])
        link = read_token(text)
        if link is None or link.kind is not TokenKind.SESSION:
            raise LinkRefused
        new = await entered(request, await _tenant(request, link.tenant_id), link)
    except Refusal as refusal:
        request.app.state.context.batched_entries.refused(source_of(request))
        page = shown(request, "", status_code=refusal.status, alert=domain(refusal.detail))
        if isinstance(refusal, TooManyRequests):
            page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    first = next(each.address for each in SECTIONS if each.intent == new.row.intent)
    return see(first, session_cookie(request, new, lifetime=new.row.expires_at - new.row.created_at))


async def _entered(request: AnyRequest, tenant: TenantRef, link: TokenText) -> NewSession:
    async with strangers_work(request, tenant) as work:
        return await portal_links.enter(work, link, label=browser_named(request.headers.get("user-agent", "")))


async def _contact_entered(request: AnyRequest, tenant: TenantRef, link: TokenText) -> NewSession:
    async with strangers_work(request, tenant) as work:
        return await contact_links.enter(work, link)


async def _tenant(request: AnyRequest, tenant_id: UUID) -> TenantRef:
    async with open_fleet(request.app.state.database, STRANGER, origin(request)) as fleet:
        try:
            return tenants.ref(await tenants.find(fleet, str(tenant_id)))
        except NotFound:
            raise LinkRefused from None
