"""Tenants suspended, resumed and paused by operators: what it does is said in numbers before."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import accounts, sessions, tokens
from rollcall.access.token_states import TokenState
from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.operators.tenant import PAUSES, address_of
from rollcall.console.operators.visitors import FleetWork, fleet_work, operators
from rollcall.console.requests import form_field, see
from rollcall.console.words import gettext, ngettext
from rollcall.directory import refused_departures
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.operators import Right
from rollcall.work import Fleet, Work

_OPS = [operators(Right.ALL)]
_WORK = {"fleet": fleet_work}


@get("/operators/tenants/{tenant:str}/suspend", guards=_OPS, dependencies=_WORK, name="console_operator_ask_suspend")
async def ask_to_suspend(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[str]:
    """Say what stops if the tenant is suspended."""
    return confirmation_page(request, await _suspension(fleet, await tenants.find(fleet, tenant)))


@post(
    "/operators/tenants/{tenant:str}/suspend",
    status_code=200,
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_suspend",
)
async def suspend(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Refuse everything of the tenant until it is resumed, once its slug was typed."""
    row = await tenants.find(fleet, tenant)
    if asked := await unless_typed(request, await _suspension(fleet, row)):
        return asked
    await tenants.suspend(fleet, row)
    return see(f"{address_of(row.slug)}?done=suspended")


@get("/operators/tenants/{tenant:str}/resume", guards=_OPS, dependencies=_WORK, name="console_operator_ask_resume")
async def ask_to_resume(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[str]:
    """Say what works again if the tenant is resumed, and who is out by then."""
    row = await tenants.find(fleet, tenant)
    async with fleet.within(tenants.ref(row)) as work:
        people, left = await accounts.active(work), await refused_departures.count(work)
    out = ngettext(
        "%(count)s person left meanwhile: they are taken out as it is resumed, and stay out.",
        "%(count)s people left meanwhile: they are taken out as it is resumed, and stay out.",
        left,
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Resume %(tenant)s?", tenant=row.name),
            said=[
                ngettext(
                    "%(count)s active person may come in again, and its provider may call.",
                    "%(count)s active people may come in again, and its provider may call.",
                    people,
                ),
                *([out] if left else []),
            ],
            facts=[(gettext("Tenant"), row.slug)],
            button=gettext("Resume %(tenant)s", tenant=row.name),
            back=address_of(row.slug),
        ),
    )


@post(
    "/operators/tenants/{tenant:str}/resume",
    status_code=200,
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_resume",
)
async def resume(fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Let a suspended tenant in again, but for those who left meanwhile."""
    row = await tenants.find(fleet, tenant)
    await refused_departures.resume(fleet, row)
    return see(f"{address_of(row.slug)}?done=resumed")


@get("/operators/tenants/{tenant:str}/pause", guards=_OPS, dependencies=_WORK, name="console_operator_ask_pause")
async def ask_to_pause(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[str]:
    """Say what a pause does; how long it is to be is in the address."""
    row = await tenants.find(fleet, tenant)
    minutes = request.query_params.get("minutes", "")
    chosen = minutes if minutes in PAUSES else "60"
    async with fleet.within(tenants.ref(row)) as work:
        people = await accounts.active(work)
        working = [
            each for each in await tokens.not_revoked(work) if TokenState(each.state).works and "scim" in each.scopes
        ]
    tried = ngettext("%(count)s live token", "%(count)s live tokens", len(working))
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Pause %(tenant)s for %(time)s?", tenant=row.name, time=gettext(PAUSES[chosen])),
            said=[
                ngettext(
                    "Its provider is told to come again later (%(tried)s): newcomers wait, and %(count)s active person "
                    "keeps the role they have.",
                    "Its provider is told to come again later (%(tried)s): newcomers wait, and %(count)s active people "
                    "keep the roles they have.",
                    people,
                    tried=tried,
                ),
                gettext("Reads work on, and leavers are cut off all the same. People who sign in notice nothing."),
            ],
            facts=[(gettext("Tenant"), row.slug)],
            button=gettext("Pause it for %(time)s", time=gettext(PAUSES[chosen])),
            back=address_of(row.slug),
            fields=[("minutes", chosen)],
        ),
    )


@post(
    "/operators/tenants/{tenant:str}/pause",
    status_code=200,
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_pause",
)
async def pause(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Have the provider come again later, but for what reads or only takes away."""
    minutes = await form_field(request, "minutes")
    row = await tenants.find(fleet, tenant)
    await tenants.pause(fleet, row, 60 * int(minutes if minutes in PAUSES else "60"))
    return see(f"{address_of(row.slug)}?done=paused")


@post(
    "/operators/tenants/{tenant:str}/unpause",
    status_code=200,
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_unpause",
)
async def unpause(fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Let everything of the provider pass again."""
    row = await tenants.find(fleet, tenant)
    await tenants.pause(fleet, row, 0)
    return see(f"{address_of(row.slug)}?done=unpaused")


async def _suspension(fleet: Fleet, row: Tenant) -> Confirmation:
    async with fleet.within(tenants.ref(row)) as work:
        said = await _what_stops(work)
    return Confirmation(
        title=gettext("Suspend %(tenant)s?", tenant=row.name),
        said=[
            *said,
            gettext("Nothing is deleted: once it is resumed, all of it works again, but for who left meanwhile."),
        ],
        facts=[(gettext("Tenant"), row.slug), (gettext("Customer since"), row.created_at)],
        button=gettext("Suspend %(tenant)s", tenant=row.name),
        back=address_of(row.slug),
        typed=row.slug,
        called=gettext("the tenant's slug"),
    )


async def _what_stops(work: Work) -> list[str]:
    working = [each for each in await tokens.not_revoked(work) if TokenState(each.state).works]
    active, signed_in = await accounts.active(work), await sessions.count_in_tenant(work)
    people = ngettext("%(count)s active person", "%(count)s active people", active)
    opened = ngettext("%(count)s open session", "%(count)s open sessions", signed_in)
    live = ngettext("%(count)s live token", "%(count)s live tokens", len(working))
    return [
        gettext(
            "Everything of it is refused from the next call on: %(people)s, %(sessions)s, %(tokens)s.",
            people=people,
            sessions=opened,
            tokens=live,
        ),
        gettext("Whoever leaves at its provider meanwhile is kept, and taken out as it is resumed."),
    ]
