"""Workers and beat say that they live, where the checks look for it.

A worker does so from the process that takes tasks, on the occasion of Celery's own heartbeat: so whoever says it is
connected to the broker. What can't be said is not said; the checks then find nobody.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from celery import signals  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from celery.beat import PersistentScheduler  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from redis import Redis
from redis.exceptions import RedisError

from rollcall import broker
from rollcall.broker import BEAT, HEARTBEAT_SECONDS, SLOW_HEARTBEAT_SECONDS
from rollcall.settings import Settings

_Scheduler: Any = PersistentScheduler


def say_alive(redis: Redis, names: Iterable[str], *, seconds: int) -> None:
    """Say that these live; for *seconds* it is believed."""
    with suppress(RedisError, OSError):
        for name in names:
            redis.set(broker.heartbeat(name), "alive", ex=seconds)


def say_that_worker_lives(settings: Settings, queues: Iterable[str]) -> None:
    """Have this worker say for each of its queues that somebody takes from it, a few times in `HEARTBEAT_SECONDS`."""
    names, redis = tuple(queues), broker.connect_blocking(settings)
    said = 0.0

    def beat(**_: Any) -> None:
        nonlocal said
        if time.monotonic() - said >= HEARTBEAT_SECONDS / 4:
            said = time.monotonic()
            say_alive(redis, names, seconds=HEARTBEAT_SECONDS)

    on: Any = signals
    on.heartbeat_sent.connect(beat, weak=False)


def scheduler_that_says_it_lives(settings: Settings) -> Any:
    """Celery's own scheduler, which says with each round that beat lives."""
    redis = broker.connect_blocking(settings)

    class Scheduler(_Scheduler):
        def tick(self, *arguments: Any, **named: Any) -> float:
            say_alive(redis, [BEAT], seconds=SLOW_HEARTBEAT_SECONDS)
            return cast("float", super().tick(*arguments, **named))  # pyright: ignore[reportUnknownMemberType]  # as above

    return Scheduler
