"""Reading the audit, a tenant's or the installation's: newest first, filtered, a page at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select, text

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


BY_SUMMARIES = text(
    "SELECT set_config(name, 'off', true) FROM unnest(ARRAY['enable_seqscan', 'enable_indexscan']) AS s (name)"
)
"""Has the rest of a transaction use summaries of blocks. PostgreSQL thinks them useless where values come in no order,
as the ids of requests do; a Bloom filter does not care."""

Narrowed = TypeVar("Narrowed", bound=Select[*tuple[Any, ...]])

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
    if question.request_id is not None:
        await work.db.execute(BY_SUMMARIES)
    by = (AuditEntry.at, AuditEntry.id)
    query = asked(work.tenant.id if isinstance(work, Work) else INSTALLATION, question)
    found = await paging.page_of_several(work.db, query, *by, limit=limit, cursor=cursor, descending=True)
    return found.of(lambda row: (row[0], row[1]))


async def count(work: Work, question: AuditQuestion, *, most: int) -> int:
    """How many of the tenant's entries a question finds, *most* at most: nobody has to read all there are for that."""
    found = _narrowed(select(AuditEntry.id), work.tenant.id, question).limit(most).subquery()
    return int(await work.db.scalar(select(func.count()).select_from(found)) or 0)


def asked(tenant_id: UUID, question: AuditQuestion) -> Select[AuditEntry, dict[str, Any]]:
    """The query for a question, in no order."""
    rows = select(AuditEntry, AuditPayload.payload).outerjoin(
        AuditPayload,
        (AuditPayload.tenant_id == AuditEntry.tenant_id)
        & (AuditPayload.at == AuditEntry.at)
        & (AuditPayload.entry_id == AuditEntry.id),
    )
    return _narrowed(rows, tenant_id, question)


def _narrowed(rows: Narrowed, tenant_id: UUID, question: AuditQuestion) -> Narrowed:
    """Of *rows* those that a question is about.

    What stands in the predicate of an index is written out, or a plan kept for any value could not use it.
    """
    query = rows.where(AuditEntry.tenant_id == tenant_id)
    if question.action is not None:
        begins = question.action.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + ".%"
        query = query.where((AuditEntry.action == question.action) | AuditEntry.action.like(begins))
        if question.action.partition(".")[0] != "scim":
            query = query.where(text("audit_entries.action NOT LIKE 'scim.%'"))
    if question.outcome == "refused":
        query = query.where(text("audit_entries.outcome = 'refused'"))
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
    return query


async def deviations(work: Work, *, days: int, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Deviation]:
    """What the tenant's provider did otherwise than the standard on the last *days* days, latest day first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Deviation).where(
        Deviation.tenant_id == work.tenant.id, Deviation.day > work.now.date() - timedelta(days=days)
    )
    by = (Deviation.day, Deviation.deviation)
    return await paging.page(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)
