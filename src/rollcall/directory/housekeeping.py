"""Cases that were closed long ago are forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.keeping import Did, in_batches

KEEP_CLOSED_FOR: Final = timedelta(days=180)
"""How long a case can be looked up after it was closed; open ones stay."""

_FORGET = text(qualified("SELECT fn.forget_cases(:before, :limit)"))


async def forget_cases(database: Database, *, now: datetime | None = None) -> Did:
    """Delete them."""
    before = (now or datetime.now(UTC)) - KEEP_CLOSED_FOR
    return {"cases_forgotten": await in_batches(database, _FORGET, {"before": before})}
