"""One tenant, as operators see it: how it stands and why, and what their role lets them do to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts, tokens
from rollcall.access.models import Account, Token
from rollcall.access.portal_links import GIVES, Intent
from rollcall.access.token_states import judgement
from rollcall.access.tokens import Scope
from rollcall.alerts import reading
from rollcall.alerts.kinds import GRAVE
from rollcall.alerts.reading import Alert
from rollcall.console.cookies import tenants_cookie
from rollcall.console.frame import FLEET
from rollcall.console.operators.fleet import LAPSES
from rollcall.console.operators.visitors import FleetWork, fleet_work, may, operator, operators
from rollcall.console.requests import AnyRequest
from rollcall.console.switching import sealed_with
from rollcall.console.tokens import TONES
from rollcall.console.visitors import page_for
from rollcall.console.words import gettext, mark, of, options
from rollcall.scim.providers import PROFILES
from rollcall.tenancy import explaining, overrides, plans, seats, tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.operators import Right
from rollcall.work import Fleet, Work

MOST_ALERTS = 50
MOST_REVOKED = 10
WHAT = {"scim": mark("SCIM"), "events": mark("Events"), "newcomers": mark("Newcomers")}
OVERRIDES = {
    "scim": mark("SCIM"),
    "events": mark("Events"),
    "seats": mark("Seats"),
    "seat_policy": mark("Beyond the seats"),
}
"""What can be overridden, in words."""

GIVEN = {
    "seats": mark("Another number of seats"),
    "scim": mark("SCIM, though the plan has none"),
    "events": mark("Events, though the plan has none"),
    "seat_policy:overage": mark("Newcomers beyond the seats: let in"),
    "seat_policy:refuse": mark("Newcomers beyond the seats: refused"),
}
"""What an operator can give a tenant otherwise; what follows a colon is the value."""

PAUSES = {"15": mark("15 minutes"), "60": mark("1 hour"), "240": mark("4 hours"), "1440": mark("1 day")}
SCOPES = {"scim": mark("Provisioning: read and write"), "scim:read": mark("Reading alone")}
LIVES = {"365": mark("1 year"), "90": mark("90 days"), "": mark("Never")}
INTENTS = {
    "setup": mark("Set-up"),
    "activity": mark("Activity"),
    "departures": mark("Departures"),
    "tokens": mark("Tokens"),
    "roles": mark("Roles"),
}
SAID = {
    "plan": mark("The plan is changed. It counts from the next call on."),
    "override": mark("The override is set. It counts from the next call on."),
    "override-ended": mark("The override is ended."),
    "suspended": mark("It is suspended: everything of it is refused."),
    "resumed": mark("It is active again."),
    "paused": mark("It is paused: leavers are cut off all the same."),
    "unpaused": mark("The pause is over."),
    "released": mark("The mass change is released."),
    "appointed": mark("They are an admin now."),
}


@dataclass(frozen=True, slots=True)
class Inside:
    """What is only to be seen from inside a tenant."""

    people: int
    tokens: Sequence[Token]
    admins: Sequence[Account]
    alerts: Sequence[Alert]
    names: dict[Any, str]


@get(
    "/operators/tenants/{tenant:str}",
    guards=[operators(Right.LOOK)],
    dependencies={"fleet": fleet_work},
    name="console_operator_tenant",
)
async def tenant_page(
    request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str], done: FromQuery[str] = ""
) -> Response[str]:
    """How one tenant stands."""
    row = await tenants.find(fleet, tenant[:63])
    answer = await tenant_view(request, fleet, row, done=of(SAID, done))
    answer.set_cookie(tenants_cookie(request, sealed_with(request, operator(request), row.slug)))
    return answer


def address_of(tenant: str, *more: str) -> str:
    """The page of a tenant, or one below it."""
    return "/".join((f"{FLEET}/tenants/{tenant}", *more))


async def tenant_view(
    request: AnyRequest,
    fleet: Fleet,
    row: Tenant,
    *,
    done: str | None = None,
    status_code: int = 200,
    wrong: Mapping[str, str] | None = None,
    entered: Mapping[str, str] | None = None,
) -> Response[str]:
    """The page of a tenant; *wrong* says of fields what is wrong with what was *entered* there."""
    somebody = operator(request)
    rights = {right.value: may(somebody, right) for right in Right}
    explained = await explaining.explain(fleet, row)
    where = await seats.of(fleet, tenants.ref(row))
    async with fleet.within(tenants.ref(row)) as work:
        inside = await _inside(work, may(somebody, Right.ALERTS))
    return page_for(
        request,
        "operators/tenant.html",
        status_code=status_code,
        tenant=row,
        at=address_of(row.slug),
        rights=rights,
        plan=await plans.find(fleet, row.plan),
        explained=explained,
        what=WHAT,
        where=where,
        overrides=[(each, each.holds(fleet.now)) for each in overrides.of(row)],
        overridden=OVERRIDES,
        paused_until=row.paused_until if row.paused_until and row.paused_until > fleet.now else None,
        lapses=LAPSES,
        provider=gettext(PROFILES[row.profile].label),
        inside=inside,
        last_call=max((each.last_used_at for each in inside.tokens if each.last_used_at), default=None),
        stands={each.id: judgement(each) for each in inside.tokens},
        tones=TONES,
        grave=GRAVE,
        done=done,
        wrong=wrong or {},
        entered=entered or {},
        forms=await _choices(fleet, row, may_give=rights[Right.ALL.value]),
    )


async def _choices(fleet: Fleet, row: Tenant, *, may_give: bool) -> dict[str, Any]:
    """What the forms of the page offer."""
    others = [each for each in await plans.every(fleet) if not each.closed and each.key != row.chosen_plan]
    intents = [(each, word) for each, word in options(INTENTS) if may_give or Intent(each) not in GIVES]
    return {
        "plans": [(each.key, each.name) for each in others],
        "overrides": options(GIVEN),
        "scopes": options(SCOPES),
        "lives": options(LIVES),
        "pauses": options(PAUSES),
        "intents": intents,
    }


async def _inside(work: Work, may_see_alerts: bool) -> Inside:
    there = await tokens.not_revoked(work, and_revoked=MOST_REVOKED)
    found = [each for each in there if {*each.scopes} & {Scope.SCIM, Scope.SCIM_READ}]
    alerts = (await reading.page(work, limit=MOST_ALERTS, only_open=True)).rows if may_see_alerts else ()
    return Inside(
        people=await accounts.active(work),
        tokens=found,
        admins=await accounts.every_admin(work),
        alerts=alerts,
        names=await accounts.names(work, [each.owner_id for each in found]),
    )
