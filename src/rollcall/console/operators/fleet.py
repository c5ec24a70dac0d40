"""The fleet: all tenants, who needs attention first; search, filters and page stand in the address."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.alerts import fleet as listing
from rollcall.alerts.fleet import FleetQuestion
from rollcall.alerts.kinds import GRAVE, Kind
from rollcall.console.frame import FLEET
from rollcall.console.operators.visitors import FleetWork, fleet_work, may, operator, operators
from rollcall.console.visitors import page_for
from rollcall.console.words import gettext, mark, of, options
from rollcall.scim.providers import PROFILES
from rollcall.tenancy import plans
from rollcall.tenancy.lapse import LapseState
from rollcall.tenancy.operators import Right

KINDS = {
    Kind.TOKEN_ENDS: mark("Token ends"),
    Kind.TOKEN_ROTATION: mark("Token to rotate"),
    Kind.OWNER_GONE: mark("Owner left"),
    Kind.ONLY_ADMIN: mark("One admin only"),
    Kind.WITHOUT_ADMIN: mark("No admin"),
    Kind.OWNER_AT_RISK: mark("Owner may leave"),
    Kind.NO_DEPUTY: mark("No deputy"),
    Kind.PROVIDER_QUIET: mark("Provider quiet"),
    Kind.FAILURES: mark("Calls refused"),
    Kind.LAPSE: mark("Lapsed"),
    Kind.SEATS: mark("Seats"),
    Kind.PAYMENT_UNHEARD: mark("Payment unheard"),
    Kind.MASS_CHANGE: mark("Mass change"),
}
"""Each kind of alert in a word or two."""

OF_PLANS = frozenset({Kind.LAPSE, Kind.SEATS})
"""Kinds that are seen by whoever looks after plans; the others need the right to see alerts."""

STATES = {
    "": mark("All tenants"),
    "attention": mark("Needs attention"),
    "suspended": mark("Suspended"),
    "paused": mark("Paused"),
    "lapsed": mark("Plan without SCIM, that had it"),
}
LAPSES = {
    LapseState.GRACE: ("notice", mark("Grace")),
    LapseState.OFFBOARDING_ONLY: ("notice", mark("Takes away only")),
    LapseState.CLOSED: ("bad", mark("Closed")),
}
"""States of a lapse that are shown; the others go without saying."""

PROFILES_SAID = (mark("Any provider"), mark("The standard to the letter"))
"""What profiles are called that are no provider's; the others are called as their makers call them."""

SAID = {"signed-in": mark("The passkey is added, and you are signed in.")}


@get("/operators", guards=[operators(Right.LOOK)], dependencies={"fleet": fleet_work}, name="console_fleet")
async def fleet_page(
    request: Request[Any, Any, Any],
    fleet: FleetWork,
    q: FromQuery[str] = "",
    show: FromQuery[str] = "",
    plan: FromQuery[str] = "",
    by: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
    done: FromQuery[str] = "",
) -> Response[str]:
    """All tenants, or those that were looked for."""
    seen = [kind for kind in KINDS if kind in OF_PLANS or may(operator(request), Right.ALERTS)]
    wanted = FleetQuestion(
        search=q.strip()[:255].replace("\x00", ""),
        show=show if show in {*STATES, *seen} else "",
        plan=plan[:63].replace("\x00", ""),
        by_name=by == "name",
    )
    found = await listing.page(fleet, wanted, after=after)
    asked = {"q": wanted.search, "show": wanted.show, "plan": wanted.plan, "by": "name" if wanted.by_name else ""}
    kept = {name: value for name, value in asked.items() if value}
    return page_for(
        request,
        "operators/fleet.html",
        rows=found.rows,
        matched=found.matched,
        asked=asked,
        narrowed=bool(kept.keys() - {"by"}),
        shows=[
            *options(STATES),
            *((kind.value, gettext("Alert: %(kind)s", kind=gettext(KINDS[kind]))) for kind in seen),
        ],
        plans=[("", gettext("All plans")), *((each.key, each.name) for each in await plans.every(fleet))],
        kinds={kind.value: ("bad" if kind in GRAVE else "notice", KINDS[kind]) for kind in seen},
        cases=may(operator(request), Right.ALERTS),
        lapses=LAPSES,
        profiles={key: gettext(profile.label) for key, profile in PROFILES.items()},
        more=None if found.after is None else f"{FLEET}?{urlencode({**kept, 'after': found.after})}",
        first=None if after is None else f"{FLEET}?{urlencode(kept)}" if kept else FLEET,
        done=of(SAID, done),
    )
