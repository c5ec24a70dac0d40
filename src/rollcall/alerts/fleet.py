"""The fleet: all tenants by who needs attention, searched and filtered, a page at a time by one statement."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from rollcall.alerts.kinds import GRAVE
from rollcall.functions import qualified
from rollcall.paging import NoSuchCursor
from rollcall.tenancy.lapse import LapseState
from rollcall.work import Fleet

_FLEET = text(
    qualified("SELECT * FROM fn.fleet(:search, :show, :plan, :grave, :by_name, :after_rank, :after_slug, :limit)")
)
_POSITION = re.compile(r"(0|-[1-9][0-9]{0,6})\.([a-z0-9][a-z0-9-]{0,62})")


@dataclass(frozen=True, slots=True)
class FleetQuestion:
    """Which tenants are wanted, and in which order."""

    search: str = ""
    """In slug, name, external id or customer."""
    show: str = ""
    """``attention``, ``suspended``, ``paused``, ``lapsed`` or a kind of alert that is open; empty for all."""
    plan: str = ""
    by_name: bool = False
    """By slug; else who needs attention first."""


@dataclass(frozen=True, slots=True)
class FleetTenant:
    """A tenant as the fleet lists it."""

    rank: int
    id: UUID
    slug: str
    name: str
    plan: str
    """Its name."""
    status: str
    profile: str
    paused: bool
    lapse: LapseState
    grave: int
    """Open alerts of which something does not work already."""
    open: int
    """All of its open alerts, each thing that they are about once."""
    conflicts: int
    kinds: Sequence[str]
    """Of which kinds the alerts are."""
    last_call: datetime | None
    token_ends: datetime | None
    """When a token for SCIM ends first, that nobody has replaced."""
    calls: int
    """Calls of its provider among its last 200 entries of a day."""
    refused: int
    """How many of those were refused."""
    allowed: int | None
    """Seats; None is any number."""
    used: int


@dataclass(frozen=True, slots=True)
class FleetPage:
    """Some tenants, and how many fit in all."""

    rows: Sequence[FleetTenant]
    matched: int
    after: str | None
    """What continues after them; None at the end."""


async def page(fleet: Fleet, question: FleetQuestion, *, limit: int = 50, after: str | None = None) -> FleetPage:
    """Some of the tenants.

    Raises:
        NoSuchCursor: *after* is no position in this list.
    """
    position = _POSITION.fullmatch(after or "0.0")
    if position is None:
        raise NoSuchCursor
    asked = {
        "search": question.search,
        "show": question.show,
        "plan": question.plan,
        "grave": sorted(kind.value for kind in GRAVE),
        "by_name": question.by_name,
        "after_rank": int(position[1]),
        "after_slug": position[2] if after else "",
        "limit": limit + 1,
    }
    found = [dict(row) for row in (await fleet.db.execute(_FLEET, asked)).mappings()]
    matched = int(found[0]["matched"]) if found else 0
    for row in found:
        del row["matched"]
        row["lapse"] = LapseState(row["lapse"])
    rows = [FleetTenant(**row) for row in found[:limit]]
    ends = f"{rows[-1].rank}.{rows[-1].slug}" if len(found) > limit else None
    return FleetPage(rows, matched, ends)
