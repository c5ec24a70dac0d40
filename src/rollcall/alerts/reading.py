"""Alerts as they are shown: those that close themselves and the mass changes that somebody releases, in one list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import JSONB

from rollcall import paging
from rollcall.alerts.kinds import Kind, remedy, says
from rollcall.alerts.models import AlertRow
from rollcall.paging import Page
from rollcall.proof import mass_changes
from rollcall.proof.models import MassChange
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, Work


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, open or over."""

    id: UUID
    kind: Kind
    subject: str
    stage: str
    facts: Mapping[str, Any]
    opened_at: datetime
    closed_at: datetime | None
    departures: int | None = None
    """Of a mass change, where one tenant is looked at: how many have left since it began, up to its release."""

    @property
    def says(self) -> str:
        """What is the matter."""
        return says(self.kind, self.stage, self.facts)

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return remedy(self.kind)


_FACTS = func.jsonb_build_object(
    *("began_at", MassChange.began_at, "count", MassChange.count, "threshold", MassChange.threshold),
    *("released_by", MassChange.released_by),
    type_=JSONB,
)
_EVERY = union_all(
    select(
        *(AlertRow.tenant_id, AlertRow.id, AlertRow.kind, AlertRow.subject, AlertRow.stage, AlertRow.facts),
        *(AlertRow.opened_at, AlertRow.closed_at),
    ),
    select(
        *(MassChange.tenant_id, MassChange.id, literal(Kind.MASS_CHANGE.value, Text).label("kind")),
        *(literal("", Text).label("subject"), literal("", Text).label("stage"), _FACTS.label("facts")),
        *(MassChange.noticed_at, MassChange.released_at),
    ),
).subquery("every_alert")
_C = _EVERY.c
_SHOWN = (_C.id, _C.kind, _C.subject, _C.stage, _C.facts, _C.opened_at, _C.closed_at)


async def page(
    work: Work, *, limit: int = paging.USUAL, cursor: str | None = None, only_open: bool = False
) -> Page[Alert]:
    """Some of the tenant's alerts, newest first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(*_SHOWN).where(_C.tenant_id == work.tenant.id)
    if only_open:
        rows = rows.where(_C.closed_at.is_(None))
    by = (_C.opened_at, _C.id)
    found = await paging.page_of_several(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)
    left = await _departures(work, [row[0] for row in found.rows if row[1] == Kind.MASS_CHANGE])
    return found.of(lambda row: _alert(row, departures=left.get(row[0])))


async def every_open(fleet: Fleet, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[tuple[str, Alert]]:
    """Some of the open alerts of all tenants, newest first; each with a tenant's slug.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(*_SHOWN, Tenant.slug).join(Tenant, Tenant.id == _C.tenant_id).where(_C.closed_at.is_(None))
    by = (_C.opened_at, _C.id)
    found = await paging.page_of_several(fleet.db, rows, *by, limit=limit, cursor=cursor, descending=True)
    return found.of(lambda row: (row[-1], _alert(row)))


async def count_open(fleet: Fleet) -> Mapping[str, int]:
    """How many alerts of each kind are open; every kind is there."""
    rows = await fleet.db.execute(select(_C.kind, func.count()).where(_C.closed_at.is_(None)).group_by(_C.kind))
    return {**{kind.value: 0 for kind in Kind}, **{str(kind): int(number) for kind, number in rows}}


def of_mass_change(alert: mass_changes.Alert) -> Alert:
    """A mass change as an alert like any other."""
    row = alert.row
    facts = {"count": row.count, "threshold": row.threshold, "released_by": row.released_by}
    facts["began_at"] = row.began_at.isoformat()
    return Alert(row.id, Kind.MASS_CHANGE, "", "", facts, row.noticed_at, row.released_at, alert.departures)


async def _departures(work: Work, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many have left since each of these mass changes began, up to its release."""
    return {each.row.id: each.departures for each in await mass_changes.of_ids(work, ids)} if ids else {}


def _alert(row: tuple[Any, ...], *, departures: int | None = None) -> Alert:
    alert_id, kind, *rest = row[:7]
    return Alert(alert_id, Kind(kind), *rest, departures=departures)
