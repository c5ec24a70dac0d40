"""How what a process stands on is doing: PostgreSQL with current tables, and the broker."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakSet

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall import catalogue
from rollcall.db import Pool
from rollcall.journal import writing


class DatabaseState(StrEnum):
    """What the database can do for us."""

    OK = "ok"
    BEHIND = "behind"
    """It answers, and its tables are not the ones that this version needs."""
    EDITED = "edited"
    """It was made by a version that this one can't go on from; only an empty database helps."""
    UNWRITABLE = "unwritable"
    """It answers, and takes no writes: its disk is full, or it is read-only."""
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Health:
    """What a look found."""

    database: DatabaseState
    revision: str | None
    """Where the tables stand; ``None`` when there are none, or nobody answered."""
    broker: bool
    """Whether the broker answers. Nothing waits for it: limits are then kept locally and deliveries wait."""
    because: str = ""
    """Why the database takes no writes, when it takes none."""

    @property
    def able(self) -> bool:
        """Whether requests can be served."""
        return self.database is DatabaseState.OK


async def look(pool: Pool, redis: Redis, newest: str) -> Health:
    """Ask both, side by side; answers within two seconds whatever has become of them.

    *newest* is the revision that this version's tables have.
    """
    (database, revision, because), broker = await asyncio.gather(_ask_database(pool, newest), _ask_broker(redis))
    return Health(database, revision, broker, because)


async def _ask_database(pool: Pool, newest: str) -> tuple[DatabaseState, str | None, str]:
    try:
        async with asyncio.timeout(2):
            revision: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
            if revision == catalogue.FOUNDATION and not await _as_frozen(pool):
                return DatabaseState.EDITED, revision, ""
            if revision != newest:
                return DatabaseState.BEHIND, revision, ""
            because = await writing.refusal(pool)
    except asyncpg.UndefinedTableError:
        return DatabaseState.BEHIND, None, ""
    except Exception:  # whatever keeps the database from answering, the answer is the same
        return DatabaseState.AWAY, None, ""
    return (DatabaseState.OK, revision, "") if because is None else (DatabaseState.UNWRITABLE, revision, because)


_looked_into: WeakSet[Pool] = WeakSet()
"""Ways to databases that were made by the first revision as it is frozen; that does not change."""


async def _as_frozen(pool: Pool) -> bool:
    if pool not in _looked_into and not await catalogue.edited(pool):
        _looked_into.add(pool)
    return pool in _looked_into


async def _ask_broker(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(1):
            await redis.ping()  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]  # typed for both worlds
    except (RedisError, OSError, TimeoutError):
        return False
    return True
