"""Which operator looks at the console, whether their role reaches the page, and the work opened for them."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from rollcall.access.operator_sessions import OperatorNotSignedIn, SignedInOperator, who
from rollcall.console.cookies import operator_shown
from rollcall.console.requests import AnyRequest, origin, source_of
from rollcall.console.visitors import Guard
from rollcall.errors import Forbidden, Invalid, Refusal
from rollcall.journal.record import record_refusal
from rollcall.tenancy import tenants
from rollcall.tenancy.operators import RIGHTS, Right
from rollcall.work import SYSTEM, Fleet, TenantRef, Work, open_fleet, open_work

FleetWork = NamedDependency[Fleet]
"""A handler's work across tenants, done by the operator who is signed in."""

TenantWork = NamedDependency[Work]
"""A handler's work on the tenant that its address names."""


def operators(right: Right) -> Guard:
    """A guard that lets operators through whose role has this right, to an address that can name something."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        somebody = await _find_out(connection)
        if somebody.purpose != "console":
            raise OperatorNotSignedIn(ended=False)
        check_right(somebody, right)
        if "\x00" in connection.scope["path"]:
            msg = "The address holds a NUL character (%00); leave it out."
            raise Invalid(msg)

    return guard


async def registering(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard that lets those through who came by an invitation and have no passkey yet."""
    if (await _find_out(connection)).purpose != "registration":
        raise OperatorNotSignedIn(ended=False)


def may(somebody: SignedInOperator, right: Right) -> bool:
    """Whether an operator's role has a right; pages leave out what it has not."""
    return somebody.role in RIGHTS[right]


def check_right(somebody: SignedInOperator, right: Right) -> None:
    """Refuse an operator whose role does not have a right.

    Raises:
        Forbidden: it does not; the detail names the roles that have it.
    """
    if not may(somebody, right):
        msg = (
            f"This needs the role {' or '.join(RIGHTS[right])}; yours is {somebody.role}. "
            "Have it done by somebody who has that role, or be given it: rollcall operators change."
        )
        raise Forbidden(msg)


def operator(request: AnyRequest) -> SignedInOperator:
    """Which operator is signed in, as the guard found out."""
    return request.scope["state"]["operator"]


async def operator_if_any(request: AnyRequest) -> SignedInOperator | None:
    """Which operator is signed in, on a page for everybody."""
    try:
        return await who(request.app.state.database.access_pool, operator_shown(request))
    except OperatorNotSignedIn:
        return None


async def fleet_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Fleet]:
    """The work of a page across tenants: committed as the handler ends, and judged again if it changes anything."""
    async with work_across(request) as fleet:
        yield fleet


@asynccontextmanager
async def work_across(request: AnyRequest) -> AsyncGenerator[Fleet]:
    """The same, for whoever has to do something before it is opened. A refusal stands in the installation's audit."""
    database, somebody = request.app.state.database, operator(request)
    try:
        async with open_fleet(database, somebody.actor, origin(request), judged=request.method != "GET") as fleet:
            yield fleet
    except Refusal as refusal:
        async with open_fleet(database, somebody.actor, origin(request), judged=False) as fleet:
            await record_refusal(fleet, action=action_of(request), status=refusal.status, detail=refusal.detail)
        raise


async def tenant_work(request: Request[Any, Any, Any], tenant: FromPath[str]) -> AsyncGenerator[Work]:
    """The work of a page on the tenant that its address names."""
    async with work_in(request, await tenant_named(request, tenant)) as work:
        yield work


def work_in(request: AnyRequest, tenant: TenantRef) -> AbstractAsyncContextManager[Work]:
    """Work in one tenant, by the operator who is signed in; a refusal stands in the tenant's audit."""

    async def on_refusal(work: Work, refusal: Refusal) -> None:
        await request.app.state.context.batched_entries.refusals.enter(work, action_of(request), refusal)

    database, judged = request.app.state.database, request.method != "GET"
    actor = operator(request).actor
    return open_work(database, tenant, actor, origin(request), on_refusal=on_refusal, judged=judged)


async def tenant_named(request: AnyRequest, name: str) -> TenantRef:
    """The tenant an address names by its slug.

    Raises:
        NotFound: there is none.
    """
    async with open_fleet(request.app.state.database, SYSTEM, origin(request)) as fleet:
        return tenants.ref(await tenants.find(fleet, name[:63]))


def action_of(request: AnyRequest) -> str:
    """What a request asks for, as the audit names it."""
    return f"console.operators.{request.route_handler.handler_name}"


async def _find_out(connection: ASGIConnection[Any, Any, Any, Any]) -> SignedInOperator:
    """Who is signed in; asked once for each request."""
    if (known := connection.scope["state"].get("operator")) is not None:
        return known
    request: AnyRequest = Request(connection.scope)
    try:
        somebody = await who(request.app.state.database.access_pool, operator_shown(request))
    except OperatorNotSignedIn as nobody:
        if nobody.ended:
            request.app.state.context.batched_entries.refused(source_of(request))
        raise
    connection.scope["state"]["operator"] = somebody
    return somebody
