"""How what a process stands on is doing: PostgreSQL with current tables, and the broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from weakref import WeakSet

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall import catalogue, installing
from rollcall.db import DatabaseError, Pool
from rollcall.journal import keeping, writing
from rollcall.journal.keeping import LatePart

PATIENCE: Final = 2.0
"""Seconds that the database has for all that readiness asks it."""


class DatabaseState(StrEnum):
    """What the database can do for us."""

    OK = "ok"
    BEHIND = "behind"
    """It answers, and the functions of this version are missing: it was not migrated by it."""
    EDITED = "edited"
    """It was made by a version that this one can't go on from; only an empty database helps."""
    UNWRITABLE = "unwritable"
    """It answers, and takes no writes: its disk is full, or it is read-only."""
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of this version's tables. One that is none of these is a newer version's."""

    newest: str
    older: frozenset[str]


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
    late: Sequence[LatePart] = ()
    """What should have been done regularly and was not; everybody is served all the same."""

    @property
    def able(self) -> bool:
        """Whether requests can be served."""
        return self.database is DatabaseState.OK


async def look(pool: Pool, redis: Redis, revisions: Revisions, *, patience: float | None = None) -> Health:
    """Ask both, side by side; answers within three seconds whatever has become of them.

    Who can wait gives the database ``patience`` seconds instead: a busy one is not taken for one that is away.

    A database that a newer version has migrated goes on serving this one as long as its functions are there.
    """
    (database, revision, because), broker = await asyncio.gather(
        _ask_database(pool, revisions, patience or PATIENCE), _ask_broker(redis)
    )
    late = await _ask_late(pool) if database is DatabaseState.OK else ()
    return Health(database, revision, broker, because, late)


async def _ask_database(pool: Pool, revisions: Revisions, patience: float) -> tuple[DatabaseState, str | None, str]:
    try:
        async with asyncio.timeout(patience):
            revision: str | None = await pool.fetchval("SELECT version_num FROM alembic_version")
            if revision == catalogue.FOUNDATION and not await _as_frozen(pool):
                return DatabaseState.EDITED, revision, ""
            if revision in revisions.older or await installing.is_missing(pool):
                return DatabaseState.BEHIND, revision, ""
            because = await writing.refusal(pool)
    except asyncpg.UndefinedTableError:
        return DatabaseState.BEHIND, None, ""
    except Exception:  # whatever keeps the database from answering, the answer is the same
        return DatabaseState.AWAY, None, ""
    return (DatabaseState.OK, revision, "") if because is None else (DatabaseState.UNWRITABLE, revision, because)


async def _ask_late(pool: Pool) -> Sequence[LatePart]:
    try:
        async with asyncio.timeout(1):
            return await keeping.late(pool)
    except (OSError, TimeoutError, *DatabaseError):  # it served a moment ago, and whoever asks next is told
        return ()


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
