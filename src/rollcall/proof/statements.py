"""The statements of proof: one function for each function of the database that settles departures."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from rollcall.functions import qualified
from rollcall.work import Work

_SETTLE = text(qualified("SELECT fn.settle_departures(:tenant, CAST(:messages AS uuid[]))"))
_HOLD = text(qualified("SELECT * FROM fn.hold_receipts(:tenant, CAST(:receipts AS uuid[]))"))
_COMPLETE = text(qualified("SELECT fn.complete_receipts(:tenant, CAST(:completed AS jsonb))"))


async def settle_departures(work: Work, message_ids: Collection[UUID]) -> Sequence[UUID]:
    """Write the receipts of deactivations; returns those that this call was the one to settle."""
    given = {"tenant": work.tenant.id, "messages": list(message_ids)}
    return (await work.db.scalars(_SETTLE, given)).all()


async def hold_receipts(work: Work, receipt_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The receipts that can be completed, locked."""
    given = {"tenant": work.tenant.id, "receipts": list(receipt_ids)}
    return (await work.db.execute(_HOLD, given)).all()


async def complete_receipts(work: Work, completed: Sequence[dict[str, Any]]) -> None:
    """Store what receipts say in the end: their ``id``, outcomes and signature."""
    await work.db.execute(_COMPLETE, {"tenant": work.tenant.id, "completed": orjson.dumps(completed).decode()})
