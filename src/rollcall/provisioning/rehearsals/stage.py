"""The stage of a rehearsal: one transaction with a copy of a tenant in it, which is undone whatever happened.

All ways to the database that the SCIM routes know lead into that transaction, and what they take for a transaction of
their own is a savepoint in it. So everything is done as ever, by the same statements, and nobody else ever sees any of
it: no relay, no page, no other tenant. Whatever ends the process ends it too.
"""

from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from rollcall.db import Connection, Database, Row
from rollcall.errors import Conflict
from rollcall.tenancy import copies
from rollcall.turns import Turns
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_fleet

_AS_AT_FIRST = ("RESET ALL", "SET LOCAL ROLE NONE")
"""What the end of a transaction does to settings: a savepoint that is kept keeps what was set in it."""

_TAKE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('rehearsal ' || CAST(:tenant AS text), 0))")


class RehearsalRunning(Conflict):
    """A rehearsal of this tenant is under way."""

    code = "rehearsal_running"
    advice = "Wait a few seconds until it is over, and begin again."

    def __init__(self) -> None:
        super().__init__("A rehearsal is running already. It is over within seconds; begin again then.")


class _Within:
    """A pool whose connections are all the one of the stage, and whose transactions are savepoints in its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetchrow(self, query: str, *args: object, of: Hashable = None) -> Row | None:
        async with self.acquire(of=of) as connection:
            return await connection.fetchrow(query, *args)

    async def fetch(self, query: str, *args: object, of: Hashable = None) -> Sequence[Row]:
        async with self.acquire(of=of) as connection:
            return await connection.fetch(query, *args)

    async def fetchval(self, query: str, *args: object, of: Hashable = None) -> Any:
        async with self.acquire(of=of) as connection:
            return await connection.fetchval(query, *args)

    @asynccontextmanager
    async def acquire(self, *, of: Hashable = None) -> AsyncGenerator[Connection]:  # noqa: ARG002  # whose is known
        async with self._connection.transaction():
            yield self._connection
        await self._connection.execute("; ".join(_AS_AT_FIRST))

    async def close(self) -> None:
        """Nothing is closed here: the stage is."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A database that ends with its rehearsal, and the tenant in it."""

    database: Database
    tenant: TenantRef
    connection: AsyncConnection

    async def turn_back(self) -> None:
        """Give up the rights and settings that work across tenants has left behind."""
        for statement in _AS_AT_FIRST:
            await self.connection.exec_driver_sql(statement)


@asynccontextmanager
async def open_stage(engine: AsyncEngine, tenant: TenantRef, origin: RequestOrigin) -> AsyncGenerator[Stage]:
    """Open a stage for *tenant* on a connection of its own; as the block ends all of it is undone.

    Raises:
        RehearsalRunning: there is one, in this process or another.
    """
    async with engine.connect() as connection:
        try:
            if not await connection.scalar(_TAKE, {"tenant": str(tenant.id)}):
                raise RehearsalRunning
            database = await _leading_into(connection)
            async with open_fleet(database, SYSTEM, origin) as fleet:
                copy = await copies.copied(fleet, tenant)
            stage = Stage(database, copy, connection)
            await stage.turn_back()
            yield stage
            await connection.rollback()  # at once, or the next one meets what PostgreSQL has not undone yet
        finally:
            await connection.invalidate()  # closed, whatever it was in the middle of; PostgreSQL undoes the transaction


async def _leading_into(connection: AsyncConnection) -> Database:
    """Ways to the database that all lead into this connection's transaction."""
    raw = (await connection.get_raw_connection()).driver_connection
    pool = _Within(cast("Connection", raw))
    sessions = async_sessionmaker(
        connection, class_=AsyncSession, expire_on_commit=False, join_transaction_mode="create_savepoint"
    )
    return Database(connection.engine, sessions, pool, pool, Turns(2))
