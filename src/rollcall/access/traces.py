"""What calls leave behind without a write each: read entries, last uses, counts of nameless refusals.

A process gathers them and writes them down within a second. A crash may lose that second of read entries; writes and
refusals are not gathered here but written in their own transactions.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson
import structlog

from rollcall.db import FLEET_ROLE, Pool
from rollcall.work import Origin

log = structlog.get_logger(__name__)

EVERY_SECONDS = 0.5
SOURCES_A_MINUTE = 1000
MOST_ENTRIES = 200_000

_ENTRIES = """
INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_id, actor_label, owner_id, target,
                           outcome, status, method, path, source)
SELECT tenant_id, at, request_id, action, 'scim_token', actor_id, actor_label, owner_id, target, 'done', status,
       method, path, source
  FROM jsonb_to_recordset($1::jsonb) AS r(
       tenant_id uuid, at timestamptz, request_id text, action text, actor_id uuid, actor_label text, owner_id uuid,
       target text, status integer, method text, path text, source text)
"""
_LAST_USES = """
UPDATE tokens t SET last_used_at = r.at, last_used_from = r.source
  FROM jsonb_to_recordset($1::jsonb) AS r(tenant_id uuid, id uuid, at timestamptz, source text)
 WHERE t.tenant_id = r.tenant_id AND t.id = r.id AND (t.last_used_at IS NULL OR t.last_used_at < r.at)
"""
_REFUSED = """
INSERT INTO refused_calls (minute, source, calls)
SELECT minute, source, calls FROM jsonb_to_recordset($1::jsonb) AS r(minute timestamptz, source text, calls integer)
    ON CONFLICT (minute, source) DO UPDATE SET calls = refused_calls.calls + excluded.calls
"""


@dataclass(slots=True)
class Traces:
    """Gathers traces in memory and writes them down in batches. One for each process."""

    pool: Pool
    _entries: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    _uses: dict[tuple[UUID, UUID], tuple[datetime, str | None]] = field(
        default_factory=dict[tuple[UUID, UUID], tuple[datetime, str | None]]
    )
    _refused: dict[tuple[datetime, str], int] = field(default_factory=dict[tuple[datetime, str], int])
    _writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin writing down, in the background."""
        self._writer = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Write down what is left and end."""
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
        await self.flush()

    def used(self, tenant_id: UUID, token_id: UUID, at: datetime, source: str | None) -> None:
        """A token was used."""
        self._uses[tenant_id, token_id] = (at, source)

    def read(
        self,
        tenant_id: UUID,
        token_id: UUID,
        at: datetime,
        origin: Origin,
        *,
        action: str,
        label: str,
        owner_id: UUID | None,
        target: str | None,
    ) -> None:
        """Something was read successfully."""
        if len(self._entries) < MOST_ENTRIES:
            self._entries.append(
                {
                    "tenant_id": tenant_id,
                    "at": at,
                    "request_id": origin.request_id,
                    "action": action,
                    "actor_id": token_id,
                    "actor_label": label,
                    "owner_id": owner_id,
                    "target": target,
                    "status": 200,
                    "method": origin.method,
                    "path": origin.path,
                    "source": origin.source,
                }
            )

    def refused(self, source: str | None) -> None:
        """A call came that nobody can be named for."""
        key = (datetime.now(UTC).replace(second=0, microsecond=0), source or "unknown")
        if key not in self._refused and len(self._refused) >= SOURCES_A_MINUTE:
            key = (key[0], "others")
        self._refused[key] = self._refused.get(key, 0) + 1

    async def flush(self) -> None:
        """Write down everything gathered so far."""
        entries, self._entries = self._entries, []
        uses, self._uses = self._uses, {}
        refused, self._refused = self._refused, {}
        if not (entries or uses or refused):
            return
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
                if entries:
                    await connection.execute(_ENTRIES, _json(entries))
                if uses:
                    rows = [
                        {"tenant_id": tenant, "id": token, "at": at, "source": source}
                        for (tenant, token), (at, source) in uses.items()
                    ]
                    await connection.execute(_LAST_USES, _json(rows))
                if refused:
                    counts = [
                        {"minute": minute, "source": source, "calls": calls}
                        for (minute, source), calls in refused.items()
                    ]
                    await connection.execute(_REFUSED, _json(counts))
        except BaseException:
            self._entries[:0] = entries
            self._uses = {**uses, **self._uses}
            for key, calls in refused.items():
                self._refused[key] = self._refused.get(key, 0) + calls
            raise

    async def _write_regularly(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except Exception:  # the database is away: keep what was gathered and try again
                log.warning("traces could not be written down; trying again", exc_info=True)


def _json(rows: list[dict[str, object]]) -> str:
    return orjson.dumps(rows, default=str).decode()
