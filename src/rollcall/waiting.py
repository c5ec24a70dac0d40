"""Waiting for the database, the same way in every process: said at once, then once a minute, until it is there."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import structlog

from rollcall import db, revisions
from rollcall.functions import schema
from rollcall.settings import Settings

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at what is waited for."""
PATIENCE = 5.0
"""Seconds the database has for the answer to one look."""
SAY_SECONDS = 60.0
"""Between two lines that say the same."""


class Reminder:
    """Says what is missing: at once, then once a minute for as long as it stays so, and once that it is over."""

    def __init__(self, logger: Any, *, over: str) -> None:
        self._log = logger
        self._over = over
        self._event: str | None = None
        self._since = self._said = 0.0

    def say(self, event: str, **facts: object) -> None:
        """Log *event* with *facts*, unless it was logged within the last minute and nothing else since."""
        now = time.monotonic()
        if self._event is None:
            self._since = now
        if event != self._event or now - self._said >= SAY_SECONDS:
            self._event, self._said = event, now
            self._log.warning(event, **facts, waited_seconds=round(now - self._since))

    def over(self) -> None:
        """Log that it is over, if anything had been said."""
        if self._event is not None:
            self._event = None
            self._log.info(self._over, waited_seconds=round(time.monotonic() - self._since))


async def for_tables(settings: Settings, stop: asyncio.Event | None = None) -> bool:
    """Wait until the database answers the running role with what this version needs; False: *stop* came first.

    Raises:
        RoleUnbound: the role is none that keeps tenants apart.
    """
    stop = stop or asyncio.Event()
    reminder = Reminder(log, over="the database is there")
    while not await _is_migrated(settings, reminder):
        if await _stopped(stop):
            return False
    reminder.over()
    return not stop.is_set()


async def for_servers(settings: Settings, stop: asyncio.Event | None = None) -> bool:
    """Wait until the database lets both roles in, whatever it holds; False: *stop* came first."""
    stop = stop or asyncio.Event()
    reminder = Reminder(log, over="the database is there")
    for name in ("database_url", "migration_database_url"):
        while not await _lets_in(settings, name, reminder):
            if await _stopped(stop):
                return False
    reminder.over()
    return not stop.is_set()


async def _stopped(stop: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
    return stop.is_set()


async def _is_migrated(settings: Settings, reminder: Reminder) -> bool:
    try:
        if unbound := await _ask(settings, "database_url", db.UNBOUND):
            raise db.RoleUnbound(unbound)
        ready: bool = await _ask(settings, "database_url", f"SELECT to_regnamespace('{schema()}') IS NOT NULL")
        stands: str | None = await _ask(settings, "database_url", "SELECT version_num FROM alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        ready, stands = False, None
    except (OSError, TimeoutError, *db.DatabaseError) as error:
        _say_away(reminder, "database_url", error)
        return False
    if ready:
        return True
    remedy = "run 'rollcall migrate' of this version, or start the version that the database was migrated by"
    needs = revisions.newest()
    reminder.say("the database is not migrated; waiting for it", stands=stands, needs=needs, remedy=remedy)
    return False


async def _lets_in(settings: Settings, name: str, reminder: Reminder) -> bool:
    if getattr(settings, name) is None:
        return True
    try:
        await _ask(settings, name, "SELECT 1")
    except (OSError, TimeoutError, *db.DatabaseError) as error:
        _say_away(reminder, name, error)
        return False
    return True


async def _ask(settings: Settings, name: str, question: str) -> Any:
    driver: Any = asyncpg
    async with asyncio.timeout(PATIENCE):
        # By name a pooler may lose the question.
        connection = await driver.connect(getattr(settings, name).get_secret_value(), statement_cache_size=0)
    try:
        return await connection.fetchval(question, timeout=PATIENCE)
    finally:
        connection.terminate()


def _say_away(reminder: Reminder, name: str, error: BaseException) -> None:
    remedy = f"start PostgreSQL, or correct ROLLCALL_{name.upper()}"
    said = str(error) or type(error).__name__
    reminder.say("the database is away; waiting for it", error=said, remedy=remedy)
