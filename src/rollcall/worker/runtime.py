"""One event loop and one set of connections for each worker process; tasks are plain functions that run on them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from rollcall import db
from rollcall.db import Database
from rollcall.settings import Settings

T = TypeVar("T")


class Runtime:
    """What a worker process runs its tasks on."""

    current: ClassVar["Runtime | None"] = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._database: Database | None = None

    @classmethod
    def start(cls, settings: Settings) -> None:
        """Begin, in a process that has just been forked."""
        cls.current = cls(settings)

    @classmethod
    def stop(cls) -> None:
        """Give the connections back."""
        if cls.current is not None:
            cls.current.close()
            cls.current = None

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Run *work* to its end; the database is connected to when it is first needed."""
        return self._loop.run_until_complete(self._run(work))

    def close(self) -> None:
        """Close the connections and the loop."""
        if self._database is not None:
            self._loop.run_until_complete(self._database.close())
        self._loop.close()

    async def _run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        if self._database is None:
            self._database = await db.connect(self._settings)
        return await work(self._database)
