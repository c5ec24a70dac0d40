"""What telling the outside needs done regularly: removed destinations forgotten, receipts completed that were left."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from rollcall.db import Database
from rollcall.events import departure_receipts
from rollcall.events.outgoing import Signing
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, Fleet, RequestOrigin, TenantRef, open_fleet, open_work

KEEP_REMOVED_FOR = timedelta(days=40)
"""Longer than a message is kept with what became of it."""


async def keep(fleet: Fleet) -> dict[str, int]:
    """Delete destinations that were removed long ago and have nothing waiting. Safe to repeat."""
    gone: Any = await fleet.db.execute(
        text("""
            DELETE FROM destinations d WHERE deleted_at < :before AND NOT EXISTS (
                SELECT FROM deliveries v
                 WHERE v.destination_tenant_id = d.tenant_id AND v.destination_id = d.id AND v.state = 'pending')
        """),
        {"before": fleet.now - KEEP_REMOVED_FOR},
    )
    return {"destinations_forgotten": int(gone.rowcount)}


async def complete_receipts(database: Database, signing: Signing) -> int:
    """Complete all tenants' receipts that could not be signed when all deliveries had ended; returns how many."""
    origin = RequestOrigin(request_id="keep house")
    async with open_fleet(database, SYSTEM, origin) as fleet:
        refs = [tenants.ref(tenant) for tenant in await tenants.every(fleet)]
    return sum([await _complete_those_of(database, ref, signing, origin) for ref in refs])


async def _complete_those_of(database: Database, tenant: TenantRef, signing: Signing, origin: RequestOrigin) -> int:
    completed, last = 0, None
    while True:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            found = await departure_receipts.overdue(work, after=last)
            completed += await departure_receipts.complete_receipts(work, found, signing)
        if not found:
            return completed
        last = found[-1]
