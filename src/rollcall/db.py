"""PostgreSQL: the base every table stands on, the engine for management work, the pool for the hot paths."""

import math
import re
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from socket import gaierror
from typing import Any, Protocol, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types; the protocols below say what we use
from advanced_alchemy.base import DefaultBase
from advanced_alchemy.config import (
    AlembicAsyncConfig,
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
)
from sqlalchemy import event, func
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from rollcall.functions import schema
from rollcall.pool import LONGEST_REST, NOT_ASKED, HotPool, dial
from rollcall.settings import Settings, migrations_folder
from rollcall.turns import Crowded, Turns

RUNTIME_ROLE = "rollcall_runtime"
"""The database role that serves: row-level security binds it to one tenant at a time."""

FLEET_ROLE = "rollcall_fleet"
"""The narrow role for work across tenants; the running user steps into it for one transaction."""


fn: Any = getattr(func, schema())
"""This version's functions, in expressions of SQLAlchemy."""


DatabaseError = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the hot paths' driver raises when the server is away or refuses."""


_driver = cast("Any", asyncpg)
Overtaken: tuple[type[Exception], ...] = (
    _driver.DeadlockDetectedError,
    _driver.SerializationError,
    _driver.UniqueViolationError,
    _driver.ForeignKeyViolationError,
)
"""Somebody else was quicker, and nothing was done: whoever looks again sees what they did."""


KEY_ENDED = "RC401"
"""The SQLSTATE of ``still_good``: while a call was under way its key ended, or the profile it is read by changed."""


def has_ended(error: BaseException | None) -> bool:
    """Whether a statement was undone because the key behind it has ended, or the profile it was worked out by."""
    return getattr(error, "sqlstate", None) == KEY_ENDED


# SQLSTATE classes and codes: connections, resources, the server's own files, an operator's act; locks not had,
# deadlocks, serialisation; a server that takes no writes.
_AWAY = re.compile(r"08...|53...|58...|57P0.|57014|55P03|40P01|40001|25006")

# Those with which a connection ends.
_LOST = re.compile(r"08...|57P0.")


WHEN_AWAY = 5
"""Seconds to wait before trying again, where nobody knows how long the database will be away."""

WHEN_BUSY = 1
"""Seconds to wait before trying again, where others were in the way: of a lock, or of a connection."""

_BUSY = re.compile(r"57014|55P03|40P01|40001")


def when_back(exception: BaseException) -> int:
    """Seconds after which trying again may help, of an exception that `is_away`."""
    cause = exception.orig if isinstance(exception, DBAPIError) else exception
    busy = isinstance(cause, Crowded) or _BUSY.fullmatch(str(getattr(cause, "sqlstate", ""))) is not None
    return WHEN_BUSY if busy else WHEN_AWAY


def is_away(exception: BaseException) -> bool:
    """Whether an exception says that the database can't be reached or has no room now, so that trying again helps."""
    if _asked_nothing(exception):
        return True
    if isinstance(exception, DBAPIError):
        cause = exception.orig
        return exception.connection_invalidated or (cause is not None and is_away(cause))
    if isinstance(exception, (ConnectionError, TimeoutError, gaierror, PoolTimeout)):
        return True
    if isinstance(exception, _driver.InterfaceError):
        return "closed" in str(exception)
    return _AWAY.fullmatch(str(getattr(exception, "sqlstate", ""))) is not None


def is_crossed(exception: BaseException) -> bool:
    """Whether others crossed a transaction (a deadlock), so that it was undone whole: doing it again helps."""
    cause = exception.orig if isinstance(exception, DBAPIError) else exception
    return getattr(cause, "sqlstate", None) in ("40P01", "40001")


def may_be_done(exception: BaseException) -> bool:
    """Whether something that failed with this exception may have been done all the same.

    That is so where a statement was sent and nobody knows what became of it: the connection was lost, or the answer
    took too long. What the server refuses it has undone, and what could not be sent was never begun.
    """
    if _asked_nothing(exception) or isinstance(exception, Crowded):
        return False
    if isinstance(exception, DBAPIError):
        cause = exception.orig
        return exception.connection_invalidated or (cause is not None and may_be_done(cause))
    if isinstance(exception, (ConnectionError, TimeoutError)):
        return True
    return _LOST.fullmatch(str(getattr(exception, "sqlstate", ""))) is not None


def _asked_nothing(exception: BaseException) -> bool:
    return NOT_ASKED in getattr(exception, "__notes__", ())


class RoleUnbound(Exception):
    """The running role is one that row-level security does not bind, so no tenant would be safe from another."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f'the running role "{role}" is a superuser, bypasses row-level security or owns the tables: let '
            "ROLLCALL_DATABASE_URL name a role made by CREATE ROLE … LOGIN and nothing more, and run 'rollcall migrate'"
        )


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
    """A pool of connections: each call is one statement in a transaction of its own, *of* the tenant that it names.

    Raises:
        Crowded: that tenant has its share of the connections, and as many of its calls wait as may.
    """

    async def fetchrow(self, query: str, *args: object, of: Hashable = None) -> Row | None: ...
    async def fetch(self, query: str, *args: object, of: Hashable = None) -> Sequence[Row]: ...
    async def fetchval(self, query: str, *args: object, of: Hashable = None) -> Any: ...
    def acquire(self, *, of: Hashable = None) -> AbstractAsyncContextManager[Connection]: ...
    async def close(self) -> None: ...


class Base(DefaultBase):
    """The base of every table."""

    __abstract__ = True


@dataclass(frozen=True, slots=True)
class Database:
    """The ways to PostgreSQL, each with connections of its own."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    """For management work; a turn of `turns` comes first."""
    pool: Pool
    """For single hot statements."""
    access_pool: Pool
    """For what nobody's work may hold up: introspection, sessions of the console, readiness."""
    turns: Turns
    long_work: bool = False
    """Whether transactions here may take as long as `LONG_WORK` says: those of workers and commands."""

    async def close(self) -> None:
        """Give all connections back."""
        await self.pool.close()
        await self.access_pool.close()
        await self.engine.dispose()


