"""How long a customer's audit is kept, as the plan says, and what is older goes: whole months, and the rest in batches.

What may go is judged by functions of the database, and by a trigger that lets nothing else be deleted, whoever asks.
"""

import asyncio
import gzip
import os
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.events import AuditRetentionShortened
from rollcall.journal.keeping import ORIGIN, Did, in_batches
from rollcall.journal.partitions import LOCK_NOT_HAD, AuditInUse, Span, name_of
from rollcall.journal.record import INSTALLATION, record, record_for_installation
from rollcall.work import SYSTEM, Fleet, TenantRef, open_fleet

log = structlog.get_logger(__name__)

DROP_TRIES: Final = 5
TRY_AGAIN_AFTER: Final = 0.5
"""Seconds between two tries to get a lock for which nobody is to wait."""

_PAGE: Final = 2000

_JUDGE = text(qualified("SELECT tenant_id, before, after, counts_from FROM fn.judge_retention()"))
_ANNOUNCED = text(qualified("SELECT count(*), sum(entries)::bigint, min(counts_from) FROM fn.announced_deletions()"))
_OVER = text(qualified("SELECT begins, ends FROM fn.audit_months_over()"))
_DROP = text(qualified("SELECT fn.drop_audit_month(:begins, :ends)"))
_SHORTER = text(
    qualified(
        "SELECT tenant_id FROM audit_retention"
        " WHERE counts_from <= clock_timestamp() AND days < fn.longest_retention() ORDER BY tenant_id"
    )
)
_FORGET = text(qualified("SELECT fn.forget_entries(:tenant, :limit)"))
_NUMBER = text("SELECT count(*) FROM audit_retention")
_EXPORT = text("""
    SELECT e.tenant_id, e.at, e.id, (to_jsonb(e) || jsonb_build_object('payload', p.payload))::text AS line
      FROM audit_entries e
      LEFT JOIN audit_payloads p ON p.tenant_id = e.tenant_id AND p.at = e.at AND p.entry_id = e.id
     WHERE e.at >= :begins AND e.at < :ends AND (e.tenant_id, e.at, e.id) > (:tenant, :at, :id)
     ORDER BY e.tenant_id, e.at, e.id LIMIT :limit
""")


async def keep(database: Database, *, archive: Path | None = None) -> Did:
    """Announce what was shortened, drop the months that are over, and delete what else is older than it is kept.

    A month is written into *archive* before it is dropped, where one is given. The audits that are kept longest go
    with their months, so up to a month later than their time; the others day by day.

    Raises:
        AuditInUse: a month can't be dropped beside somebody who reads the audit; the rest is done.
    """
    shortened, reported = await judge(database)
    did = {"audits_shortened": shortened, "entries_announced": reported, "entries_forgotten": 0, "months_dropped": 0}
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        over = [Span(*row) for row in await fleet.db.execute(_OVER)]
        shorter = (await fleet.db.scalars(_SHORTER)).all()
    for tenant in shorter:
        did["entries_forgotten"] += await in_batches(database, _FORGET, {"tenant": tenant})
    for month in over:
        if archive is not None:
            await export(database, month, archive)
        await _drop(database, month)
        did["months_dropped"] += 1
    return did


async def judge(database: Database) -> tuple[int, int]:
    """Bring what counts up to what the plans say; returns how many were shortened, and how many entries will go.

    The second is said when there is somebody of whom nothing was deleted before.
    """
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        before = await fleet.db.scalar(_NUMBER)
        shortened = (await fleet.db.execute(_JUDGE)).all()
        for row in shortened:
            event = AuditRetentionShortened(row.before, row.after, row.counts_from.isoformat())
            await _announce(fleet, row.tenant_id, event)
        if await fleet.db.scalar(_NUMBER) == before:
            return len(shortened), 0
        tenants, entries, since = (await fleet.db.execute(_ANNOUNCED)).one()
    if entries:
        log.warning(
            "the audit has entries that are older than their plans keep them; they will be deleted",
            tenants=tenants,
            entries=entries,
            counts_from=since.isoformat(),
            remedy="raise retention_days of the plans, or export with 'rollcall audit TENANT --all' before",
        )
    return len(shortened), int(entries or 0)


async def export(database: Database, month: Span, archive: Path) -> Path:
    """Write what there is of a month into a file of *archive*, an entry with its payload a line; returns the file.

    It is there whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    path = archive / f"{name_of('audit', month)}.jsonl.gz"
    unfinished = path.with_suffix(".unfinished")
    after: tuple[UUID, datetime, UUID] = (UUID(int=0), month.begins, UUID(int=0))
    with unfinished.open("wb") as raw, gzip.open(raw, "wt", encoding="utf-8") as file:
        while True:
            facts = {"begins": month.begins, "ends": month.ends, "limit": _PAGE}
            facts |= dict(zip(("tenant", "at", "id"), after, strict=True))
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                rows = (await fleet.db.execute(_EXPORT, facts)).all()
            await asyncio.to_thread(file.writelines, (f"{row.line}\n" for row in rows))
            if len(rows) < _PAGE:
                break
            after = (rows[-1].tenant_id, rows[-1].at, rows[-1].id)
    await asyncio.to_thread(_finish, unfinished, path)
    log.info("a month of the audit was exported", file=path.name)
    return path


def _finish(unfinished: Path, path: Path) -> None:
    """Give a file its name once its disk has it."""
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


async def _drop(database: Database, month: Span) -> None:
    for _ in range(DROP_TRIES):
        try:
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                await fleet.db.execute(_DROP, {"begins": month.begins, "ends": month.ends})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_HAD:
                raise
            await asyncio.sleep(TRY_AGAIN_AFTER)
        else:
            log.info("a month of the audit was dropped", begins=month.begins.isoformat())
            return
    msg = (
        f"the month of the audit from {month.begins:%Y-%m-%d} can't be dropped while somebody reads the audit; it is "
        "tried again within the hour. See pg_stat_activity for a dump or a transaction that was left open"
    )
    raise AuditInUse(msg)


async def _announce(fleet: Fleet, tenant_id: UUID, event: AuditRetentionShortened) -> None:
    if tenant_id == INSTALLATION:
        await record_for_installation(fleet, event)
        return
    async with fleet.within(TenantRef(tenant_id, "")) as work:
        await record(work, event)
