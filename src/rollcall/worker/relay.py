"""The relay: fans messages out to destinations and hands what is due to Celery. It runs outside any request.

Any number of relays may run; each takes other messages and destinations. When the broker is away what was taken is
given back and waits in PostgreSQL; when the database is away the relay waits for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import broker, db
from rollcall.db import Database
from rollcall.events import fanout
from rollcall.events.fanout import LeasedDestination
from rollcall.journal import outbox
from rollcall.journal.outbox import Leased
from rollcall.settings import Settings
from rollcall.work import SYSTEM, Origin, open_fleet
from rollcall.worker.app import DELIVERY, DELIVERY_SLOW, REVOCATION, make_celery
from rollcall.worker.tasks import DELIVER, LISTENERS

log = structlog.get_logger(__name__)

BATCH = 100
QUEUED_AT_MOST = 200
"""Departures that wait in the broker; more wait in PostgreSQL. Those whose lease ran out there would be published
again, and whoever left after them would wait behind both."""
FAN_OUT_BATCH = 500
FORGET_TASKS_AFTER = 300.0
"""Seconds after which a task need not begin: others were published since. Clocks may differ by less."""
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
                handed = await hand_over(database, celery, redis, settings)
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


@dataclass(frozen=True, slots=True)
class _Call:
    """A task to publish, and what was leased for it."""

    task: str
    arguments: tuple[str, ...]
    queue: str
    leased: Leased | LeasedDestination
    expires: float
    """Seconds; later than that nobody needs to begin it."""


async def hand_over(database: Database, celery: Any, redis: Redis, settings: Settings) -> int:
    """Fan new messages out, then publish a task for each departure to settle and each destination to look after.

    Returns how much was done, or 0 when the broker is away.
    """
    seconds = settings.outbox_lease_seconds
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        fanned_out = await fanout.fan_out(fleet, limit=FAN_OUT_BATCH, heard=LISTENERS)
    room = await _room(redis)
    if room is None:
        return 0
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        departures = await outbox.lease(fleet, limit=min(BATCH, room), seconds=seconds)
        destinations = await fanout.lease(fleet, limit=BATCH, seconds=seconds)
    calls = [_settling(message, seconds) for message in departures]
    calls += [_delivering(each, seconds) for each in destinations]
    unsent: Sequence[_Call] = await asyncio.to_thread(_publish, celery, calls) if calls else ()
    if not unsent:
        return max(fanned_out, len(calls))
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        await outbox.give_back(fleet, [call.leased for call in unsent if isinstance(call.leased, Leased)])
        await fanout.give_back(fleet, [call.leased for call in unsent if isinstance(call.leased, LeasedDestination)])
    return 0


async def _room(redis: Redis) -> int | None:
    """How many departures the broker may be given now; ``None`` when it is away."""
    try:
        # The client types the answer of its two kinds together.
        queued: Any = await cast("Any", redis.llen(REVOCATION))
    except (RedisError, OSError) as error:
        log.warning("the broker is away; what is due waits", error=str(error))
        return None
    return max(0, QUEUED_AT_MOST - int(queued))


def _settling(message: Leased, seconds: float) -> _Call:
    arguments = (str(message.tenant_id), str(message.id), message.request_id)
    return _Call(LISTENERS[message.topic], arguments, REVOCATION, message, max(seconds, FORGET_TASKS_AFTER))


def _delivering(destination: LeasedDestination, seconds: float) -> _Call:
    queue = DELIVERY_SLOW if destination.failing else DELIVERY
    arguments = (str(destination.owner_id), str(destination.id))
    return _Call(DELIVER, arguments, queue, destination, max(seconds, FORGET_TASKS_AFTER))


def _publish(celery: Any, calls: Sequence[_Call]) -> Sequence[_Call]:
    """Hand tasks to the broker; returns those it would not take. It is not asked again after the first no."""
    celery.set_default()
    for position, call in enumerate(calls):
        try:
            celery.send_task(call.task, args=list(call.arguments), queue=call.queue, expires=call.expires)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("the broker is away; what is due waits", waiting=len(calls) - position, error=str(error))
            return calls[position:]
    return []
