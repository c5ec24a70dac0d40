"""Behind the application's back: PostgreSQL as the owner of the tables, and who waits for whom there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall.db import Connection


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    """A connection of our own, whose transactions nobody else sees the inside of."""
    connection = cast("Connection", await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    finally:
        await connection.close()


async def until_waiting(watcher: Connection, task: "asyncio.Task[Any]") -> None:
    """Return once *task*'s statement waits for somebody's lock; fail if it ends without."""
    async with asyncio.timeout(60):
        while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not task.done(), f"it did not wait: {task}"
            await asyncio.sleep(0.005)


async def tables_with(watcher: Connection, text: str) -> list[str]:
    """Every table in which *text* stands in any column of any row."""
    names = await watcher.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    )
    pattern = f"%{text}%"
    return [
        name["relname"]
        for name in names
        if await watcher.fetchval(f'SELECT count(*) FROM "{name["relname"]}" t WHERE t::text ILIKE $1', pattern)
    ]
