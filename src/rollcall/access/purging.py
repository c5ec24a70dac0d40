"""Purging: what goes from the database once a departed person's receipt has counted it.

Sessions go with their digests, and passkeys, which say which devices somebody has. Tokens and external credentials stay
as the history of what was given to whom: they hold no more than a digest, or the product's own name for something.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import column, delete, table

from rollcall.access.ways_in import WAYS_IN, WayIn
from rollcall.work import Work


async def purge(work: Work, account_id: UUID, *, epoch: int) -> dict[str, int]:
    """Delete what was closed before this *epoch* of the account; returns how many of each class that was."""
    return {way.name: await _purge(work, way, account_id, epoch) for way in WAYS_IN if way.purged}


async def _purge(work: Work, way: WayIn, account_id: UUID, epoch: int) -> int:
    rows = table(way.table, column("tenant_id"), column(way.account), column("epoch"), column(way.closed))
    gone: Any = await work.db.execute(
        delete(rows).where(
            rows.c.tenant_id == work.tenant.id,
            rows.c[way.account] == account_id,
            rows.c.epoch < epoch,
            rows.c[way.closed].is_not(None),
        )
    )
    return int(gone.rowcount)
