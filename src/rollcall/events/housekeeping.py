"""What telling the outside needs done regularly: removed destinations forgotten, receipts completed that were left."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from rollcall.db import Database
from rollcall.events import departure_receipts
from rollcall.events.outgoing import Signing
from rollcall.journal.keeping import ORIGIN, Did, in_batches
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, TenantRef, open_fleet, open_work

KEEP_REMOVED_FOR = timedelta(days=40)
"""Longer than a message is kept with what became of it."""

_FORGET = text("""
    WITH gone AS (
        DELETE FROM destinations d WHERE (tenant_id, id) IN (
            SELECT tenant_id, id FROM destinations f
             WHERE deleted_at < :before AND NOT EXISTS (
                SELECT FROM deliveries v
                 WHERE v.destination_tenant_id = f.tenant_id AND v.destination_id = f.id AND v.state = 'pending')
             LIMIT :limit)
        RETURNING id)
    SELECT count(*) FROM gone
""")


async def forget_destinations(database: Database, *, now: datetime | None = None) -> Did:
    """Delete destinations that were removed long ago and have nothing waiting."""
    before = (now or datetime.now(UTC)) - KEEP_REMOVED_FOR
    return {"destinations_forgotten": await in_batches(database, _FORGET, {"before": before})}


async def complete_receipts(database: Database, signing: Signing) -> Did:
    """Complete all tenants' receipts that could not be signed when all deliveries had ended."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        refs = [tenants.ref(tenant) for tenant in await tenants.every(fleet)]
    return {"receipts_completed": sum([await _complete_those_of(database, ref, signing) for ref in refs])}


async def _complete_those_of(database: Database, tenant: TenantRef, signing: Signing) -> int:
    completed, last = 0, None
    while True:
        async with open_work(database, tenant, SYSTEM, ORIGIN) as work:
            found = await departure_receipts.overdue(work, after=last)
            completed += await departure_receipts.complete_receipts(work, found, signing)
        if not found:
            return completed
        last = found[-1]
