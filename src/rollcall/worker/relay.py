"""The relay: takes what is due from the outbox and hands it to Celery. It runs outside any request.

Any number of relays may run; each takes other messages. When the broker is away the messages are given back and wait
in PostgreSQL; when the database is away the relay waits for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import broker, db
from rollcall.db import Database
from rollcall.journal import outbox
from rollcall.journal.outbox import Leased
from rollcall.settings import Settings
from rollcall.work import SYSTEM, Origin, open_fleet
from rollcall.worker.app import REVOCATION, make_celery
from rollcall.worker.tasks import LISTENERS

log = structlog.get_logger(__name__)

BATCH = 100
HEARTBEAT_KEY = "rollcall:relay"
HEARTBEAT_SECONDS = 15
_ORIGIN = Origin(request_id="relay")


async def relay(settings: Settings, stop: asyncio.Event) -> None:
    """Hand messages over until *stop* is set."""
    celery = make_celery(settings, publishing=True)
    redis = broker.connect(settings)
    database: Database | None = None
    try:
        while not stop.is_set():
            try:
                database = database or await db.connect(settings)
                handed = await hand_over(database, celery, lease_seconds=settings.outbox_lease_seconds)
            except (SQLAlchemyError, OSError, *db.DatabaseError) as error:
                log.warning("the database is away; waiting for it", error=str(error))
                handed = 0
            with suppress(RedisError, OSError):
                await redis.set(HEARTBEAT_KEY, "alive", ex=HEARTBEAT_SECONDS)
            if handed < BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), settings.outbox_poll_seconds)
    finally:
        await redis.aclose()
        if database is not None:
            await database.close()


async def hand_over(database: Database, celery: Any, *, lease_seconds: float) -> int:
    """Lease a batch, publish what somebody listens to, and settle the rest. Returns how many were taken."""
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        leased = await outbox.lease(fleet, limit=BATCH, seconds=lease_seconds)
        await outbox.settle_at_once(fleet, [message for message in leased if message.topic not in LISTENERS])
    wanted = [message for message in leased if message.topic in LISTENERS]
    unsent: Sequence[Leased] = await asyncio.to_thread(_publish, celery, wanted) if wanted else ()
    if not unsent:
        return len(leased)
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        await outbox.give_back(fleet, unsent)
    return 0


def _publish(celery: Any, messages: Sequence[Leased]) -> Sequence[Leased]:
    """Hand messages to the broker; returns those it would not take. It is not asked again after the first no."""
    celery.set_default()
    for position, message in enumerate(messages):
        try:
            celery.send_task(
                LISTENERS[message.topic],
                args=[str(message.tenant_id), str(message.id), message.request_id],
                queue=REVOCATION,
            )
        except (OperationalError, RedisError, OSError) as error:
            log.warning("the broker is away; messages wait in the outbox", waiting=len(messages), error=str(error))
            return messages[position:]
    return []
