"""The outbox: what has happened and is not dealt with. Leases, attempts and next tries live here, not in the broker.

What destinations subscribe to is fanned out from here into deliveries of their own; a message stays for replays.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import func, select, text, update

from rollcall.journal.models import OutboxMessage
from rollcall.journal.operator_events import OutboxRevived
from rollcall.journal.record import record_for_installation
from rollcall.work import Fleet, Work

GIVE_UP_AFTER = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Leased:
    """A message somebody has been handed for a while."""

    tenant_id: UUID
    id: UUID
    topic: str
    request_id: str
    attempts: int


async def lease(fleet: Fleet, *, limit: int, seconds: float) -> Sequence[Leased]:
    """Take up to *limit* messages that are fanned out and due, oldest first; they are nobody else's for *seconds*.

    A worker that is killed in the middle simply lets its lease run out, and the message is due again.
    """
    rows = await fleet.db.execute(
        text("""
            WITH due AS (
                SELECT tenant_id, id FROM outbox
                 WHERE done_at IS NULL AND dead_at IS NULL AND fanned_out_at IS NOT NULL
                   AND next_try_at <= clock_timestamp()
                 ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            UPDATE outbox o
               SET attempts = o.attempts + 1, next_try_at = clock_timestamp() + make_interval(secs => :seconds)
              FROM due WHERE o.tenant_id = due.tenant_id AND o.id = due.id
            RETURNING o.tenant_id, o.id, o.topic, o.request_id, o.attempts
        """),
        {"limit": limit, "seconds": seconds},
    )
    leased = [Leased(row.tenant_id, row.id, row.topic, row.request_id, row.attempts) for row in rows]
    return sorted(leased, key=lambda each: each.id)


async def give_back(fleet: Fleet, messages: Sequence[Leased]) -> None:
    """Return leases that could not be handed on, because the broker is away. That is no attempt.

    A lease that ran out and is somebody else's by now stays theirs.
    """
    for message in messages:
        await fleet.db.execute(
            update(OutboxMessage)
            .where(
                OutboxMessage.tenant_id == message.tenant_id,
                OutboxMessage.id == message.id,
                OutboxMessage.attempts == message.attempts,
            )
            .values(next_try_at=func.clock_timestamp() + timedelta(seconds=1), attempts=message.attempts - 1)
        )


async def open_message(work: Work, message_id: UUID) -> OutboxMessage | None:
    """Lock a message to act on it; ``None`` when it has been dealt with, so that acting twice acts once."""
    return await work.db.scalar(
        select(OutboxMessage)
        .where(
            OutboxMessage.tenant_id == work.tenant.id,
            OutboxMessage.id == message_id,
            OutboxMessage.done_at.is_(None),
        )
        .with_for_update()
    )


async def fail(work: Work, message_id: UUID, error: str) -> None:
    """Write down why an attempt failed and when the next one is; after three days the message is dead."""
    message = await open_message(work, message_id)
    if message is None:
        return
    message.last_error = error[:2000]
    now = cast("datetime", await work.db.scalar(select(func.clock_timestamp())))
    if now - message.created_at > GIVE_UP_AFTER:
        message.dead_at = now
    else:
        message.next_try_at = now + backoff(message.attempts, jitter=secrets.randbelow(1000) / 1000)


def backoff(attempts: int, *, jitter: float) -> timedelta:
    """How long to wait after *attempts* failures: 2 s doubling up to an hour, spread by *jitter* (0 to 1)."""
    seconds = min(2.0 ** min(attempts, 12), 3600.0)
    return timedelta(seconds=seconds * (0.75 + 0.5 * jitter))


async def revive(fleet: Fleet) -> int:
    """Have every dead message dealt with again; returns how many there were."""
    result: Any = await fleet.db.execute(
        update(OutboxMessage)
        .where(OutboxMessage.dead_at.is_not(None), OutboxMessage.done_at.is_(None))
        .values(dead_at=None, next_try_at=func.clock_timestamp())
    )
    revived = int(result.rowcount)
    if revived:
        await record_for_installation(fleet, OutboxRevived(messages=revived))
    return revived


@dataclass(frozen=True, slots=True)
class OutboxBacklog:
    """How much is waiting, and since when."""

    waiting: int
    dead: int
    oldest_seconds: float


BACKLOG: Final = """
SELECT (n.number + d.number) AS waiting, dead.number AS dead,
       coalesce(extract(epoch FROM clock_timestamp() - least(n.oldest, d.oldest)), 0) AS oldest
  FROM (SELECT count(*) AS number, min(created_at) AS oldest FROM outbox
         WHERE done_at IS NULL AND dead_at IS NULL AND fanned_out_at IS NULL) n,
       (SELECT count(*) AS number, min(created_at) AS oldest FROM outbox
         WHERE done_at IS NULL AND dead_at IS NULL AND fanned_out_at IS NOT NULL) d,
       (SELECT count(*) AS number FROM outbox WHERE done_at IS NULL AND dead_at IS NOT NULL) dead
"""
"""Each part has an index in which nothing else stands; what is done and kept for a while is most of the table."""


async def backlog(fleet: Fleet) -> OutboxBacklog:
    """Count what is not done yet."""
    row = (await fleet.db.execute(text(BACKLOG))).one()
    return OutboxBacklog(waiting=row.waiting, dead=row.dead, oldest_seconds=float(row.oldest))
