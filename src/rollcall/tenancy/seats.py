"""Seats: how many active people a tenant may have, has, and since when none is left.

They are taken in the database, where people are written (`sql/seats.sql`). Whoever leaves asks nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from rollcall.errors import Refusal
from rollcall.functions import qualified
from rollcall.journal.plan_events import TenantOverSeats, TenantWithinSeats
from rollcall.journal.record import enter
from rollcall.metrics import SeatFigures
from rollcall.work import Fleet, TenantRef, Work

SeatPolicy = Literal["refuse", "overage"]
"""What becomes of a newcomer for whom no seat is left: they are refused, or let in, which is announced."""

_OF = """
    SELECT n.id, n.slug, p.name AS plan, fn.seats_allowed(n, p) AS allowed, fn.seat_policy(n, p) AS policy,
           fn.seats_used(n.id) AS used, m.full_since, m.over_since
      FROM public.tenants n JOIN public.plans p ON p.key = n.plan
      LEFT JOIN public.seat_marks m ON m.tenant_id = n.id
"""
_OWN = text(qualified(f"{_OF} WHERE n.id = :tenant"))
_FIGURES = text(
    qualified(f"""
    SELECT coalesce(sum(s.used), 0) AS used, coalesce(sum(s.allowed), 0) AS allowed,
           count(*) FILTER (WHERE s.used >= s.allowed) AS full, count(*) FILTER (WHERE s.used > s.allowed) AS over,
           coalesce(extract(epoch FROM max(clock_timestamp() - s.full_since) FILTER (WHERE s.used >= s.allowed)), 0)
               AS longest
      FROM ({_OF}) AS s WHERE s.allowed IS NOT NULL
    """)  # noqa: S608  # as above
)
_TO_MARK = text(
    qualified(f"""
    SELECT * FROM ({_OF}) AS s
     WHERE (coalesce(s.used >= s.allowed, false), coalesce(s.used > s.allowed, false))
           <> (s.full_since IS NOT NULL, s.over_since IS NOT NULL)
     ORDER BY s.id
    """)  # noqa: S608  # columns of ours
)
_MARK = text(qualified("SELECT fn.mark_seats(:tenant, :allowed, :used, :request_id, false)"))
_HOLD = text(qualified("SELECT fn.hold_seats(:tenant)"))
_END_GRACE = text("UPDATE tenants SET overrides = nullif(overrides - 'seat_policy', '{}') WHERE id = :tenant")
_HAS_GRACE = text("SELECT overrides -> 'seat_policy' ? 'until_within' FROM tenants WHERE id = :tenant")


class SeatsExhausted(Refusal):
    """No seat of the tenant's plan is left for somebody who would be active."""

    status = 403
    code = "seats_exhausted"
    advice = "Deactivate somebody who has left, or have the plan's seats raised; then send it again."


@dataclass(frozen=True, slots=True)
class Seats:
    """Where a tenant stands with its seats."""

    plan: str
    """What the plan is called."""
    allowed: int | None
    """How many active people it may have; None is any number."""
    policy: SeatPolicy
    used: int
    full_since: datetime | None
    """Since when no seat is left."""
    over_since: datetime | None
    """Since when it has more people than seats, as the event ``tenant.over_seats`` said."""


def said_of_exhausted(plan: str, allowed: int | None, used: int | None) -> str:
    """Why nobody more is let in, and what to do."""
    return (
        f"The plan {plan} has {allowed or 0:,} seats, and {used or 0:,} people are active, so nobody more is let in: "
        "nothing was changed. Deactivate somebody who has left, or ask the vendor for more seats; then provision this "
        "person again. Whoever is in stays in, and deactivating and deleting work as ever."
    )


async def own(work: Work) -> Seats:
    """Where the tenant this work is for stands."""
    return await _read(work, work.tenant)


async def of(fleet: Fleet, tenant: TenantRef) -> Seats:
    """Where a tenant stands."""
    return await _read(fleet, tenant)


async def _read(work: Work | Fleet, tenant: TenantRef) -> Seats:
    row = (await work.db.execute(_OWN, {"tenant": tenant.id})).one()
    full = row.allowed is not None and row.used >= row.allowed
    over = row.allowed is not None and row.used > row.allowed
    return Seats(
        plan=row.plan,
        allowed=row.allowed,
        policy=row.policy,
        used=row.used,
        full_since=row.full_since if full else None,
        over_since=row.over_since if over else None,
    )


async def exhausted(work: Work) -> SeatsExhausted:
    """The refusal of somebody for whom no seat is left."""
    seats = await own(work)
    return SeatsExhausted(said_of_exhausted(seats.plan, seats.allowed, seats.used))


async def hold(work: Work) -> None:
    """Take the tenant's turn before several people are let in in one transaction, and keep it until the commit."""
    await work.db.execute(_HOLD, {"tenant": work.tenant.id})


async def look(fleet: Fleet) -> int:
    """Note which tenants are full, or over their seats, and which are no longer; returns for how many that is new.

    What a creation notes by itself is the same; this also sees plans change and people leave, who ask nothing.
    """
    rows = (await fleet.db.execute(_TO_MARK)).all()
    for row in rows:
        async with fleet.within(TenantRef(row.id, row.slug)) as work:
            given = {"tenant": row.id, "allowed": row.allowed, "used": row.used}
            topics = await work.db.scalar(_MARK, given | {"request_id": work.origin.request_id})
            for event in (TenantOverSeats, TenantWithinSeats):
                if event.topic in (topics or ()):
                    await enter(work, event(row.used, row.allowed), target=str(row.id))
        if row.allowed is None or row.used <= row.allowed:
            await _end_grace(fleet, row.id)
    return len(rows)


async def figures(fleet: Fleet) -> SeatFigures:
    """Where all tenants together stand, of those that have a number of seats."""
    row = (await fleet.db.execute(_FIGURES)).one()
    return SeatFigures(
        used=int(row.used),
        allowed=int(row.allowed),
        full=row.full,
        over=row.over,
        longest_full_seconds=float(row.longest),
    )


async def _end_grace(fleet: Fleet, tenant_id: object) -> None:
    """End the overage that a tenant had from before seats counted, now that it fits."""
    if await fleet.db.scalar(_HAS_GRACE, {"tenant": tenant_id}):
        await fleet.db.execute(_END_GRACE, {"tenant": tenant_id})
