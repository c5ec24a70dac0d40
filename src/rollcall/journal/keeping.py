"""Housekeeping, a part at a time: who does it now, how it ended last, and whether that was too long ago.

Whoever holds a part's lease does it, so any number of beats do no harm. A lease is kept in a table and no lock, because
a part is many short transactions, and a pooler keeps no lock from one to the next.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import structlog
from sqlalchemy import text

from rollcall import functions
from rollcall.db import Database, Pool
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

log = structlog.get_logger(__name__)

ORIGIN: Final = RequestOrigin(request_id="keep house")

LEASE_SECONDS: Final = 1900.0
"""How long a part is somebody's: longer than the task that does them all may take; who was killed is waited for."""

LATE: Final = timedelta(hours=3)
"""So long after it was last done, which is tried every hour, a part is late."""

AT_ONCE: Final = 5000
"""Rows that are deleted in one transaction."""

LONGEST: Final = 120.0
"""Seconds after which a part begins no further batch: the rest is for the next hour, and the next part's turn comes."""

_until: ContextVar[float] = ContextVar("until", default=math.inf)
"""When the part that is being done begins no further batch, by the loop's clock."""


class Part(StrEnum):
    """What is done regularly, in this order: what all writes hang on comes first, what takes long comes last."""

    PARTITIONS = "partitions"
    RECEIPTS = "receipts"
    ANSWERS = "answers"
    COUNTS = "counts"
    MESSAGES = "messages"
    DESTINATIONS = "destinations"
    PAYMENT = "payment"
    MARKS = "marks"
    SESSIONS = "sessions"
    CREDENTIALS = "credentials"
    CASES = "cases"
    ALERTS = "alerts"
    RETENTION = "retention"


Did = Mapping[str, int]
"""How much was done, by what it was."""

_BEGIN = text("""
    INSERT INTO housekeeping AS h (part, leased_until, leased_by)
    VALUES (:part, clock_timestamp() + make_interval(secs => :seconds), :by)
    ON CONFLICT (part) DO UPDATE SET leased_until = excluded.leased_until, leased_by = excluded.leased_by
     WHERE h.leased_until IS NULL OR h.leased_until < clock_timestamp()
    RETURNING part
""")
_END = text("""
    UPDATE housekeeping SET leased_until = NULL, leased_by = NULL, done_at = clock_timestamp(),
                            did = CAST(:did AS jsonb), failed_at = NULL, error = NULL
     WHERE part = :part AND leased_by = :by
""")
_FAIL = text("""
    UPDATE housekeeping SET leased_until = NULL, leased_by = NULL, failed_at = clock_timestamp(), error = :error
     WHERE part = :part AND leased_by = :by
""")
_LOOK = """
SELECT p.part, h.done_at, h.did, h.error, clock_timestamp() AS now,
       coalesce(h.done_at, (SELECT installed_at FROM function_schemas WHERE name = $2)) AS since
  FROM unnest($1::text[]) WITH ORDINALITY AS p (part, place) LEFT JOIN housekeeping h USING (part)
 ORDER BY p.place
"""


async def keep(database: Database, part: Part, do: Callable[[], Awaitable[Did]]) -> Did | None:
    """Do a part, unless somebody else is doing it, and write down how it ended; returns None if it was not done here.

    Raises:
        Exception: whatever *do* raised, once that is written down.
    """
    by = uuid4()
    if not await _begin(database, part, by):
        log.info("somebody else keeps this part of the house", part=part.value)
        return None
    token = _until.set(asyncio.get_running_loop().time() + LONGEST)
    try:
        did = await do()
    except asyncio.CancelledError:
        await _write(database, _FAIL, part, by, error="it was ended before it was done; it goes on in the next hour")
        raise
    except Exception as error:
        await _write(database, _FAIL, part, by, error=f"{type(error).__name__}: {error}"[:2000])
        raise
    finally:
        _until.reset(token)
    await _write(database, _END, part, by, did=orjson.dumps(did).decode())
    return did


async def in_batches(database: Database, statement: Any, facts: Mapping[str, object] | None = None) -> int:
    """Run a statement that deals with ``:limit`` rows at most and returns how many, until few are left.

    Each time is a transaction of its own, so nobody waits long for what it has locked. When the part has taken long the
    rest is left. Returns how many rows there were.
    """
    total = 0
    while True:
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            done = int(await fleet.db.scalar(statement, {**(facts or {}), "limit": AT_ONCE}) or 0)
        total += done
        if done < AT_ONCE:
            return total
        if asyncio.get_running_loop().time() >= _until.get():
            log.warning("more is left for the next hour", done=total)
            return total


@dataclass(frozen=True, slots=True)
class LatePart:
    """A part that was not done for too long: since when, and what its last try ended with, if that failed."""

    part: str
    since: datetime
    error: str | None


async def late(pool: Pool) -> Sequence[LatePart]:
    """The parts that are late. One that was never done counts from when this version was installed."""
    rows = await pool.fetch(_LOOK, [part.value for part in Part], functions.schema())
    return [
        LatePart(row["part"], row["since"], row["error"])
        for row in rows
        if is_late(row["since"] or datetime.min.replace(tzinfo=UTC), row["now"])
    ]


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A part as it was done last: when, how much, and what the last try ended with, if that failed."""

    part: str
    done_at: datetime | None
    did: Did
    error: str | None
    is_late: bool


async def parts(pool: Pool) -> Sequence[KeptPart]:
    """Every part, in the order in which they are done."""
    rows = await pool.fetch(_LOOK, [part.value for part in Part], functions.schema())
    return [
        KeptPart(
            row["part"],
            row["done_at"],
            orjson.loads(row["did"] or "{}"),
            row["error"],
            is_late(row["since"] or datetime.min.replace(tzinfo=UTC), row["now"]),
        )
        for row in rows
    ]


def is_late(since: datetime, now: datetime) -> bool:
    """Whether what was done at *since* should have been done again by *now*."""
    return now - since > LATE


async def _begin(database: Database, part: Part, by: UUID) -> bool:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        facts = {"part": part.value, "seconds": LEASE_SECONDS, "by": by}
        return await fleet.db.scalar(_BEGIN, facts) is not None


async def _write(database: Database, statement: Any, part: Part, by: UUID, **facts: object) -> None:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await fleet.db.execute(statement, {"part": part.value, "by": by, **facts})
