"""Beginning to look at a tenant's pages as its admins see them, which its audit says, and stopping."""

from typing import Any

from litestar import Request, Response, get, post

from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.cookies import no_view, view_cookie
from rollcall.console.frame import FLEET, HOME
from rollcall.console.operators.tenant import address_of
from rollcall.console.operators.visitors import TenantWork, operator, operators, tenant_work
from rollcall.console.requests import see
from rollcall.console.viewing import LASTS, sealed_view
from rollcall.console.words import gettext
from rollcall.journal.console_events import ConsoleViewed
from rollcall.journal.record import record
from rollcall.tenancy.operators import Right

_VIEW = [operators(Right.VIEW)]
_WORK = {"work": tenant_work}


@get("/operators/tenants/{tenant:str}/view", guards=_VIEW, dependencies=_WORK, name="console_operator_ask_view")
async def ask_to_view(request: Request[Any, Any, Any], work: TenantWork) -> Response[str]:
    """Say what looking at a tenant's pages means."""
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Look at the console of %(slug)s?", slug=work.tenant.slug),
            said=[
                gettext("You see what its admins see, people and activity among it. Nothing can be changed."),
                gettext("That you look, with your name, stands in the tenant's audit, which its admins read."),
            ],
            facts=[(gettext("For"), gettext("an hour, or until you stop"))],
            button=gettext("Look at it"),
            back=address_of(work.tenant.slug),
        ),
    )


@post(
    "/operators/tenants/{tenant:str}/view",
    status_code=200,
    guards=_VIEW,
    dependencies=_WORK,
    name="console_operator_view",
)
async def view(request: Request[Any, Any, Any], work: TenantWork) -> Response[Any]:
    """Begin to look, once the tenant's audit says so."""
    somebody = operator(request)
    await record(work, ConsoleViewed(role=somebody.role.value))
    sealed = sealed_view(request.app.state.sealer, somebody, work.tenant)
    return see(HOME, view_cookie(request, sealed, LASTS))


@post("/operators/stop-viewing", status_code=200, guards=[operators(Right.LOOK)], name="console_operator_stop_viewing")
async def stop(request: Request[Any, Any, Any]) -> Response[Any]:
    """Look at one's own pages again."""
    return see(FLEET, no_view(request))
