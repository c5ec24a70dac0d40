"""Plan: how many seats are taken, month by month, what is included, and until when what works if SCIM was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from litestar import Request, Response, get

from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.console.words import gettext, mark, ngettext, number_said
from rollcall.tenancy import features, overrides, plans, seats, tenants, usage
from rollcall.tenancy.lapse import LapseState
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.seat_forecast import Forecast, forecast
from rollcall.tenancy.seats import Seats
from rollcall.work import Work

MONTHS = 12
INCLUDES = {
    "scim": (
        mark("Provisioning"),
        mark("Your identity provider adds people, sets roles and ends access by itself, with a receipt for each."),
    ),
    "events": (
        mark("Events"),
        mark("Your own systems hear of everything that happens here; without it of who is out, and of that always."),
    ),
}
"""Each feature: its name for customers, and what it brings."""


@dataclass(frozen=True, slots=True)
class Included:
    """A feature as the page lists it."""

    name: str
    brings: str
    has: bool
    beside: bool
    """Whether it was allowed beside the plan."""
    until: datetime | None
    """Until when, if that ends."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a lapse, in plain words."""

    tone: str
    now: bool
    said: str
    begins: datetime | None
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Month:
    """The most people of a month, and how tall it stands beside the others."""

    day: date
    peak: int
    average: str
    share: int
    """Percent of the tallest."""


@get("/plan", guards=[admins()], dependencies={"work": admin_work}, name="console_plan")
async def plan_page(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """What the company pays for, and how much of it is taken."""
    plan, tenant, where = await plans.own(work), await tenants.own(work), await seats.own(work)
    found = await usage.of_tenant(work)
    most = max((each.peak for each in found[:MONTHS]), default=0) or 1
    return page_for(
        request,
        "plan/page.html",
        plan=plan,
        where=where,
        seats=said_of_seats(where),
        ahead=said_ahead(forecast(found, used=where.used, allowed=where.allowed, now=work.now)),
        share=0 if not where.allowed else min(100, round(100 * where.used / where.allowed)),
        included=await _included(work, plan, tenant),
        months=[
            Month(
                date.fromisoformat(f"{each.month}-01"),
                each.peak,
                number_said(round(each.average)),
                round(100 * each.peak / most),
            )
            for each in found[:MONTHS]
        ],
        stages=stages(tenant),
        lapse=LapseState(tenant.lapse_state),
        paused_until=tenant.paused_until if tenant.paused_until and tenant.paused_until > work.now else None,
    )


async def _included(work: Work, plan: Plan, tenant: Tenant) -> Sequence[Included]:
    held = overrides.in_effect(tenant, work.now)
    found: list[Included] = []
    for key, (name, brings) in INCLUDES.items():
        beside = key not in plan.features and key in held
        until = held[key].ends_at if beside else None
        found.append(Included(gettext(name), gettext(brings), await features.has(work, key), beside, until))
    return found


def said_of_seats(where: Seats) -> tuple[str, str]:
    """How the seats stand, as a tone and a sentence."""
    if where.allowed is None:
        return "good", gettext("Your plan has any number of seats.")
    left = where.allowed - where.used
    if left > 0:
        tone = "notice" if left * 20 <= where.allowed else "good"
        return tone, ngettext("%(count)s seat is left.", "%(count)s seats are left.", left)
    if where.policy != "overage":
        return "bad", gettext(
            "No seat is left: nobody more is let in. Who is in stays in, and whoever leaves makes room at once."
        )
    if not left:
        return "notice", gettext("No seat is left. Newcomers are let in all the same, and may be billed.")
    return "notice", ngettext(
        "No seat is left, %(count)s more than your plan has. Newcomers are let in all the same, and may be billed.",
        "No seat is left, %(count)s more than your plan has. Newcomers are let in all the same, and may be billed.",
        -left,
    )


def said_ahead(found: Forecast | None) -> str:
    """The forecast in a sentence; nothing where there is none."""
    if found is None:
        return ""
    return ngettext(
        "At the rate of the last %(months)s months they are full within a week.",
        "At the rate of the last %(months)s months they are full in about %(weeks)s weeks.",
        found.weeks,
        months=found.months,
        weeks=found.weeks,
    )


def stages(tenant: Tenant) -> Sequence[Stage]:
    """What works until when for a tenant whose plan has lost SCIM; nothing for others."""
    if tenant.lapsed_at is None:
        return ()
    state = LapseState(tenant.lapse_state)
    found: list[Stage] = []
    if tenant.offboarding_from is not None and tenant.offboarding_from > tenant.lapsed_at:
        said = gettext("Everything works as before.")
        found.append(Stage("good", state is LapseState.GRACE, said, tenant.lapsed_at, tenant.offboarding_from))
    said = gettext(
        "Your provider can still look things up, end access and remove people. It can add nobody and change no role."
    )
    now = state is LapseState.OFFBOARDING_ONLY
    if tenant.closes_at is None or tenant.closes_at != tenant.offboarding_from:
        found.append(Stage("notice", now, said, tenant.offboarding_from, tenant.closes_at))
    if tenant.closes_at is not None:
        said = gettext("Your provider is refused. End the access of leavers by hand, under People.")
        found.append(Stage("bad", state is LapseState.CLOSED, said, tenant.closes_at, None))
    return found
