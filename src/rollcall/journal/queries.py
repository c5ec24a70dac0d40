"""Reading the audit, a tenant's or the installation's: newest first, filtered, a page at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from rollcall import paging
from rollcall.journal.models import AuditEntry, AuditPayload, Deviation
from rollcall.journal.record import INSTALLATION
from rollcall.paging import Page
from rollcall.work import Fleet, Work


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which entries are wanted; what is None does not narrow."""

    action: str | None = None
    outcome: str | None = None
    account_id: UUID | None = None
    actor_id: UUID | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


Entry = tuple[AuditEntry, dict[str, object] | None]
"""An entry with its payload."""


async def read(
    work: Work | Fleet, question: AuditQuestion, *, limit: int = paging.USUAL, cursor: str | None = None
) -> Page[Entry]:
    """Read a page of the tenant's audit, newest first; for work across tenants, of the installation's.

    *action* matches whole names and their beginnings up to a dot: ``user`` finds ``user.deactivated``.

    Raises:
        NoSuchCursor: the cursor is none of ours.
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
    by = (AuditEntry.at, AuditEntry.id)
    found = await paging.page_of_several(work.db, query, *by, limit=limit, cursor=cursor, descending=True)
    return found.of(lambda row: (row[0], row[1]))


async def deviations(work: Work, *, days: int, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Deviation]:
    """What the tenant's provider did otherwise than the standard on the last *days* days, latest day first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Deviation).where(
        Deviation.tenant_id == work.tenant.id, Deviation.day > work.now.date() - timedelta(days=days)
    )
    by = (Deviation.day, Deviation.habit)
    return await paging.page(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)
