"""The functions of this version in a database: installed, reported to be in use, and pruned when nobody uses them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from sqlalchemy import DateTime, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from rollcall import functions
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE, Base, Connection, DatabaseError, Pool

REPORT_SECONDS: Final = 300.0
"""Between two reports of a process that it uses its functions."""

UNUSED_DAYS: Final = 1
"""Days without a report after which a schema of functions is nobody's."""


class FunctionSchema(Base):
    """A schema of functions that was installed, and when a process last said that it uses it."""

    __tablename__ = "function_schemas"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    installed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
    reported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))


_UNUSED = """
SELECT name FROM function_schemas
 WHERE name <> $1 AND reported_at < clock_timestamp() - make_interval(days => $2) ORDER BY name
"""


async def install(owner: Connection) -> bool:
    """Bring this version's functions into a database, for both roles; returns whether they were not there before.

    Nothing that another version has installed is touched. It is all or nothing, and waits for nobody.
    """
    schema = functions.schema()
    async with owner.transaction():
        await owner.execute("SELECT pg_advisory_xact_lock(hashtextextended('rollcall functions', 0))")
        missing = await is_missing(owner)
        if missing:
            await owner.execute(f"CREATE SCHEMA {schema}")
            await owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {RUNTIME_ROLE}, {FLEET_ROLE}")
            await owner.execute("SET LOCAL check_function_bodies = off")  # they stand in no particular order
            await owner.execute(functions.script())
        await owner.execute(
            "INSERT INTO function_schemas (name) VALUES ($1) "
            "ON CONFLICT (name) DO UPDATE SET reported_at = clock_timestamp()",
            schema,
        )
    return missing


async def is_missing(through: Connection | Pool) -> bool:
    """Whether this version's functions are not in the database."""
    return bool(await through.fetchval("SELECT to_regnamespace($1) IS NULL", functions.schema()))


async def report(pool: Pool) -> None:
    """Say that this process uses its version's functions, so that nobody prunes them."""
    await pool.fetchval(
        "UPDATE function_schemas SET reported_at = clock_timestamp() WHERE name = $1 RETURNING true", functions.schema()
    )


async def report_regularly(pool: Pool) -> None:
    """Say so every `REPORT_SECONDS`; what can't be said while the database is away is said later."""
    while True:
        with suppress(OSError, TimeoutError, *DatabaseError):
            await report(pool)
        await asyncio.sleep(REPORT_SECONDS)


@asynccontextmanager
async def reported(pool: Pool) -> AsyncGenerator[None]:
    """Say so for as long as this is open."""
    reporting = asyncio.create_task(report_regularly(pool))
    try:
        yield
    finally:
        reporting.cancel()
        await asyncio.wait([reporting])


async def unused(owner: Connection) -> Sequence[str]:
    """The schemas of functions of other versions, of which no process has said for a day that it uses them."""
    return [row["name"] for row in await owner.fetch(_UNUSED, functions.schema(), UNUSED_DAYS)]


async def prune(owner: Connection) -> Sequence[str]:
    """Remove those schemas; returns their names."""
    names = await unused(owner)
    for name in names:
        async with owner.transaction():
            await owner.execute("SET LOCAL lock_timeout = '5s'")
            await owner.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
            await owner.execute("DELETE FROM function_schemas WHERE name = $1", name)
    return names
