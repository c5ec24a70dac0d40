"""Changes of the same person or group, or of many new people of a tenant, made one after the other within a process.

Whoever is second would find that what they worked theirs out from has moved on, and hold a connection meanwhile. Other
processes know nothing of it: there the database decides.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@dataclass(slots=True)
class OneWriter:
    """Who is at work on what. One for each process."""

    _queues: dict[tuple[UUID, UUID], _Queue] = field(default_factory=dict[tuple[UUID, UUID], _Queue])

    @asynccontextmanager
    async def at(self, tenant_id: UUID, resource_id: UUID) -> AsyncGenerator[None]:
        """Wait until nobody else of this process changes it, and keep them waiting until this is left."""
        queue = self._queues.setdefault((tenant_id, resource_id), _Queue())
        queue.users += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[tenant_id, resource_id]
