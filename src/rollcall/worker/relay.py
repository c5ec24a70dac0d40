"""The relay: fans messages out to destinations and hands what is due to Celery. It runs outside any request.

Any number of relays may run; each leases other messages and destinations. When the broker is away the leases are given
back, and the backlog waits in PostgreSQL; when the database is away the relay waits for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import structlog
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import broker, db, installing, metrics
from rollcall.broker import DELIVERY, DELIVERY_SLOW, HEARTBEAT_SECONDS, HOUSEKEEPING, RELAY, REVOCATION
from rollcall.db import Database
from rollcall.directory import role_changes
from rollcall.directory.role_changes import LeasedChange
from rollcall.events import fanout
from rollcall.events.fanout import LeasedDestination
from rollcall.events.lag import lag
from rollcall.journal import outbox
from rollcall.journal.outbox import Leased
from rollcall.settings import Settings
from rollcall.waiting import Reminder
from rollcall.work import SYSTEM, RequestOrigin, open_fleet
from rollcall.worker.app import make_celery
from rollcall.worker.tasks import BRING_ROLES, DELIVER, LISTENERS

log = structlog.get_logger(__name__)

BATCH = 200
"""Departures, or destinations, that are leased at a time."""
TOGETHER = 50
"""Departures of a tenant that are settled together."""
QUEUED_AT_MOST = 100
"""Tasks of departures in the broker from which on it is given no more; others wait in PostgreSQL. Those whose lease ran
out in the broker would be published again, and whoever left after them would wait behind both."""
FAN_OUT_BATCH = 500
FORGET_TASKS_AFTER = 300.0
"""Seconds after which a task need not begin: others were published since. Clocks may differ by less."""
LOOK_SECONDS = 15.0
"""How often a relay asks for the backlog, for its figures."""
START_POSTGRESQL = "start PostgreSQL, or correct ROLLCALL_DATABASE_URL"
START_BROKER = "start Redis or Valkey, or correct ROLLCALL_REDIS_URL"
_ORIGIN = RequestOrigin(request_id="relay")


async def relay(settings: Settings, stop: asyncio.Event) -> None:
    """Hand messages over until *stop* is set."""
    celery = make_celery(settings, publishing=True)
    redis = broker.connect(settings)
    database = db.unopened(settings, long_work=True)
    log.info("relaying")
    try:
        async with installing.reported(database.pool):
            await _rounds(database, celery, redis, settings, stop)
    finally:
        await redis.aclose()
        await database.close()


async def _rounds(database: Database, celery: Any, redis: Redis, settings: Settings, stop: asyncio.Event) -> None:
    away = Reminder(log, over="the database is there")
    broker_away = Reminder(log, over="the broker is there")
    look_at = 0.0
    while not stop.is_set():
        try:
            handed = await hand_over(database, celery, redis, settings, broker_away)
            if (now := asyncio.get_running_loop().time()) >= look_at:
                look_at = now + LOOK_SECONDS
                async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
                    metrics.figures().lag = await lag(fleet)
            away.over()
        except (SQLAlchemyError, OSError, *db.DatabaseError) as error:
            away.say("the database is away; waiting for it", error=str(error), remedy=START_POSTGRESQL)
            metrics.figures().rounds.labels("database_away").inc()
            handed = 0
        with suppress(RedisError, OSError):
            await redis.set(broker.heartbeat(RELAY), "alive", ex=HEARTBEAT_SECONDS)
        if handed < BATCH:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), settings.outbox_poll_seconds)


@dataclass(frozen=True, slots=True)
class _Call:
    """A task to publish, and what was leased for it."""

    task: str
    arguments: tuple[object, ...]
    queue: str
    leased: Sequence[Leased] | LeasedDestination | LeasedChange
    expires: float
    """Seconds; later than that nobody needs to begin it."""


async def hand_over(database: Database, celery: Any, redis: Redis, settings: Settings, broker_away: Reminder) -> int:
    """Fan new messages out, then publish tasks: for departures to settle, destinations to look after, roles to bring.

    Returns how much was done, or 0 when the broker is away: then nothing stays leased.
    """
    seconds = settings.outbox_lease_seconds
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        fanned_out = await fanout.fan_out(fleet, limit=FAN_OUT_BATCH, handled=LISTENERS)
    queued = await _queued(redis, broker_away)
    if queued is None:
        metrics.figures().rounds.labels("broker_away").inc()
        return 0
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        departures = await outbox.lease(fleet, limit=BATCH if queued < QUEUED_AT_MOST else 0, seconds=seconds)
        destinations = await fanout.lease(fleet, limit=BATCH, seconds=seconds)
        changes = await role_changes.lease(fleet)
    calls = [_settling(those, seconds) for those in _together(departures)]
    calls += [_delivering(each, seconds) for each in destinations]
    calls += [_bringing(each, seconds) for each in changes]
    unsent: Sequence[_Call] = await asyncio.to_thread(_publish, celery, calls, broker_away) if calls else ()
    for call in calls[: len(calls) - len(unsent)]:
        metrics.figures().handed_over.labels(call.queue).inc()
    metrics.figures().rounds.labels("broker_away" if unsent else "well").inc()
    if not unsent:
        metrics.figures().last_round.set_to_current_time()
        return max(fanned_out, len(departures), len(destinations))
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        for call in unsent:
            match call.leased:
                case LeasedDestination():
                    await fanout.give_back(fleet, [call.leased])
                case LeasedChange(tenant_id):
                    await role_changes.release(fleet, tenant_id)
                case messages:
                    await outbox.give_back(fleet, messages)
    return 0


async def _queued(redis: Redis, away: Reminder) -> int | None:
    """How many tasks of departures wait in the broker; ``None`` when it is away."""
    try:
        # The client types the answer of its two kinds together.
        queued: Any = await cast("Any", redis.llen(REVOCATION))
    except (RedisError, OSError) as error:
        away.say("the broker is away; what is due waits", error=str(error), remedy=START_BROKER)
        return None
    away.over()
    return int(queued)


def _together(messages: Sequence[Leased]) -> Sequence[Sequence[Leased]]:
    """Departures in batches, each of one tenant, in the order in which the tenants come."""
    tenants: dict[tuple[UUID, str], list[Leased]] = {}
    for message in messages:
        tenants.setdefault((message.tenant_id, message.topic), []).append(message)
    return [those[first : first + TOGETHER] for those in tenants.values() for first in range(0, len(those), TOGETHER)]


def _settling(messages: Sequence[Leased], seconds: float) -> _Call:
    departures = [(str(message.id), message.request_id) for message in messages]
    arguments = (str(messages[0].tenant_id), departures)
    return _Call(LISTENERS[messages[0].topic], arguments, REVOCATION, messages, max(seconds, FORGET_TASKS_AFTER))


def _delivering(destination: LeasedDestination, seconds: float) -> _Call:
    queue = DELIVERY_SLOW if destination.failing else DELIVERY
    arguments = (str(destination.owner_id), str(destination.id))
    return _Call(DELIVER, arguments, queue, destination, max(seconds, FORGET_TASKS_AFTER))


def _bringing(change: LeasedChange, seconds: float) -> _Call:
    arguments = (str(change.tenant_id), change.request_id)
    return _Call(BRING_ROLES, arguments, HOUSEKEEPING, change, seconds)


def _publish(celery: Any, calls: Sequence[_Call], away: Reminder) -> Sequence[_Call]:
    """Hand tasks to the broker; returns those it would not take. It is not asked again after the first no."""
    celery.set_default()
    for position, call in enumerate(calls):
        try:
            celery.send_task(call.task, args=list(call.arguments), queue=call.queue, expires=call.expires)
        except (OperationalError, RedisError, OSError) as error:
            away.say("the broker is away; what is due waits", error=str(error), remedy=START_BROKER)
            return calls[position:]
    return []
