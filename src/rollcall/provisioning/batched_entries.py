"""What calls leave behind without a write each: read entries, last uses, counts of refusals, marks of providers.

A process gathers them and writes them down within a second, and what is counted of a key's refusals when the minute is
over. A crash may lose that; writes and the refusals that are kept one by one are not gathered here but written in their
own transactions.
"""

import asyncio
from collections.abc import Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

import orjson
import structlog

from rollcall import metrics
from rollcall.db import FLEET_ROLE, Connection, Pool
from rollcall.functions import qualified
from rollcall.journal.refusals import Count, Refusals, Refused, entry_of
from rollcall.provisioning import profile_taking
from rollcall.provisioning.evidence import Evidence
from rollcall.scim.recognising import Seen, shape_mark
from rollcall.work import RequestOrigin

log = structlog.get_logger(__name__)

Rows = list[dict[str, object]]

EVERY_SECONDS = 0.5
SOURCES_A_MINUTE = 1000
MOST_ENTRIES = 200_000
DEVIATIONS_A_DAY = 200
LONGEST_DEVIATION = 100

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
WITH used AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(tenant_id uuid, id uuid, at timestamptz, source text)),
kept AS (  -- in the order of the keys, as everybody who locks several tokens does
    SELECT t.tenant_id, t.id FROM tokens t JOIN used USING (tenant_id, id) ORDER BY t.tenant_id, t.id
       FOR NO KEY UPDATE OF t)
UPDATE tokens t SET last_used_at = used.at, last_used_from = used.source
  FROM used JOIN kept USING (tenant_id, id)
 WHERE t.tenant_id = used.tenant_id AND t.id = used.id AND (t.last_used_at IS NULL OR t.last_used_at < used.at)
"""
_DEVIATIONS = """
INSERT INTO deviations (tenant_id, day, habit, times)
SELECT tenant_id, day, habit, times FROM jsonb_to_recordset($1::jsonb) AS r(
       tenant_id uuid, day date, habit text, times integer)
 ORDER BY tenant_id, day, habit
    ON CONFLICT (tenant_id, day, habit) DO UPDATE SET times = deviations.times + excluded.times
"""
_REFUSED = """
INSERT INTO refused_calls (minute, source, calls)
SELECT minute, source, calls FROM jsonb_to_recordset($1::jsonb) AS r(minute timestamptz, source text, calls integer)
 ORDER BY minute, source
    ON CONFLICT (minute, source) DO UPDATE SET calls = refused_calls.calls + excluded.calls
"""
_MARKS = """
INSERT INTO provider_marks (tenant_id, mark, first_seen, last_seen, times)
SELECT tenant_id, mark, first_seen, last_seen, times FROM jsonb_to_recordset($1::jsonb) AS r(
       tenant_id uuid, mark text, first_seen timestamptz, last_seen timestamptz, times bigint)
 ORDER BY tenant_id, mark
    ON CONFLICT (tenant_id, mark) DO UPDATE
   SET first_seen = least(provider_marks.first_seen, excluded.first_seen),
       last_seen = greatest(provider_marks.last_seen, excluded.last_seen),
       times = provider_marks.times + excluded.times
"""
_COUNTED = qualified("""
SELECT fn.audit_write(tenant_id, call, 'refused', status, detail, '{}', NULL, NULL)
  FROM jsonb_to_recordset($1::jsonb) AS r(tenant_id uuid, call jsonb, status integer, detail text)
