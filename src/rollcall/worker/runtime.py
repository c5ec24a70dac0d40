"""One event loop and one set of connections for each worker process; tasks are plain functions that run on them.

The loop has a thread of its own. So a process whose pool is threads runs many tasks on it side by side, and one whose
pool is processes runs one.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from rollcall import db, stalls
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.events.addresses import AddressRules
from rollcall.events.delivering import DeliveryContext
from rollcall.events.kinds import Signing
from rollcall.events.sending import Sender
from rollcall.settings import Settings

T = TypeVar("T")


class Runtime:
    """What a worker process runs its tasks on."""

    current: ClassVar["Runtime | None"] = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sealer = Sealer.of(settings)
        self.signing = Signing(self.sealer, settings.public_url)
        self._stopping = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rollcall loop", daemon=True)
        self._thread.start()
        self._connecting = asyncio.Lock()
        self._database: Database | None = None
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

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Run *work* to its end; the database is connected to when it is first needed."""
        return self._on_loop(self._run(work))

    def deliver(self, work: Callable[[DeliveryContext], Awaitable[T]]) -> T:
        """Run *work* with what delivering needs."""
        return self._on_loop(self._deliver(work))

    def close(self) -> None:
        """Close the connections and the loop."""
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        return await work(await self._connected())

    async def _deliver(self, work: Callable[[DeliveryContext], Awaitable[T]]) -> T:
        database, settings = await self._connected(), self.settings
        if self._sender is None:
            rules = AddressRules.of(settings)
            self._sender = Sender(rules, seconds=settings.delivery_timeout_seconds)
        return await work(
            DeliveryContext(database, self.signing, self._sender, settings.outbox_lease_seconds, self._stopping.is_set)
        )

    async def _connected(self) -> Database:
        async with self._connecting:
            if self._database is None:
                self._database = await db.connect(self.settings)
        return self._database

    async def _close(self) -> None:
        if self._sender is not None:
            await self._sender.close()
        if self._database is not None:
            await self._database.close()
        await self._loop.shutdown_default_executor()
