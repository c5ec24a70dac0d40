"""A database of a test's own, for what would be in the way of others: partitions, locks, old entries."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from architecture.databases import owners_url, scratch
from rollcall import db, tables
from rollcall.cli.embedded import Engines
from rollcall.db import Connection, Database
from rollcall.functions import qualified
from rollcall.settings import Settings
from rows import connected

TENANT = UUID("01a00000-0000-7000-8000-000000000001")

_ENTER = qualified("SELECT fn.audit_write($1, $2, 'done', 200, NULL, '{}', NULL, NULL)")
_ENTER_AT = """
WITH made AS (
    INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_label, outcome)
    SELECT $1, $2::timestamptz + make_interval(secs => n), $4, 'try.entry', 'system', 'a test', 'done'
      FROM generate_series(1, $3) n RETURNING tenant_id, at, id)
INSERT INTO audit_payloads (tenant_id, at, entry_id, payload) SELECT tenant_id, at, id, '{"a": 1}' FROM made
"""


@dataclass(frozen=True, slots=True)
class House:
    """A migrated database with nothing in it, as Rollcall reaches it and as its owner does."""

    settings: Settings
    database: Database
    owner: Connection

    async def enter(self, through: Connection | None = None) -> None:
        """Write an entry with a payload, as every change does, at this moment."""
        call = '{"request_id": "now", "action": "try.entry", "actor_kind": "system", "actor_label": "a test"'
        await (through or self.owner).execute(_ENTER, TENANT, call + ', "payload": {"a": 1}}')

    async def entered(self, at: datetime, number: int = 1, *, tenant: UUID = TENANT, request: str = "old") -> None:
        """Write entries as of a moment and the seconds after it, with their payloads."""
        await self.owner.execute(_ENTER_AT, tenant, at, number, request)

    async def count(self, table: str = "audit_entries", where: str = "true") -> int:
        """How many rows there are."""
        return await self.owner.fetchval(f"SELECT count(*) FROM {table} WHERE {where}")

    async def partitions(self, table: str = "audit_entries") -> list[str]:
        """The names of a table's partitions, the default one left out."""
        return [
            row["name"] for row in await self.owner.fetch(qualified("SELECT name FROM fn.audit_partitions($1)"), table)
        ]


@asynccontextmanager
async def a_house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A database that is gone when the block ends."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        database = await db.connect(there)
        async with connected(owners_url(there)) as owner:
            yield House(there, database, owner)
        await asyncio.wait_for(database.close(), 30)
