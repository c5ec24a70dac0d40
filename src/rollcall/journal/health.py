"""How what a process stands on is doing: PostgreSQL with current tables, and the broker."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall.db import Pool


class Standing(StrEnum):
    """What the database can do for us."""

    OK = "ok"
    BEHIND = "behind"
    """It answers, and its tables are not the ones that this version needs."""
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Health:
    """What a look found."""

    database: Standing
    revision: str | None
    """Where the tables stand; ``None`` when there are none, or nobody answered."""
    broker: bool
    """Whether the broker answers. Nothing waits for it: limits are then kept locally and deliveries wait."""

    @property
    def able(self) -> bool:
        """Whether requests can be served."""
        return self.database is Standing.OK


async def look(pool: Pool, redis: Redis, newest: str) -> Health:
    """Ask both, side by side; answers within two seconds whatever has become of them.

    *newest* is the revision that this version's tables have.
    """
    (database, revision), broker = await asyncio.gather(_ask_database(pool, newest), _ask_broker(redis))
    return Health(database, revision, broker)


async def _ask_database(pool: Pool, newest: str) -> tuple[Standing, str | None]:
    try:
        async with asyncio.timeout(2):
            revision: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return Standing.BEHIND, None
    except Exception:  # whatever keeps the database from answering, the answer is the same
        return Standing.AWAY, None
    return (Standing.OK if revision == newest else Standing.BEHIND), revision


async def _ask_broker(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(1):
            await redis.ping()  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]  # typed for both worlds
    except (RedisError, OSError, TimeoutError):
        return False
    return True
