"""What the journal needs done regularly: partitions made ahead, old messages, answers and counts forgotten."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, text

from rollcall.functions import qualified
from rollcall.journal import answers, outbox
from rollcall.journal.models import RefusedCalls
from rollcall.work import Fleet

MONTHS_AHEAD = 3
KEEP_COUNTS_FOR = timedelta(days=30)


async def keep(fleet: Fleet) -> dict[str, int]:
    """Do all of it. Safe to repeat; returns how much each part did."""
    made = int(
        await fleet.db.scalar(text(qualified("SELECT fn.ensure_audit_partitions(:ahead)")), {"ahead": MONTHS_AHEAD})
        or 0
    )
    counts: Any = await fleet.db.execute(delete(RefusedCalls).where(RefusedCalls.minute < fleet.now - KEEP_COUNTS_FOR))
    return {
        "partitions_made": made,
        "messages_forgotten": await outbox.forget_done(fleet),
        "counts_forgotten": int(counts.rowcount),
        "answers_forgotten": await answers.forget(fleet),
    }
