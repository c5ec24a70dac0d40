"""Alerts on the first page: each in a sentence, with where it is seen to; and the release of a mass change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.alerts import reading
from rollcall.alerts.kinds import Kind
from rollcall.alerts.reading import Alert
from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.frame import HOME
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, see
from rollcall.console.visitors import PersonWork, admin_work, admins, visitor
from rollcall.console.words import domain, gettext, mark, ngettext, number_said
from rollcall.errors import NotFound
from rollcall.proof import mass_changes
from rollcall.work import Work

_ADMINS = [admins()]
_WORK = {"work": admin_work}
MOST_SHOWN = 100

WHERE = {
    Kind.TOKEN_ENDS: ("notice", "/console/tokens", mark("Rotate it")),
    Kind.TOKEN_ROTATION: ("notice", "/console/tokens", mark("Rotate it")),
    Kind.OWNER_GONE: ("bad", "/console/tokens", mark("Take it over")),
    Kind.ONLY_ADMIN: ("notice", "/console/team", mark("Appoint a second")),
    Kind.WITHOUT_ADMIN: ("bad", "/console/team", mark("Appoint one")),
    Kind.OWNER_AT_RISK: ("notice", "/console/tokens", mark("Issue another one")),
    Kind.NO_DEPUTY: ("notice", "/console/team", mark("Name a deputy")),
    Kind.PROVIDER_QUIET: ("bad", "/console/setup", mark("Check the set-up")),
    Kind.FAILURES: ("bad", "/console/activity?outcome=refused", mark("See refused calls")),
    Kind.LAPSE: ("notice", "/console/plan", mark("See until when")),
    Kind.SEATS: ("notice", "/console/plan", mark("See the seats")),
    Kind.PAYMENT_UNHEARD: ("notice", "/console/plan", mark("See the plan")),
    Kind.MASS_CHANGE: ("bad", "", mark("Look at it")),
}
"""How grave each kind is, and where it is seen to."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that an admin should see to, and where."""

    tone: str
    said: str
    address: str
    action: str


async def concerns(work: Work) -> Sequence[Concern]:
    """The open alerts, newest first; of one that has come nearer only the nearest."""
    found = (await reading.page(work, limit=MOST_SHOWN, only_open=True)).rows
    nearest: dict[tuple[Kind, str], Alert] = {}
    for alert in found:
        nearest.setdefault((alert.kind, alert.subject), alert)
    return [_concern(alert) for alert in nearest.values()]


def _concern(alert: Alert) -> Concern:
    tone, address, action = WHERE[alert.kind]
    said = domain(alert.says)
    if alert.kind is Kind.MASS_CHANGE:
        said = gettext("%(said)s Until an admin has looked at it, nothing that can't be undone is done.", said=said)
    return Concern(tone, said, address or f"/console/alerts/{alert.id}/release", gettext(action))


@get("/alerts/{alert:str}/release", guards=_ADMINS, dependencies=_WORK, name="console_ask_release")
async def ask_to_release(request: Request[Any, Any, Any], work: PersonWork, alert: FromPath[str]) -> Response[str]:
    """Say what releasing a mass change does."""
    return confirmation_page(request, await _release(request, work, id_of(alert, "alert")))


@post("/alerts/{alert:str}/release", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_release")
async def release(request: Request[Any, Any, Any], work: PersonWork, alert: FromPath[str]) -> Response[Any]:
    """Say that somebody has looked at a mass change, once the company's name was typed."""
    which = id_of(alert, "alert")
    if asked := await unless_typed(request, await _release(request, work, which)):
        return asked
    await mass_changes.release(work, which)
    return see(f"{HOME}?done=released")


async def _release(request: AnyRequest, work: Work, which: UUID) -> Confirmation:
    found = await mass_changes.of_ids(work, [which])
    if not found:
        raise NotFound("alert")
    held = reading.of_mass_change(found[0])
    return Confirmation(
        title=gettext("Are these people meant to leave?"),
        said=[
            ngettext(
                "%(count)s person has left since it began. Their access has ended already; releasing brings nobody "
                "back.",
                "%(count)s people have left since it began. Their access has ended already; releasing brings nobody "
                "back.",
                held.departures or 0,
            ),
            gettext(
                "Once you release it, people may be erased and linked to former accounts again; counting begins anew."
            ),
            gettext("If they are not meant to leave, stop provisioning at your identity provider first."),
        ],
        facts=[
            (gettext("It began"), found[0].row.began_at),
            (gettext("Noticed"), found[0].row.noticed_at),
            (
                gettext("Usual within an hour"),
                gettext("up to %(threshold)s", threshold=number_said(found[0].row.threshold)),
            ),
            (gettext("Released"), found[0].row.released_at or gettext("not yet")),
        ],
        button=gettext("Release it"),
        back=HOME,
        typed=visitor(request).tenant_name,
        called=gettext("the name of your company"),
    )