LONGEST_STATEMENT = 120.0
"""Seconds that a statement of management work may take; a connection that died without a word is given up by then."""

LONGEST_HERE = 5.0
"""Seconds that a statement of a `lone_engine` may take."""

BOUNDS = {"lock_timeout": "2s", "statement_timeout": "5s", "client_connection_check_interval": "500ms"}
"""What PostgreSQL bounds for the running role, wherever it connects; ``rollcall migrate`` sets it.

A lock is given up later than a deadlock is found (a second), and a statement earlier than its caller gives it up. A
statement whose caller is gone ends, instead of being committed once it has its lock.
"""

LONG_WORK = {"lock_timeout": "10s", "statement_timeout": "110s"}
"""The bounds of long work, for one transaction: what workers and commands do, and edits of a role rule."""

SET_LONG_WORK = "SELECT " + ", ".join(f"set_config('{name}', '{bound}', true)" for name, bound in LONG_WORK.items())


_UNNAMED: dict[str, Any] = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
"""What SQLAlchemy's dialect is told where statements have no names: it keeps none, and calls each by an empty text."""


def alchemy_config(
    url: str, *, pool_size: int = 4, longest_statement: float | None = None, named_statements: bool = True
) -> SQLAlchemyAsyncConfig:
    """advanced-alchemy's configuration for *url* (``postgresql://…``).

    The driver reads the address itself, as it does for the hot paths: SQLAlchemy would take ``sslmode`` for something
    else.
    """

    async def connect(**_: object) -> Any:
        return await dial(url, longest_statement, named_statements=named_statements)

    statements: dict[str, Any] = {} if named_statements else _UNNAMED
    return SQLAlchemyAsyncConfig(
        connection_string="postgresql+asyncpg://",
        engine_config=EngineConfig(
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,
            connect_args={"async_creator_fn": connect, **statements},
        ),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        alembic_config=AlembicAsyncConfig(
            script_location=str(migrations_folder()), version_table_name="alembic_version", compare_type=True
        ),
    )


def _engine(config: SQLAlchemyAsyncConfig) -> AsyncEngine:
    """The engine of a configuration, which lends what the hot paths' pool would: nothing closed, or long unused.

    SQLAlchemy's own look before each transaction is three statements, and a worker's short one has no more than seven.
    """
    engine = config.get_engine()

    def lent(connection: Any, record: Any, _: object) -> None:
        rested = time.monotonic() - record.info.get(_BACK, math.inf)
        if connection.driver_connection.is_closed() or rested > LONGEST_REST:
            raise DisconnectionError

    def back(_: object, record: Any) -> None:
        record.info[_BACK] = time.monotonic()

    event.listen(engine.sync_engine, "checkout", lent)
    event.listen(engine.sync_engine, "checkin", back)
    return engine


_BACK = "back since"
"""The name of when a connection of an engine came back, in what SQLAlchemy keeps of it."""


UNBOUND = """
SELECT rolname FROM pg_roles WHERE rolname = current_user AND (
    rolsuper OR rolbypassrls
    OR EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('users') AND pg_has_role(c.relowner, 'MEMBER')))
"""
"""The running role, if it sees every tenant or could."""


def unopened(
    settings: Settings, *, on_wait: Callable[[float], None] | None = None, long_work: bool = False
) -> Database:
    """The ways to the database as the running role; each connects when it is first used.

    *on_wait* hears for how many seconds a hot statement had to wait for its turn.
    """
    url, size = settings.database_url.get_secret_value(), settings.database_pool_size
    half, share, waiting = max(2, size // 2), settings.database_pool_share, settings.database_pool_waiting
    config = alchemy_config(
        url,
        pool_size=half,
        longest_statement=LONGEST_STATEMENT,
        named_statements=settings.database_named_statements,
    )

    def pool(turns: Turns) -> Pool:
        return cast("Pool", HotPool(url, turns, named_statements=settings.database_named_statements))

    engine = _engine(config)
    return Database(
        engine,
        async_sessionmaker(engine, expire_on_commit=False),
        pool=pool(Turns(size, share, most_waiting=waiting, on_wait=on_wait)),
        access_pool=pool(Turns(half, share, most_waiting=None, on_wait=on_wait)),
        turns=Turns(2 * half, share, most_waiting=waiting),  # as many as the engine lends, its overflow among them
        long_work=long_work,
    )


def lone_engine(settings: Settings) -> AsyncEngine:
    """An engine with a single connection, beside those that calls share; it is opened when it is first used."""
    url, named = settings.database_url.get_secret_value(), settings.database_named_statements
    config = alchemy_config(url, pool_size=1, longest_statement=LONGEST_HERE, named_statements=named)
    return _engine(config)


async def connect(settings: Settings, *, whoever: bool = False) -> Database:
    """Open the ways to the database for long work, as the running role or for a look around as *whoever* it names.

    Raises:
        OSError, asyncpg.PostgresError: the server can't be reached or refuses the role.
        RoleUnbound: the role is none that keeps tenants apart.
    """
    database = unopened(settings, long_work=True)
    async with database.pool.acquire() as connection:  # whoever connects learns at once whether it is possible
        unbound = None if whoever else await connection.fetchval(UNBOUND)
    if unbound:
        await database.close()
        raise RoleUnbound(unbound)
    return database
