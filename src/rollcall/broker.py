"""Redis or Valkey: one way to reach it, that never waits long."""

from typing import Any, cast

from redis.asyncio import Redis

from rollcall.settings import Settings


def connect(settings: Settings, *, patience: float = 0.5) -> Redis:
    """A client that gives up after *patience* seconds, both to connect and to answer. It connects when first used."""
    from_url = cast("Any", Redis.from_url)  # pyright: ignore[reportUnknownMemberType]  # its keywords have no types
    return cast(
        "Redis",
        from_url(settings.redis_url.get_secret_value(), socket_timeout=patience, socket_connect_timeout=patience),
    )
