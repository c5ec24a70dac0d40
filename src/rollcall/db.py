"""PostgreSQL: the base every table stands on, the engine for management work, the pool for the hot paths."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types; the protocols below say what we use
from advanced_alchemy.base import DefaultBase
from advanced_alchemy.config import (
    AlembicAsyncConfig,
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from rollcall.pool import HotPool
from rollcall.settings import Settings, migrations_folder

RUNTIME_ROLE = "rollcall_runtime"
"""The database role that serves: row-level security binds it to one tenant at a time."""

FLEET_ROLE = "rollcall_fleet"
"""The narrow role for work across tenants; the running user steps into it for one transaction."""


DatabaseError = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the hot paths' driver raises when the server is away or refuses."""


_errors = cast("Any", asyncpg)
Overtaken: tuple[type[Exception], ...] = (
    _errors.DeadlockDetectedError,
    _errors.SerializationError,
    _errors.UniqueViolationError,
    _errors.ForeignKeyViolationError,
)
"""Somebody else was quicker, and nothing was done: whoever looks again sees what they did."""


class Row(Protocol):
    """A row of the hot paths, read by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Connection(Protocol):
    """One connection of the hot paths."""

    async def fetchrow(self, query: str, *args: object) -> Row | None: ...
    async def fetch(self, query: str, *args: object) -> Sequence[Row]: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def execute(self, query: str, *args: object) -> str: ...
    async def executemany(self, command: str, args: Sequence[Sequence[object]]) -> None: ...
    def transaction(self) -> AbstractAsyncContextManager[object]: ...
    async def close(self) -> None: ...


class Pool(Protocol):
    """The pool of the hot paths: each call is one statement in a transaction of its own."""

    async def fetchrow(self, query: str, *args: object) -> Row | None: ...
    async def fetch(self, query: str, *args: object) -> Sequence[Row]: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...
    async def close(self) -> None: ...


class Base(DefaultBase):
    """The base of every table."""

    __abstract__ = True


async def fetchrow_again(pool: Pool, query: str, *args: object) -> Row | None:
    """Run a statement that is a transaction of its own, and once more each time it was overtaken.

    Raises:
        Exception: one of `Overtaken`, five times in a row.
    """
    for _ in range(4):
        try:
            return await pool.fetchrow(query, *args)
        except Overtaken:
            continue
    return await pool.fetchrow(query, *args)


@dataclass(frozen=True, slots=True)
class Database:
    """Both ways to PostgreSQL: *sessions* for management work, *pool* for single hot statements."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    pool: Pool

    async def close(self) -> None:
        """Give all connections back."""
        await self.pool.close()
        await self.engine.dispose()


LONGEST_STATEMENT = 120.0
"""Seconds that a statement of management work may take; a connection that died without a word is given up by then."""


def alchemy_config(url: str, *, pool_size: int = 4, longest_statement: float | None = None) -> SQLAlchemyAsyncConfig:
    """advanced-alchemy's configuration for *url* (``postgresql://…``)."""
    return SQLAlchemyAsyncConfig(
        connection_string=url.replace("postgresql://", "postgresql+asyncpg://", 1),
        engine_config=EngineConfig(
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"command_timeout": longest_statement},
        ),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        alembic_config=AlembicAsyncConfig(
            script_location=str(migrations_folder()), version_table_name="alembic_version", compare_type=True
        ),
    )


def unopened(settings: Settings) -> Database:
    """Both ways to the database as the running role; each connects when it is first used."""
    url = settings.database_url.get_secret_value()
    config = alchemy_config(
        url, pool_size=max(2, settings.database_pool_size // 2), longest_statement=LONGEST_STATEMENT
    )
    pool = HotPool(url, settings.database_pool_size)
    engine = config.get_engine()
    return Database(engine, async_sessionmaker(engine, expire_on_commit=False), cast("Pool", pool))


async def connect(settings: Settings) -> Database:
    """Open both ways to the database as the running role.

    Raises:
        OSError, asyncpg.PostgresError: the server can't be reached or refuses the role.
    """
    database = unopened(settings)
    async with database.pool.acquire():
        pass  # whoever connects learns at once whether it is possible
    return database
