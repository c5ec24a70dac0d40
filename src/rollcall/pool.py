"""The connections of the hot paths: lent for one statement, and taken back as they are.

asyncpg's own pool wraps each connection, shields its return in a task, and sends RESET ALL, CLOSE ALL, UNLISTEN * and
pg_advisory_unlock_all() each time: half of what a look-up by key costs a web process. There is nothing of the kind to
undo here: whatever runs through this pool sets what it sets for its own transaction alone (PgBouncer asks for the
same), and a connection that comes back in the middle of something is closed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall.turns import Turns

LONGEST_STATEMENT = 30.0
"""Seconds that a statement may take."""

LONGEST_CONNECTING = 15.0
"""Seconds that PostgreSQL may take to let somebody in."""

LONGEST_REST = 300.0
"""Seconds after which a connection nobody used is not trusted: something between here and there may have dropped it."""

_driver: Any = asyncpg
_fetchrow: Any = _driver.Connection.fetchrow
_fetch: Any = _driver.Connection.fetch
_fetchval: Any = _driver.Connection.fetchval

NOT_ASKED = "No connection could be made, so PostgreSQL was asked nothing."
"""The note of an exception that came before any statement was sent."""


async def dial(url: str, longest_statement: float | None, *, named_statements: bool = True) -> Any:
    """A new connection, whose statements may take *longest_statement* seconds.

    Without *named_statements* none outlives its transaction, as a pooler by transactions needs it.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: there is none; the exception has the note `NOT_ASKED`.
    """
    try:
        return await _driver.connect(
            url,
            timeout=LONGEST_CONNECTING,
            command_timeout=longest_statement,
            statement_cache_size=100 if named_statements else 0,
        )
    except (OSError, _driver.PostgresError, _driver.InterfaceError) as error:
        error.add_note(NOT_ASKED)
        raise


class HotPool:
    """Up to *size* connections, opened when they are needed; the one used last is used first.

    Whoever asks says whose call it is (*of*), and waits for a turn before anything is lent: so a tenant holds *share*
    of the connections at the most, few of which are always at work, and the others are there for the others.
    """

    def __init__(
        self,
        url: str,
        turns: Turns,
        *,
        named_statements: bool = True,
    ) -> None:
        self._url = url
        self._turns = turns
        self._named_statements = named_statements
        self._idle: list[tuple[Any, float]] = []
        self._clock = asyncio.get_running_loop().time
        self._closed = False

    async def fetchrow(self, query: str, *args: object, of: Hashable = None) -> Any:
        """The first row of an answer; None if it has none."""
        return await self._through(of, _fetchrow, query, args)

    async def fetch(self, query: str, *args: object, of: Hashable = None) -> Sequence[Any]:
        """All rows of an answer."""
        return await self._through(of, _fetch, query, args)

    async def fetchval(self, query: str, *args: object, of: Hashable = None) -> Any:
        """The first column of the first row."""
        return await self._through(of, _fetchval, query, args)

    @asynccontextmanager
    async def acquire(self, *, of: Hashable = None) -> AsyncGenerator[Any]:
        """Lend a connection for several statements.

        Raises:
            Crowded: the tenant has its share, and as many calls wait for it as may.
        """
        async with self._turns.turn(of):
            connection = self._lend() or await self._connected()
            try:
                yield connection
            except (asyncio.CancelledError, TimeoutError):
                connection.terminate()
                raise
            except BaseException:
                self._take_back(connection)
                raise
            self._take_back(connection)

    async def close(self) -> None:
        """Close what is idle; what is lent is closed as it comes back."""
        self._closed = True
        while self._idle:
            connection, _ = self._idle.pop()
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=5)

    async def _through(
        self, of: Hashable, ask: Callable[..., Awaitable[Any]], query: str, args: tuple[object, ...]
    ) -> Any:
        turns = self._turns
        line = turns.take(of) or await turns.wait(of)
        try:
            connection = self._lend() or await self._connected()
            try:
                answer = await ask(connection, query, *args)
            except (asyncio.CancelledError, TimeoutError):
                connection.terminate()  # the answer is still on its way, and must not be anybody else's
                raise
            except BaseException:
                self._take_back(connection)
                raise
            self._take_back(connection)
            return answer
        finally:
            turns.end(line)

    def _lend(self) -> Any:
        """An idle connection; None where a new one is needed, for which there is room: everybody here has a turn."""
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and self._clock() - since < LONGEST_REST:
                return connection
            connection.terminate()
        if self._closed:
            raise _driver.InterfaceError("the pool is closed")
        return None

    async def _connected(self) -> Any:
        return await dial(self._url, LONGEST_STATEMENT, named_statements=self._named_statements)

    def _take_back(self, connection: Any) -> None:
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append((connection, self._clock()))
