"""Reading the audit, a tenant's or the installation's: newest first, filtered, a page at a time."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, tuple_

from rollcall.errors import Invalid
from rollcall.journal.models import AuditEntry, AuditPayload, Deviation
from rollcall.journal.record import INSTALLATION
from rollcall.work import Fleet, Work


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries are wanted; what is None does not narrow."""

    action: str | None = None
    outcome: str | None = None
    account_id: UUID | None = None
    actor_id: UUID | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries with their payloads, and the cursor that continues after them."""

    entries: Sequence[tuple[AuditEntry, dict[str, object] | None]]
    next_cursor: str | None


async def read(work: Work | Fleet, question: Question, *, limit: int = 50, cursor: str | None = None) -> Page:
    """Read a page of the tenant's audit, newest first; for work across tenants, of the installation's.

    *action* matches whole names and their beginnings up to a dot: ``user`` finds ``user.deactivated``.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    query = (
        select(AuditEntry, AuditPayload.payload)
        .outerjoin(
            AuditPayload,
            (AuditPayload.tenant_id == AuditEntry.tenant_id)
            & (AuditPayload.at == AuditEntry.at)
            & (AuditPayload.entry_id == AuditEntry.id),
        )
        .where(AuditEntry.tenant_id == (work.tenant.id if isinstance(work, Work) else INSTALLATION))
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit + 1)
    )
    if question.action is not None:
        begins = question.action.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + ".%"
        query = query.where((AuditEntry.action == question.action) | AuditEntry.action.like(begins))
    for column, wanted in (
        (AuditEntry.outcome, question.outcome),
        (AuditEntry.account_id, question.account_id),
        (AuditEntry.actor_id, question.actor_id),
        (AuditEntry.request_id, question.request_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if question.since is not None:
        query = query.where(AuditEntry.at >= question.since)
    if question.until is not None:
        query = query.where(AuditEntry.at < question.until)
    if cursor is not None:
        query = query.where(tuple_(AuditEntry.at, AuditEntry.id) < tuple_(*_open(cursor)))
    rows = (await work.db.execute(query)).all()
    page = [(entry, payload) for entry, payload in rows[:limit]]
    more = len(rows) > limit
    return Page(page, _seal(page[-1][0]) if more else None)


async def deviations(work: Work, *, days: int) -> Sequence[Deviation]:
    """What the tenant's provider did otherwise than the standard on the last *days* days, latest and most first."""
    return (
        await work.db.scalars(
            select(Deviation)
            .where(Deviation.tenant_id == work.tenant.id, Deviation.day > work.now.date() - timedelta(days=days))
            .order_by(Deviation.day.desc(), Deviation.times.desc(), Deviation.habit)
            .limit(1000)
        )
    ).all()


def _seal(entry: AuditEntry) -> str:
    return base64.urlsafe_b64encode(f"{entry.at.isoformat()}|{entry.id.hex}".encode()).decode().rstrip("=")


def _open(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, _, entry_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
        return datetime.fromisoformat(at).astimezone(UTC), UUID(entry_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        msg = "cursor: take it from next_cursor of the page before, unchanged"
        raise Invalid(msg) from error
