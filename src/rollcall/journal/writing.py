"""Whether PostgreSQL takes writes: tried now and then, as on a full disk all can be read and nothing changed."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import structlog

from rollcall.db import Pool, may_be_done
from rollcall.functions import qualified

EVERY: Final = 5.0
"""Seconds from one trial to the next one, however often a process is asked."""

PATIENCE: Final = 1.0
"""Seconds that a trial may take while calls are served.

A slow one says nothing: under load it would take a process away that still serves.
"""

_SAID: Final = {
    "53100": "its disk is full: make room, or enlarge it",
    "25006": "it is read-only: a standby, or default_transaction_read_only is on",
}

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Trial:
    at: float
    refusal: str | None


_trials: WeakKeyDictionary[Pool, _Trial] = WeakKeyDictionary()


async def refusal(pool: Pool) -> str | None:
    """Why PostgreSQL takes no writes, as of the last few seconds; None if it does.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it is away.
    """
    last = _trials.get(pool)
    if last is not None and time.monotonic() - last.at < EVERY:
        return last.refusal
    before = None if last is None else last.refusal
    trial = _trials[pool] = _Trial(time.monotonic(), before)  # who asks meanwhile is told what was known
    try:
        trial.refusal = await refusal_now(pool, patience=PATIENCE)
    except TimeoutError:
        log.warning("a trial of writing took too long", seconds=PATIENCE)
    if trial.refusal != before:
        _say(trial.refusal)
    return trial.refusal


async def refusal_now(pool: Pool, *, patience: float) -> str | None:
    """Why PostgreSQL takes no write at this moment; None if it has taken one.

    Raises:
        TimeoutError: it has not said within ``patience`` seconds.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it is away.
    """
    try:
        async with asyncio.timeout(patience):
            await pool.fetchval(qualified("SELECT fn.try_writing()"))
    except asyncpg.PostgresError as error:
        if may_be_done(error):
            raise
        state = str(getattr(error, "sqlstate", None))
        return _SAID.get(state, f"it refuses them with SQLSTATE {state}")
    return None


def _say(because: str | None) -> None:
    if because is None:
        log.warning("the database takes writes again")
    else:
        log.error("the database takes no writes", because=because)
