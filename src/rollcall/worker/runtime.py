"""One event loop and one set of connections for each worker process; tasks are coroutines that run on them.

The loop has a thread of its own. So a process whose pool is threads runs many tasks on it side by side, and one whose
pool is processes runs one.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import wait
from typing import Any, ClassVar, TypeVar

import uvloop

from rollcall import db, installing, stalls
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.events.addresses import AddressRules
from rollcall.events.delivering import DeliveryContext
from rollcall.events.outgoing import Signing
from rollcall.events.sending import Sender
from rollcall.settings import Settings

T = TypeVar("T")


class TimeIsOver(Exception):
    """Work on the loop did not end in the time it had."""


class Runtime:
    """What a worker process runs its tasks on."""

    current: ClassVar["Runtime | None"] = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sealer = Sealer.of(settings)
        self.signing = Signing(self.sealer, settings.public_url)
        self._stopping = threading.Event()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rollcall loop", daemon=True)
        self._thread.start()
        self._connecting = asyncio.Lock()
        self._database: Database | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._sender: Sender | None = None

    @classmethod
    def start(cls, settings: Settings) -> "Runtime":
        """Begin, in a process that does not fork any more."""
        cls.current = cls(settings)
        return cls.current

    @classmethod
    def wind_down(cls) -> None:
        """Have long tasks end soon: what has been begun is finished, and nothing more is."""
        if cls.current is not None:
            cls.current._stopping.set()

    @classmethod
    def stop(cls) -> None:
        """Give the connections back."""
        if cls.current is not None:
            cls.current.close()
            cls.current = None

    def watch(self) -> None:
        """Count when the loop stands still, from now on."""
        self._loop.call_soon_threadsafe(stalls.watch)

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float | None = None, at_most: float | None = None) -> T:
        """Run *work* to its end on the loop; after *seconds* it is cancelled.

        Raises:
            TimeIsOver: it was cancelled, or the loop had not even done that after *at_most* seconds.
        """
        running = asyncio.run_coroutine_threadsafe(_within(seconds, work), self._loop)
        wait([running], at_most)
        if not running.done():
            raise TimeIsOver
        return running.result()

    def close(self) -> None:
        """Close the connections and the loop."""
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def database(self) -> Database:
        """The database, connected to when it is first needed."""
        async with self._connecting:
            if self._database is None:
                self._database = await db.connect(self.settings)
                self._reporting = asyncio.create_task(installing.report_regularly(self._database.pool))
        return self._database

    async def delivering(self) -> DeliveryContext:
        """What delivering needs."""
        database, settings = await self.database(), self.settings
        if self._sender is None:
            self._sender = Sender(AddressRules.of(settings), seconds=settings.delivery_timeout_seconds)
        return DeliveryContext(
            database, self.signing, self._sender, settings.outbox_lease_seconds, self._stopping.is_set
        )

    async def _close(self) -> None:
        if self._sender is not None:
            await self._sender.close()
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.wait([self._reporting])
        if self._database is not None:
            await self._database.close()
        await self._loop.shutdown_default_executor()


async def _within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if limit.expired():
            raise TimeIsOver from error
        raise
