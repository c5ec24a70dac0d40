"""Who looks at the console: anybody, or somebody who is signed in; and the work opened for them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.response import Redirect
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from rollcall.access import mail_codes
from rollcall.access.authenticators import is_this_machine, pages_address
from rollcall.access.console_sessions import NotFresh, NotSignedIn, SignedIn, hold, who
from rollcall.access.operator_sessions import SignedInOperator
from rollcall.access.portal_links import Intent
from rollcall.access.statements import still_admin
from rollcall.console.cookies import forms_shown, session_shown, view_shown
from rollcall.console.frame import FLEET, is_current, sections_of
from rollcall.console.pages import page, scripts_for
from rollcall.console.requests import AnyRequest, asks_for_json, origin, source_of
from rollcall.console.switching import switch_for
from rollcall.console.viewing import OnlyLooking, viewing
from rollcall.errors import Refusal
from rollcall.work import Actor, ActorKind, TenantRef, Work, open_work

PersonWork = NamedDependency[Work]
"""A handler's work, done by whoever is signed in, in their own tenant."""

UNATTENDED = "unattended"
"""What a handler's options say whose page asks for it by itself."""

ADDRESS = "address"
"""What a request's state calls the address to which a code may be mailed."""

STRANGER = Actor(ActorKind.SYSTEM, "sign-in page")
"""Somebody of whom nothing is known yet."""

_DOORS = frozenset({"/console/portal", "/console/contact"})
"""Where people come in by a link."""

_OF_OPERATORS = {"home": FLEET, "sign_out": f"{FLEET}/sign-out"}
"""Where the frame leads for operators."""

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]
RefusalHook = Callable[[Work, Refusal], Awaitable[None]]


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard that lets those through who are signed in to the whole console at this moment."""
    somebody = await _find_out(connection)
    if somebody.is_looking:
        raise OnlyLooking
    if somebody.intent is not None:
        raise OutOfReach


async def takes_files(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard before files of a company's people, which are for its own admins and not for whoever only looks."""
    if (await _find_out(connection)).is_looking:
        raise OnlyLooking


async def anybody_signed_in(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard that lets everybody through who is signed in, those whom a portal link let in too."""
    await _find_out(connection)


def admins(*intents: Intent) -> Guard:
    """A guard that lets admins through, and those whom a portal link let in if it is for one of these *intents*."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        somebody = await _find_out(connection)
        if somebody.intent is not None and somebody.intent not in intents:
            raise OutOfReach
        if not somebody.is_admin:
            raise ForAdmins

    return guard


class OutOfReach(Refusal):
    """A page of the console that the portal link somebody came by does not open."""

    status = 403
    code = "out_of_reach"
    advice = "Open the console itself, or ask the product for a link with that intent."

    def __init__(self) -> None:
        super().__init__("The link you came by opens another part of the console. Go back, and open the one you want.")


class ForAdmins(Refusal):
    """A page of the console for a tenant's admins."""

    status = 403
    code = "for_admins"
    advice = "Have an admin of the tenant do it, or make this person one."

    def __init__(self) -> None:
        super().__init__("This page is for your company's admins. Ask one of them.")


async def _find_out(connection: ASGIConnection[Any, Any, Any, Any]) -> SignedIn:
    """Who is signed in; asked once for each request."""
    if (known := connection.scope["state"].get("visitor")) is not None:  # judged already, before the body
        return known
    request: AnyRequest = Request(connection.scope)
    try:
        looking = await viewing(request, sees=_sees(request))
        if looking is None and request.method != "GET" and view_shown(request):
            raise OnlyLooking(ended=True)  # and not done in the tenant of their own that they are signed in to
        somebody = looking or await _who(request)
    except NotSignedIn as nobody:
        if nobody.ended:
            request.app.state.context.batched_entries.refused(source_of(request))
        raise
    connection.scope["state"]["visitor"] = somebody
    if looking is not None and request.method != "GET":
        raise OnlyLooking
    return somebody


class BeforeForms(ASGIMiddleware):
    """Judges who sends a form by the head of the request; the middleware for forms reads the body to find its token."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Send on their way those who have no cookie for forms, or are not signed in where one has to be."""
        request: AnyRequest = Request(scope)
        if request.method != "GET":
            shown = forms_shown(request)
            if shown is None:
                raise PermissionDeniedException
            ScopeState.from_scope(scope).csrf_token = shown
            handler: BaseRouteHandler = request.route_handler
            for guard in cast("list[Guard]", handler.resolve_guards()):  # pyright: ignore[reportUnknownMemberType]
                await guard(request, handler)
        await next_app(scope, receive, send)


def visitor(request: AnyRequest) -> SignedIn:
    """Who is signed in, as the guard found out."""
    return request.scope["state"]["visitor"]


async def visitor_if_any(request: AnyRequest) -> SignedIn | None:
    """Who is signed in, on a page for everybody."""
    try:
        return await _who(request)
    except NotSignedIn:
        return None


async def _who(request: AnyRequest) -> SignedIn:
    """Who is signed in. A page that asks for something by itself, every few seconds, does not count as being used."""
    sees, idle = _sees(request), request.app.state.console.idle
    return await who(request.app.state.database.access_pool, session_shown(request), idle=idle, sees=sees)


def _sees(request: AnyRequest) -> bool:
    return not request.route_handler.opt.get(UNATTENDED, False)


async def person_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Work]:
    """The work of somebody who is signed in. If it changes anything they are still signed in when it is committed."""
    async with work_of(request) as work:
        if request.method != "GET":
            await hold(work, visitor(request))
        yield work


