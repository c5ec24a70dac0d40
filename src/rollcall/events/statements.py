"""The statements of events: one function for each function of the database that makes, leases and ends deliveries."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from rollcall.functions import qualified
from rollcall.work import Fleet, Work

_FAN_OUT = text(qualified("SELECT fn.fan_out(:limit, CAST(:handled AS text[]))"))
_LEASE = text(
    qualified("SELECT owner_id, destination_id FROM fn.lease_destinations(:limit, :most, :seconds, :failing)")
)
_CLAIM = text(
    qualified("""
    SELECT c.*, t.slug FROM fn.claim_deliveries(:owner, :id, :limit, :seconds, :closed) c
      LEFT JOIN tenants t ON t.id = c.tenant_id ORDER BY c.message_id
""")
)
_MARK = text(qualified("SELECT message_id, topic FROM fn.mark_ended(:tenant, :destination, CAST(:ended AS jsonb))"))
_TOLD = text(qualified("SELECT * FROM fn.told_of_departures(:tenant, CAST(:messages AS uuid[]))"))


async def fan_out(fleet: Fleet, limit: int, handled: Collection[str]) -> int:
    """Make the deliveries of new messages; returns how many messages there were."""
    return int(await fleet.db.scalar(_FAN_OUT, {"limit": limit, "handled": list(handled)}) or 0)


async def lease_destinations(
    fleet: Fleet, *, limit: int, most: int, seconds: float, failing: bool
) -> Sequence[Row[Any]]:
    """Lease destinations that have something due, of one owner at *most* so many: ``owner_id``, ``destination_id``."""
    given = {"limit": limit, "most": most, "seconds": seconds, "failing": failing}
    return (await fleet.db.execute(_LEASE, given)).all()


async def claim_deliveries(
    fleet: Fleet, owner_id: UUID, destination_id: UUID, *, limit: int, seconds: float, closed: bool
) -> Sequence[Row[Any]]:
    """Due deliveries of a destination with their tenants' ``slug``; ``claimed`` says which are ours now."""
    given = {"owner": owner_id, "id": destination_id, "limit": limit, "seconds": seconds, "closed": closed}
    return (await fleet.db.execute(_CLAIM, given)).all()


async def mark_ended(work: Work, destination_id: UUID, ended: Sequence[dict[str, Any]]) -> Sequence[Row[Any]]:
    """Mark deliveries as ended: ``message_id`` and ``topic`` of those that were still ours."""
    given = {"tenant": work.tenant.id, "destination": destination_id, "ended": orjson.dumps(ended).decode()}
    return (await work.db.execute(_MARK, given)).all()


async def told_of_departures(work: Work, message_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """What became of each destination, for the departures that wait for none; their messages are locked."""
    return (await work.db.execute(_TOLD, {"tenant": work.tenant.id, "messages": list(message_ids)})).all()
