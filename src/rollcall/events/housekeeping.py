"""What telling the outside needs done regularly: removed destinations forgotten, receipts completed that were left."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from rollcall.db import Database
from rollcall.events import endings
from rollcall.events.kinds import Means
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, Fleet, Origin, open_fleet, open_work

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


async def complete_receipts(database: Database, means: Means) -> int:
    """Complete the receipts, of all tenants, that could not be signed when all had been told; returns how many."""
    origin = Origin(request_id="keep house")
    async with open_fleet(database, SYSTEM, origin) as fleet:
        refs = [tenants.ref(tenant) for tenant in await tenants.every(fleet)]
    completed = 0
    for ref in refs:
        async with open_work(database, ref, SYSTEM, origin) as work:
            completed += await endings.sweep(work, means)
    return completed
