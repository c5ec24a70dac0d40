"""The months that the audit is kept in: made long before they begin, beside whoever reads and writes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.keeping import ORIGIN
from rollcall.work import SYSTEM, open_fleet

log = structlog.get_logger(__name__)

TABLES: Final = ("audit_entries", "audit_payloads")

MONTHS_AHEAD: Final = 6
"""How many months beside the present one have their partitions: so long housekeeping may fail."""

TRIES: Final = 5
TRY_AGAIN_AFTER: Final = 1.0
"""Seconds between two tries to get a lock that a reader of the audit has."""

_SETTLING: Final = timedelta(minutes=10)
LOCK_NOT_HAD: Final = "55P03"

_THERE = text(qualified("SELECT begins, ends FROM fn.audit_partitions(:table)"))
_STRAYS = text(qualified("SELECT fn.audit_strays(:table)"))
_MAKE = text(qualified("SELECT fn.make_audit_partition(:table, :name, :begins, :ends)"))


class AuditInUse(RuntimeError):
    """A partition could not be made beside somebody who reads the audit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time, from its beginning until before its end."""

    begins: datetime
    ends: datetime


async def make(database: Database, *, now: datetime | None = None, ahead: int = MONTHS_AHEAD) -> dict[str, int]:
    """Make what is missing of this month and the next *ahead* ones, and move what the default partition took meanwhile.

    Each partition is a transaction of its own. Safe to repeat, and beside another one that does the same.

    Raises:
        AuditInUse: somebody reads the audit, a dump perhaps, and has not ended after some tries.
    """
    now = now or datetime.now(UTC)
    did = {"partitions_made": 0, "entries_moved": 0}
    for table in TABLES:
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            there = [Span(*row) for row in await fleet.db.execute(_THERE, {"table": table})]
            strays = (await fleet.db.scalars(_STRAYS, {"table": table})).all()
        for span in missing(there, strays, now, ahead=ahead):
            moved = await _make(database, table, span)
            did["partitions_made"] += moved is not None
            did["entries_moved"] += moved or 0
    return did


def missing(there: Sequence[Span], strays: Sequence[datetime], now: datetime, *, ahead: int) -> Sequence[Span]:
    """What partitions are to be made for: months to come, and months of which the default partition has rows.

    While no partition is for the present moment, everybody writes into the default one. So that nobody waits for what
    is moved out of it, the new one begins within two hours, and what lies before that is moved when it is over.
    """
    months = {month_after(now, step) for step in range(ahead + 1)} | {month_after(each, 0) for each in strays}
    wanted: list[Span] = []
    for gap in (gap for month in sorted(months) for gap in _gaps(month, there)):
        if gap.begins <= now < gap.ends:
            begins = (now + _SETTLING).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            if begins < gap.ends:
                wanted.append(Span(begins, gap.ends))
        elif gap.begins > now or month_after(gap.begins, 0) in strays:
            wanted.append(gap)
    return wanted


def month_after(at: datetime, step: int) -> datetime:
    """The first moment of the month that is *step* months after the one of *at*."""
    at = at.astimezone(UTC)
    years, month = divmod(at.month - 1 + step, 12)
    return datetime(at.year + years, month + 1, 1, tzinfo=UTC)


def name_of(table: str, span: Span) -> str:
    """What the partition of a table is called: by its month, or by its beginning if it is only a part of one."""
    whole = span == Span(month_after(span.begins, 0), month_after(span.begins, 1))
    return f"{table}_{span.begins.astimezone(UTC):{'%Y_%m' if whole else '%Y_%m_%d_%H'}}"


def _gaps(month: datetime, there: Sequence[Span]) -> Iterator[Span]:
    """The parts of a month that no partition is for."""
    begins, end = month, month_after(month, 1)
    for span in sorted(there, key=lambda span: span.begins):
        if span.ends <= begins or span.begins >= end:
            continue
        if span.begins > begins:
            yield Span(begins, span.begins)
        begins = max(begins, span.ends)
    if begins < end:
        yield Span(begins, end)


async def _make(database: Database, table: str, span: Span) -> int | None:
    """Make one; returns how many rows came out of the default partition, or None if it was there."""
    name = name_of(table, span)
    facts = {"table": table, "name": name, "begins": span.begins, "ends": span.ends}
    for attempt in range(1, TRIES + 1):
        try:
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                moved: int | None = await fleet.db.scalar(_MAKE, facts)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_HAD:
                raise
            if attempt == TRIES:
                break
            await asyncio.sleep(TRY_AGAIN_AFTER)
        else:
            log.info("a partition of the audit was made", partition=name, moved=moved)
            return moved
    msg = (
        f"{name} could not be made while somebody reads the audit; nobody who writes waits for that, and it is tried "
        "again within the hour. See pg_stat_activity for a dump or a transaction that was left open"
    )
    raise AuditInUse(msg)
