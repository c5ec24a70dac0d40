"""The connections of the hot paths: lent for one statement, and taken back as they are.

asyncpg's own pool wraps each connection, shields its return in a task, and sends RESET ALL, CLOSE ALL, UNLISTEN * and
pg_advisory_unlock_all() each time: half of what a look-up by key costs a web process. There is nothing of the kind to
undo here: whatever runs through this pool sets what it sets for its own transaction alone (PgBouncer asks for the
same), and a connection that comes back in the middle of something is closed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

LONGEST_STATEMENT = 30.0
"""Seconds that a statement may take."""

LONGEST_CONNECTING = 15.0
"""Seconds that PostgreSQL may take to let somebody in."""

LONGEST_REST = 300.0
"""Seconds after which a connection nobody used is not trusted: something between here and there may have dropped it."""

PATIENCE = 0.02
"""Seconds that somebody waits for one of the first half of the connections before another one is used."""

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

    As long as nobody waits longer than `PATIENCE`, half of them are used: few that are always at work cost the database
    less for each statement than many that share its processors. The others are for when some are held up.
    """

    def __init__(
        self,
        url: str,
        size: int,
        on_wait: Callable[[float], None] | None = None,
        *,
        named_statements: bool = True,
    ) -> None:
        self._url = url
        self._size = size
        self._on_wait = on_wait
        self._named_statements = named_statements
        self._usual = (size + 1) // 2
        self._open = 0
        self._idle: list[tuple[Any, float]] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._clock = asyncio.get_running_loop().time
        self._closed = False

    async def fetchrow(self, query: str, *args: object) -> Any:
        """The first row of an answer; None if it has none."""
        return await self._through(_fetchrow, query, args)

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """All rows of an answer."""
        return await self._through(_fetch, query, args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        return await self._through(_fetchval, query, args)

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[Any]:
        """Lend a connection for several statements."""
        connection = await self._lend()
        try:
            yield connection
        except (asyncio.CancelledError, TimeoutError):
            self._discard(connection)
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
            self._open -= 1
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=5)

    async def _through(self, ask: Callable[..., Awaitable[Any]], query: str, args: tuple[object, ...]) -> Any:
        connection = await self._lend()
        try:
            answer = await ask(connection, query, *args)
        except (asyncio.CancelledError, TimeoutError):
            self._discard(connection)  # the answer is still on its way, and must not be anybody else's
            raise
        except BaseException:
            self._take_back(connection)
            raise
        self._take_back(connection)
        return answer

    async def _lend(self) -> Any:
        patient, began = True, 0.0
        while True:
            if not patient or self._open - len(self._idle) < self._usual:
                while self._idle:
                    connection, since = self._idle.pop()
                    if not connection.is_closed() and self._clock() - since < LONGEST_REST:
                        self._waited(began)
                        return connection
                    self._discard(connection)
                if self._closed:
                    raise _driver.InterfaceError("the pool is closed")
                if self._open < self._size:
                    self._waited(began)
                    return await self._connected()
            began = began or self._clock()
            connection = await self._handed_over(patient=patient)
            if connection is not None:
                self._waited(began)
                return connection
            patient = False

    def _waited(self, began: float) -> None:
        """Say how long somebody had to wait, if they had to."""
        if began and self._on_wait is not None:
            self._on_wait(self._clock() - began)

    async def _handed_over(self, *, patient: bool) -> Any:
        """Wait for a connection that somebody gives back; None says to look around again."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Any] = loop.create_future()
        if patient:
            self._waiting.append(waiting)
        else:
            self._waiting.appendleft(waiting)
        hurry = loop.call_later(PATIENCE, self._hurry, waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():  # it was handed over at the same moment
                self._hand_on(waiting.result())
            raise
        finally:
            hurry.cancel()

    def _hurry(self, waiting: asyncio.Future[Any]) -> None:
        """Have somebody who has waited long enough take one of the other half, if there is one."""
        if not waiting.done() and (self._idle or self._open < self._size):
            waiting.set_result(None)

    async def _connected(self) -> Any:
        self._open += 1
        try:
            return await dial(self._url, LONGEST_STATEMENT, named_statements=self._named_statements)
        except BaseException:
            self._open -= 1
            self._hand_on(None)
            raise

    def _take_back(self, connection: Any) -> None:
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            self._discard(connection)
        else:
            self._hand_on(connection)

    def _discard(self, connection: Any) -> None:
        self._open -= 1
        connection.terminate()
        self._hand_on(None)

    def _hand_on(self, connection: Any) -> None:
        """Give a connection to who has waited longest; None tells them that there is room for a new one."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        if connection is not None:
            self._idle.append((connection, self._clock()))
