"""Queues: what waits to go out, what was given up and is sent again, who works on it, housekeeping, and all alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.alerts import reading
from rollcall.alerts.kinds import GRAVE
from rollcall.checks.everything import of_the_broker
from rollcall.checks.model import State
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.frame import FLEET
from rollcall.console.operators.fleet import KINDS
from rollcall.console.operators.visitors import (
    FleetWork,
    fleet_work,
    may,
    operator,
    operators,
    tenant_named,
    work_across,
    work_in,
)
from rollcall.console.own import id_of
from rollcall.console.requests import see
from rollcall.console.visitors import page_for
from rollcall.console.words import gettext, mark, ngettext, number_said, of
from rollcall.errors import NotFound
from rollcall.events import deliveries
from rollcall.journal import keeping, outbox
from rollcall.journal.record import INSTALLATION
from rollcall.tenancy import tenants
from rollcall.tenancy.operators import Right
from rollcall.work import Fleet

PAGE = f"{FLEET}/queues"
_LOOK = [operators(Right.QUEUES)]
_OPS = [operators(Right.ALL)]
_WORK = {"fleet": fleet_work}
MOST_ALERTS = 25
OURS = "-"
"""Stands in an address where others have a tenant's slug, for destinations of the installation; it is no slug."""

CHECKS = {
    "broker": mark("Broker"),
    "relay": mark("Relay"),
    "workers": mark("Workers"),
    "beat": mark("Beat"),
    "proxies": mark("Reverse proxies"),
}
STATES = {
    State.OK: ("good", mark("OK")),
    State.WARNING: ("notice", mark("Look at it")),
    State.FAILED: ("bad", mark("Failed")),
    State.UNKNOWN: ("notice", mark("Not known")),
}
SAID = {"again": mark("What was given up is tried again. Look in a minute whether it went out.")}


@dataclass(frozen=True, slots=True)
class Troubled:
    """A destination for which something waits or was given up."""

    slug: str | None
    """The tenant's; None for the installation's own."""
    id: UUID
    label: str
    pending: int
    dead: int
    oldest: datetime

    @property
    def address(self) -> str:
        """Where what was given up is sent again."""
        return f"{PAGE}/{self.slug or OURS}/{self.id}/replay"


@get("/operators/queues", guards=_LOOK, dependencies=_WORK, name="console_queues")
async def queues_page(
    request: Request[Any, Any, Any],
    fleet: FleetWork,
    cursor: FromQuery[str | None] = None,
    done: FromQuery[str] = "",
) -> Response[str]:
    """What waits and since when, who works on it, and what somebody should look at."""
    alerts = await reading.every_open(fleet, limit=MOST_ALERTS, cursor=cursor)
    checks = await of_the_broker(request.app.state.redis)
    return page_for(
        request,
        "operators/queues.html",
        messages=await outbox.backlog(fleet),
        sent=await deliveries.backlog(fleet),
        troubled=await _troubled(fleet),
        checks=[(CHECKS[each.name], *STATES[each.state], each) for each in checks],
        parts=await keeping.parts(request.app.state.database.pool),
        alerts=alerts.rows,
        kinds={kind: ("bad" if kind in GRAVE else "notice", word) for kind, word in KINDS.items()},
        more=None if alerts.next_cursor is None else f"{PAGE}?{urlencode({'cursor': alerts.next_cursor})}",
        first=None if cursor is None else PAGE,
        may_replay=may(operator(request), Right.ALL),
        done=of(SAID, done),
    )


@get("/operators/queues/replay", guards=_OPS, dependencies=_WORK, name="console_ask_revive")
async def ask_to_revive(request: Request[Any, Any, Any], fleet: FleetWork) -> Response[str]:
    """Say what trying messages again does that were given up."""
    found = await outbox.backlog(fleet)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Try these messages again?"),
            said=[
                ngettext(
                    "%(count)s message could not be dealt with for three days.",
                    "%(count)s messages could not be dealt with for three days.",
                    found.dead,
                ),
                gettext("Of a departure that was not settled the receipt is missing. Each is tried at once."),
            ],
            facts=[(gettext("Waiting beside them"), number_said(found.waiting))],
            button=ngettext("Try %(count)s message again", "Try %(count)s messages again", found.dead),
            back=PAGE,
        ),
    )


@post("/operators/queues/replay", status_code=200, guards=_OPS, dependencies=_WORK, name="console_revive")
async def revive(fleet: FleetWork) -> Response[Any]:
    """Have every message dealt with again that was given up."""
    await outbox.revive(fleet)
    return see(f"{PAGE}?done=again")


@get(
    "/operators/queues/{owner:str}/{destination:str}/replay",
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_ask_replay",
)
async def ask_to_replay(
    request: Request[Any, Any, Any], fleet: FleetWork, owner: FromPath[str], destination: FromPath[str]
) -> Response[str]:
    """Say what sending again does that was given up."""
    wanted = id_of(destination, "destination")
    found = next((each for each in await _troubled(fleet) if each.id == wanted and (each.slug or OURS) == owner), None)
    if found is None or not found.dead:
        raise NotFound("destination with anything given up")
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Send %(label)s again what was given up?", label=found.label),
            said=[
                ngettext(
                    "%(count)s delivery could not be made.", "%(count)s deliveries could not be made.", found.dead
                ),
                gettext(
                    "Each is made once more, oldest first, 10,000 at most; the receiver knows by its id what it has "
                    "had."
                ),
            ],
            facts=[(gettext("Of"), found.slug or gettext("the installation")), (gettext("Oldest"), found.oldest)],
            button=ngettext("Send %(count)s delivery again", "Send %(count)s deliveries again", found.dead),
            back=PAGE,
        ),
    )


@post(
    "/operators/queues/{owner:str}/{destination:str}/replay",
    status_code=200,
    guards=_OPS,
    name="console_operator_replay",
)
async def replay(request: Request[Any, Any, Any], owner: FromPath[str], destination: FromPath[str]) -> Response[Any]:
    """Make every delivery of a destination once more that was given up."""
    wanted = id_of(destination, "destination")
    if owner == OURS:
        async with work_across(request) as fleet:
            await deliveries.replay_dead(fleet, wanted)
    else:
        async with work_in(request, await tenant_named(request, owner)) as work:
            await deliveries.replay_dead(work, wanted)
    return see(f"{PAGE}?done=again")


async def _troubled(fleet: Fleet) -> Sequence[Troubled]:
    rows = await deliveries.troubled(fleet)
    slugs = await tenants.slugs_of(fleet, {row.owner_id for row in rows} - {INSTALLATION})
    return [
        Troubled(slugs.get(row.owner_id), row.destination_id, row.label, row.pending, row.dead, row.oldest)
        for row in rows
        if row.owner_id == INSTALLATION or row.owner_id in slugs
    ]