async def check_fresh(request: AnyRequest, *, carries: bool = True) -> None:
    """Refuse whoever signed in too long ago for what they are about to do.

    What their form said is carried on, unless it is not to be written into a page again.

    Raises:
        NotFresh: they are asked who they are, and come back.
    """
    if visitor(request).is_fresh(request.app.state.console.fresh):
        return
    query = request.scope["query_string"].decode("latin-1")
    act = request.scope["path"] + (f"?{query}" if query else "")
    if request.method == "GET" or not carries or asks_for_json(request):
        raise NotFresh(act)
    await note_address(request)
    form = await request.form()
    said = {name: value for name, value in form.items() if isinstance(value, str) and name != "_csrf_token"}
    raise NotFresh(act, said)


async def note_address(request: AnyRequest) -> None:
    """Find out where a code may be mailed with which somebody confirms who they are, for the page that offers it.

    Codes are mailed to admins alone, where mail is sent at all.
    """
    somebody, state = visitor(request), request.scope["state"]
    if somebody.is_admin and somebody.intent is None and request.app.state.console.sends_mail:
        async with open_work(request.app.state.database, somebody.tenant, somebody.actor, origin(request)) as work:
            state[ADDRESS] = await mail_codes.address_of(work, somebody.account_id)


async def fresh_admin_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Work]:
    """The work of an admin who has signed in not long ago."""
    await check_fresh(request)
    async with work_of_admin(request) as work:
        yield work


async def fresh_person_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Work]:
    """The work of somebody who has signed in not long ago."""
    await check_fresh(request)
    async with work_of(request) as work:
        if request.method != "GET":
            await hold(work, visitor(request))
        yield work


async def admin_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Work]:
    """The work of an admin on their tenant. If it changes anything they are still one when it is committed."""
    async with work_of_admin(request) as work:
        yield work


@asynccontextmanager
async def work_of_admin(request: AnyRequest) -> AsyncGenerator[Work]:
    """The same, for whoever has to do something before it is opened."""
    async with work_of(request) as work:
        yield work
        if request.method != "GET" and not await still_admin(work, visitor(request).account_id):
            raise ForAdmins


