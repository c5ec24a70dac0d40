"""Redis or Valkey: one way to reach it, that never waits long; and by which names processes know each other there."""

from collections.abc import Sequence
from typing import Any, cast

from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from rollcall.settings import Settings

REVOCATION = "revocation"
"""The queue of what follows a departure; nothing else goes into it."""

HOUSEKEEPING = "housekeeping"
"""The queue of what the clock asks for."""

DELIVERY = "delivery"
"""The queue of what destinations are told."""

DELIVERY_SLOW = "delivery-slow"
"""The queue of destinations whose last calls failed, so that those may be given processes of their own."""

QUEUES = (REVOCATION, HOUSEKEEPING, DELIVERY, DELIVERY_SLOW)
"""Every queue; a worker that takes from one is known by the queue's name."""

RELAY = "relay"
BEAT = "beat"

HEARTBEAT_SECONDS = 15
"""How long a process counts as alive after it has said so; it says so more often."""

SLOW_HEARTBEAT_SECONDS = 90
"""The same for beat, which sleeps longer."""

UNBELIEVED = "rollcall:unbelieved-proxy"
"""Names the address of a peer inside one's own network that sent ``X-Forwarded-For`` and is no trusted proxy."""


def connect(settings: Settings, *, patience: float = 0.5) -> Redis:
    """A client that gives up after *patience* seconds, both to connect and to answer. It connects when first used."""
    from_url = cast("Any", Redis.from_url)  # pyright: ignore[reportUnknownMemberType]  # its keywords have no types
    return cast(
        "Redis",
        from_url(settings.redis_url.get_secret_value(), socket_timeout=patience, socket_connect_timeout=patience),
    )


def connect_blocking(settings: Settings, *, patience: float = 0.3) -> BlockingRedis:
    """The same for a process that has no event loop."""
    from_url = cast("Any", BlockingRedis.from_url)  # pyright: ignore[reportUnknownMemberType]  # as above
    return cast(
        "BlockingRedis",
        from_url(settings.redis_url.get_secret_value(), socket_timeout=patience, socket_connect_timeout=patience),
    )


def heartbeat(name: str) -> str:
    """The key whose being there says that such a process lives."""
    return f"rollcall:alive:{name}"


async def missing(redis: Redis, names: Sequence[str]) -> Sequence[str]:
    """Those of *names* of which no process has said lately that it lives."""
    found: Any = await cast("Any", redis.mget([heartbeat(name) for name in names]))
    return [name for name, said in zip(names, found, strict=True) if said is None]
