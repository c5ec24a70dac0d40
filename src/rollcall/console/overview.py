"""The first page: how the connection stands in a sentence, and what needs an admin's attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.access import tokens
from rollcall.access.models import Token
from rollcall.console import alerts
from rollcall.console.alerts import Concern
from rollcall.console.frame import HOME, first_page
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, admin_work, anybody_signed_in, page_for, visitor
from rollcall.console.words import day_said, domain, gettext, mark, ngettext, of
from rollcall.events import destinations
from rollcall.provisioning import connection, provider_state
from rollcall.provisioning.connection import Day, Standing
from rollcall.tenancy.lapse import LapseState
from rollcall.work import Work

_WORK = {"work": admin_work}
SAID = {"released": mark("It is released, and counting begins anew.")}


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart, in the units of its picture."""

    day: datetime
    x: float
    y: float
    height: float
    refused_y: float
    refused_height: float
    said: str


@get("/", guards=[anybody_signed_in], dependencies=_WORK, name="console_home")
async def home(request: Request[Any, Any, Any], work: PersonWork, done: FromQuery[str] = "") -> Response[Any]:
    """How the connection stands; whoever sees only a part of the console is led there."""
    if (first := first_page(visitor(request))) != HOME:
        return see(first)
    stands, token = await connection.standing(work), await connection.newest_token(work)
    state = await provider_state.of_tenant(work)
    found = await connection.days(work)
    return page_for(
        request,
        "overview/page.html",
        stands=stands,
        token=token,
        ends=None if token is None else token.expires_at,
        provider=state.recognised.label or gettext("Your identity provider"),
        concerns=await concerns(work, stands, token, lapse=LapseState(state.tenant.lapse_state)),
        done=of(SAID, done),
        bars=bars(found),
        most=max((each.calls for each in found), default=0),
        calls=sum(each.calls for each in found),
        refused=sum(each.refused for each in found),
        or_more="+" if any(each.is_full for each in found) else "",
    )


_LAPSED = {
    LapseState.GRACE: ("notice", mark("Your plan no longer includes SCIM; everything works for a while yet.")),
    LapseState.OFFBOARDING_ONLY: ("bad", mark("Your plan no longer includes SCIM: your provider can only take away.")),
    LapseState.CLOSED: ("bad", mark("Your plan no longer includes SCIM: your provider is refused.")),
}


async def concerns(
    work: Work, stands: Standing, token: Token | None, *, lapse: LapseState = LapseState.ACTIVE
) -> list[Concern]:
    """What needs attention, the worst first: what stands still now, and the open alerts."""
    found: list[Concern] = []
    if token is not None and not tokens.is_open(token, work.now):
        said = gettext("No token is live, so your provider is refused.")
        found.append(Concern("bad", said, "/console/tokens", gettext("Issue a token")))
    told = await alerts.concerns(work)
    found += told
    if lapse in _LAPSED and all(each.address != "/console/plan" for each in told):  # no alert of it is open yet
        tone, said = _LAPSED[lapse]
        found.append(Concern(tone, gettext(said), "/console/plan", gettext("See until when")))
    if stands.conflicts:
        said = ngettext(
            "%(number)s person has role names that contradict each other.",
            "%(number)s people have role names that contradict each other.",
            stands.conflicts,
            number=stands.conflicts,
        )
        found.append(Concern("bad", said, "/console/roles#cases", gettext("See who")))
    if stands.unknown_roles:
        said = ngettext(
            "%(number)s person has a role name that means nothing here.",
            "%(number)s people have a role name that means nothing here.",
            stands.unknown_roles,
            number=stands.unknown_roles,
        )
        found.append(Concern("notice", said, "/console/roles#cases", gettext("See which")))
    found += [
        Concern(
            "bad",
            gettext("The destination “%(label)s” takes nothing.", label=row.label),
            f"/console/webhooks/{row.id}",
            gettext("See why"),
        )
        for row in await destinations.every(work)
        if row.failing_since is not None and row.disabled_at is None
    ]
    if stands.last_refusal is not None and (stands.last_call is None or stands.last_refusal.at >= stands.last_call):
        said = gettext("The latest call was refused: %(detail)s", detail=domain(stands.last_refusal.detail or ""))
        found.append(Concern("bad", said, "/console/activity?outcome=refused", gettext("See refused calls")))
    return sorted(found, key=lambda each: each.tone != "bad")


_WIDTH, _HEIGHT, _GAP = 720.0, 120.0, 4.0


def bars(found: Sequence[Day]) -> list[Bar]:
    """The chart of these days; each bar says its day and numbers to those who point at it."""
    most = max((each.calls for each in found), default=0) or 1
    step = _WIDTH / max(1, len(found))
    told: list[Bar] = []
    for place, each in enumerate(found):
        height, refused = _HEIGHT * each.calls / most, _HEIGHT * each.refused / most
        calls = (
            gettext("%(calls)s calls or more", calls=each.calls)
            if each.is_full
            else ngettext("%(count)s call", "%(count)s calls", each.calls)
        )
        said = gettext(
            "%(day)s: %(calls)s, %(refused)s refused", day=day_said(each.day), calls=calls, refused=each.refused
        )
        told.append(
            Bar(
                each.day,
                round(place * step + _GAP / 2, 1),
                round(_HEIGHT - height, 1),
                round(height, 1),
                round(_HEIGHT - refused, 1),
                round(refused, 1),
                said,
            )
        )
    return told