@asynccontextmanager
async def again_as_admin(request: AnyRequest) -> AsyncGenerator[Work]:
    """Work for one part of a file that is sent while it is made, in a transaction of its own.

    Raises:
        KeyEnded, ForAdmins: they have left, signed out, or are no longer an admin; the file breaks off.
    """
    somebody = visitor(request)
    async with open_work(request.app.state.database, somebody.tenant, somebody.actor, origin(request)) as work:
        if not await still_admin(work, somebody.account_id):
            raise ForAdmins
        yield work


def work_of(request: AnyRequest, also: RefusalHook | None = None) -> AbstractAsyncContextManager[Work]:
    """Work whose refusal stands in the audit, and of which *also* may keep something."""
    somebody = visitor(request)

    async def on_refusal(work: Work, refusal: Refusal) -> None:
        if not isinstance(refusal, NotFresh):  # a question, and no refusal
            await enter_refusal(request, work, refusal)
        if also is not None:
            await also(work, refusal)

    database = request.app.state.database
    return open_work(
        database,
        somebody.tenant,
        somebody.actor,
        origin(request),
        on_refusal=on_refusal,
        judged=request.method != "GET",
    )


async def enter_refusal(request: AnyRequest, work: Work, refusal: Refusal) -> None:
    """Enter a refusal into the audit; for a form that says it at its field, instead of raising it."""
    action = f"console.{request.route_handler.handler_name}"
    await request.app.state.context.batched_entries.refusals.enter(work, action, refusal)


def strangers_work(
    request: AnyRequest, tenant: TenantRef, on_refusal: RefusalHook | None = None
) -> AbstractAsyncContextManager[Work]:
    """Work for somebody who is about to sign in."""
    return open_work(request.app.state.database, tenant, STRANGER, origin(request), on_refusal=on_refusal)


def looks(request: AnyRequest) -> SignedIn | SignedInOperator | None:
    """Who looks at a page, if a guard has found somebody out; whoever only makes their first passkey is not in yet."""
    state = request.scope["state"]
    operator: SignedInOperator | None = state.get("operator")
    if operator is not None and operator.purpose != "console":
        return None
    return operator or state.get("visitor")


def page_for(
    request: AnyRequest, template: str, *, status_code: int = 200, with_passkeys: bool = False, **facts: object
) -> Response[str]:
    """A page with forms, for whoever looks at it."""
    somebody = looks(request)
    sections = () if somebody is None else sections_of(somebody)
    path = request.scope["path"]
    return page(
        template,
        brand=request.app.state.brand,
        framed_by=request.app.state.console.framed_by if _is_of_a_portal(request, somebody) else (),
        status_code=status_code,
        scripts=scripts_for(framed=somebody is not None, passkeys=with_passkeys),
        csrf_token=csrf_token(request),
        visitor=somebody,
        sections=sections,
        current=next((each.address for each in sections if is_current(each, path)), None),
        **(_OF_OPERATORS if isinstance(somebody, SignedInOperator) else {}),
        looking=isinstance(somebody, SignedIn) and somebody.is_looking,
        switch=switch_for(request, somebody),
        **facts,
    )


def _is_of_a_portal(request: AnyRequest, somebody: SignedIn | SignedInOperator | None) -> bool:
    """Whether a page may be shown in the product's own: the portal's door, and what a link opened; never the rest."""
    if somebody is None:
        return request.scope["path"] in _DOORS
    return isinstance(somebody, SignedIn) and somebody.intent is not None


def csrf_token(request: AnyRequest) -> str:
    """What a form has to send back."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


async def by_name(request: AnyRequest) -> Response[Any] | None:
    """Lead whoever opened the console by a number of this machine to its name: passkeys are for names only."""
    asked = urlsplit(f"//{request.headers.get('host', '')}")
    try:
        host, port = asked.hostname or "", asked.port
    except ValueError:
        return None
    name = urlsplit(pages_address(request.app.state.public_url))
    if request.method != "GET" or not is_this_machine(host) or name.hostname != "localhost":
        return None
    query = request.scope["query_string"].decode("latin-1")
    address = f"{name.scheme}://localhost{f':{port}' if port else ''}{request.scope['path']}"
    return Redirect(f"{address}?{query}" if query else address, status_code=307)
