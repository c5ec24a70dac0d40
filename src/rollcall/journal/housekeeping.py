"""What the journal needs done regularly: old messages, answers and counts forgotten, each in small transactions."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.answers import KEEP_FOR, SHOW_SECRETS_FOR
from rollcall.journal.keeping import Did, in_batches

log = structlog.get_logger(__name__)

KEEP_COUNTS_FOR: Final = timedelta(days=30)

KEEP_DONE_FOR: Final = timedelta(days=30)
"""How long a message, with what became of its deliveries, is kept after it was dealt with."""

KEEP_DEAD_FOR: Final = timedelta(days=365)
"""How long a departure that could not be settled waits for somebody to have it replayed; it has no receipt yet."""

_FORGET_COUNTS = text("""
    WITH gone AS (
        DELETE FROM refused_calls WHERE (minute, source) IN (
            SELECT minute, source FROM refused_calls WHERE minute < :before ORDER BY minute, source LIMIT :limit
               FOR UPDATE SKIP LOCKED)
        RETURNING minute)
    SELECT count(*) FROM gone
""")
_FORGET_ANSWERS = text("""
    WITH gone AS (
        DELETE FROM idempotency_keys WHERE (tenant_id, caller_id, name) IN (
            SELECT tenant_id, caller_id, name FROM idempotency_keys WHERE created_at <= :before LIMIT :limit
               FOR UPDATE SKIP LOCKED)
        RETURNING name)
    SELECT count(*) FROM gone
""")
_FORGET_SECRETS = text("""
    WITH gone AS (
        UPDATE idempotency_keys SET whole_answer = NULL WHERE (tenant_id, caller_id, name) IN (
            SELECT tenant_id, caller_id, name FROM idempotency_keys
             WHERE whole_answer IS NOT NULL AND created_at <= :before LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING name)
    SELECT count(*) FROM gone
""")
FORGET_DONE = text(qualified("SELECT fn.forget_done_messages(:before, :limit)"))
"""Of ``:limit`` messages that were dealt with before ``:before``, how many could go, and went."""
_FORGET_DEAD = text(qualified("SELECT fn.forget_dead_messages(:before, :limit)"))


async def forget_counts(database: Database, *, now: datetime | None = None) -> Did:
    """Delete counts of calls that nobody could be named for."""
    before = (now or datetime.now(UTC)) - KEEP_COUNTS_FOR
    return {"counts_forgotten": await in_batches(database, _FORGET_COUNTS, {"before": before})}


async def forget_answers(database: Database, *, now: datetime | None = None) -> Did:
    """Delete answers that are a day old, and of the rest what was shown once ten minutes ago."""
    now = now or datetime.now(UTC)
    secrets = await in_batches(database, _FORGET_SECRETS, {"before": now - SHOW_SECRETS_FOR})
    forgotten = await in_batches(database, _FORGET_ANSWERS, {"before": now - KEEP_FOR})
    return {"secrets_forgotten": secrets, "answers_forgotten": forgotten}


async def forget_messages(database: Database, *, now: datetime | None = None) -> Did:
    """Delete messages that were dealt with a month ago, with their deliveries, and those given up a year ago.

    One that is being replayed stays until that has ended, and one of which a receipt is to say what became of it until
    the receipt is complete.
    """
    now = now or datetime.now(UTC)
    done = await in_batches(database, FORGET_DONE, {"before": now - KEEP_DONE_FOR})
    dead = await in_batches(database, _FORGET_DEAD, {"before": now - KEEP_DEAD_FOR})
    if dead:
        log.warning("departures that could not be settled for a year are forgotten", messages=dead)
    return {"messages_forgotten": done, "dead_messages_forgotten": dead}