""")


@dataclass(slots=True)
class BatchedEntries:
    """Gathers traces in memory and writes them down in batches. One for each process."""

    pool: Pool
    refusals: Refusals = field(default_factory=Refusals)
    evidence: Evidence = field(default_factory=Evidence)
    _entries: Rows = field(default_factory=Rows)
    _uses: dict[tuple[UUID, UUID], tuple[datetime, str | None]] = field(
        default_factory=dict[tuple[UUID, UUID], tuple[datetime, str | None]]
    )
    _refused: dict[tuple[datetime, str], int] = field(default_factory=dict[tuple[datetime, str], int])
    _deviations: dict[tuple[UUID, date, str], int] = field(default_factory=dict[tuple[UUID, date, str], int])
    _deviations_of: dict[UUID, set[str]] = field(default_factory=dict[UUID, set[str]])
    _deviations_day: date | None = None
    _sources: set[str] = field(default_factory=set[str])
    _sources_minute: datetime | None = None
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin writing down, in the background."""
        self._writer = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Write down what is left and end."""
        if self._writer is not None:
            async with self._writing:  # cut off in the middle of a commit, a batch could be written twice
                self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
        async with self._writing:
            await self._flush(everything=True)

    def used(self, tenant_id: UUID, token_id: UUID, at: datetime, source: str | None) -> None:
        """A token was used."""
        self._uses[tenant_id, token_id] = (at, source)

    def read(
        self,
        tenant_id: UUID,
        token_id: UUID,
        at: datetime,
        origin: RequestOrigin,
        *,
        action: str,
        label: str,
        owner_id: UUID | None,
        target: str | None,
    ) -> None:
        """Something was read successfully."""
        if len(self._entries) >= MOST_ENTRIES:
            metrics.figures().traces_dropped.inc()
            return
        self._entries.append(
            {
                "tenant_id": tenant_id,
                "at": at,
                "action": action,
                "actor_id": token_id,
                "actor_label": label,
                "owner_id": owner_id,
                "target": target,
                "status": 200,
                **origin.facts(),
            }
        )

    def refused(self, source: str | None) -> None:
        """A call came that nobody can be named for."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        if minute != self._sources_minute:
            self._sources_minute = minute
            self._sources.clear()
        name = source or "unknown"
        if name not in self._sources:
            if len(self._sources) >= SOURCES_A_MINUTE:
                name = "others"
            else:
                self._sources.add(name)
        self._refused[minute, name] = self._refused.get((minute, name), 0) + 1

    def deviated(self, tenant_id: UUID, at: datetime, deviations: Iterable[str]) -> None:
        """A tenant's provider departed from the standard in these ways."""
        day = at.date()
        if day != self._deviations_day:
            self._deviations_day = day
            self._deviations_of.clear()
        known = self._deviations_of.setdefault(tenant_id, set())
        for deviation in deviations:
            # A deviation can carry a name the caller made up, so there has to be an end to how many are told apart.
            name = deviation[:LONGEST_DEVIATION]
            if name not in known and len(known) >= DEVIATIONS_A_DAY:
                name = "others"
            known.add(name)
            self._deviations[tenant_id, day, name] = self._deviations.get((tenant_id, day, name), 0) + 1
            if (mark := shape_mark(deviation)) is not None:
                self.evidence.met(tenant_id, at, mark)

    async def flush(self) -> None:
        """Write down what was gathered, counts of a minute that is not over apart; as it returns, that is committed."""
        async with self._writing:
            await self._flush()

    async def _flush(self, *, everything: bool = False) -> None:
        for _, lines in self.refusals.lines.due(everything=everything):
            log.info("refused, counted", minute=lines.minute.isoformat(), calls=lines.calls, last=lines.last)
        batch = self._taken(everything=everything)
        if not batch.is_empty:
            try:
                async with self.pool.acquire() as connection, connection.transaction():
                    await connection.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
                    await batch.write(connection)
            except BaseException:
                self._put_back(batch)
                raise
            self.evidence.written(batch.marks)
        if tenants := self.evidence.to_look_at:
            await profile_taking.look_at(self.pool, tenants)
            self.evidence.looked_at(tenants)

    def _taken(self, *, everything: bool) -> "_Batch":
        entries, self._entries = self._entries, []
        uses, self._uses = self._uses, {}
        refused, self._refused = self._refused, {}
        deviations, self._deviations = self._deviations, {}
        marks = self.evidence.due(everything=everything)
        counted = self.refusals.entries.due(everything=everything)
        return _Batch(entries, uses, refused, deviations, marks, counted)

    def _put_back(self, batch: "_Batch") -> None:
        self._entries[:0] = batch.entries
        self._uses = {**batch.uses, **self._uses}
        for key, calls in batch.refused.items():
            self._refused[key] = self._refused.get(key, 0) + calls
        for what, times in batch.deviations.items():
            self._deviations[what] = self._deviations.get(what, 0) + times
        self.evidence.put_back(batch.marks)
        self.refusals.entries.put_back(batch.counted)

    async def _write_regularly(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except Exception:  # the database is away: keep what was gathered and try again
                log.warning("traces could not be written down; trying again", exc_info=True)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is written down in one transaction."""

    entries: Rows
    uses: dict[tuple[UUID, UUID], tuple[datetime, str | None]]
    refused: dict[tuple[datetime, str], int]
    deviations: dict[tuple[UUID, date, str], int]
    marks: dict[tuple[UUID, str], Seen]
    counted: list[tuple[Hashable, Count[Refused]]]

    @property
    def is_empty(self) -> bool:
        return not (self.entries or self.uses or self.refused or self.deviations or self.marks or self.counted)

    async def write(self, connection: Connection) -> None:
        """Write it down, as the fleet; in this order."""
        uses: Rows = [
            {"tenant_id": tenant, "id": token, "at": at, "source": source}
            for (tenant, token), (at, source) in self.uses.items()
        ]
        refused: Rows = [
            {"minute": minute, "source": source, "calls": calls} for (minute, source), calls in self.refused.items()
        ]
        ledger: Rows = [
            {"tenant_id": tenant, "day": day, "habit": deviation, "times": times}
            for (tenant, day, deviation), times in self.deviations.items()
        ]
        marks: Rows = [
            {
                "tenant_id": tenant,
                "mark": mark,
                "first_seen": seen.first,
                "last_seen": seen.last,
                "times": seen.times,
            }
            for (tenant, mark), seen in self.marks.items()
        ]
        counted: Rows = [entry_of(count) for _, count in self.counted]
        for statement, rows in (
            (_ENTRIES, self.entries),
            (_LAST_USES, uses),
            (_REFUSED, refused),
            (_DEVIATIONS, ledger),
            (_MARKS, marks),
            (_COUNTED, counted),
        ):
            if rows:
                await connection.execute(statement, _json(rows))


def _json(rows: Rows) -> str:
    return orjson.dumps(rows, default=str).decode()
