"""Usage: the most and the average of active people, month by month, for whoever bills them.

A worker looks every minute and notes what has changed since; months are those of UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, text, true
from sqlalchemy.orm import aliased

from rollcall import paging
from rollcall.errors import Invalid
from rollcall.functions import qualified
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.tenancy.models import SeatUsage, Tenant
from rollcall.work import Fleet, Work

_NOTE = text(qualified("SELECT fn.note_usage(:at)"))


@dataclass(frozen=True, slots=True)
class Usage:
    """How many people of a tenant were active in a month."""

    tenant_id: UUID
    tenant: str
    external_id: str | None
    plan: str
    """The key of the plan that the tenant has now."""
    month: str
    """The month in UTC, as 2026-11."""
    peak: int
    """The most at the same moment, as looks of a minute apart saw it."""
    average: Decimal
    """The average over all that was counted of the month, by time, to two places."""
    counted_from: datetime
    """From when on the month is counted: its beginning, or the first look."""
    counted_until: datetime
    """Until when: its end, or now."""


async def note(fleet: Fleet, at: datetime) -> int:
    """Note how many people are active; returns of how many tenants that has changed."""
    return int(await fleet.db.scalar(_NOTE, {"at": at}) or 0)


def month_of(said: str) -> date:
    """The month that is written as 2026-11, by its first day.

    Raises:
        Invalid: it is not one.
    """
    try:
        if len(said) != len("2026-11"):
            raise ValueError
        return date.fromisoformat(f"{said}-01")
    except ValueError:
        msg = f"month: “{said}” is none; write it as 2026-11"
        raise Invalid(msg, param="month") from None


async def of_month(fleet: Fleet, month: date, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Usage]:
    """What some of the tenants used in a month, by slug; nothing of one that was not counted then.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    begins = _begin(month)
    if begins > fleet.now:
        return Page([], None)
    newest = select(SeatUsage).where(SeatUsage.tenant_id == Tenant.id, SeatUsage.month <= month)
    last = aliased(SeatUsage, newest.order_by(SeatUsage.month.desc()).limit(1).lateral())
    rows = select(Tenant, last).join(last, true())
    found = await paging.page_of_several(fleet.db, rows, Tenant.slug, limit=limit, cursor=cursor)
    return found.of(lambda row: _usage(row[0], row[1], month, fleet.now))


async def of_tenant(work: Work) -> Sequence[Usage]:
    """What the tenant this work is for used, month by month, the newest first."""
    own = await tenants.own(work)
    mine = select(SeatUsage).where(SeatUsage.tenant_id == work.tenant.id).order_by(SeatUsage.month)
    rows = (await work.db.scalars(mine)).all()
    found: list[Usage] = []
    if rows:
        month, last = rows[0].month, rows[0]
        there = {row.month: row for row in rows}
        while _begin(month) <= work.now:
            last = there.get(month, last)
            found.append(_usage(own, last, month, work.now))
            month = _next(month)
    return found[::-1]


def _usage(tenant: Tenant, row: SeatUsage, month: date, now: datetime) -> Usage:
    """What a month comes to by the row that it has, or by the last one before it."""
    until = min(now, _begin(_next(month)))
    if row.month == month:
        began, peak = row.counted_from, row.peak
        counted = row.person_seconds + row.active * _seconds(row.counted_at, until)
    else:
        began, peak = _begin(month), row.active
        counted = row.active * _seconds(began, until)
    seconds = _seconds(began, until)
    average = counted / seconds if seconds else Decimal(row.active)
    return Usage(
        tenant_id=tenant.id,
        tenant=tenant.slug,
        external_id=tenant.external_id,
        plan=tenant.plan,
        month=f"{month:%Y-%m}",
        peak=peak,
        average=round(Decimal(average), 2),
        counted_from=began,
        counted_until=max(began, until),
    )


def _seconds(begins: datetime, ends: datetime) -> Decimal:
    return Decimal(max(0.0, (ends - begins).total_seconds()))


def _begin(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
