"""Lapse: what is left of SCIM to a tenant that had it and whose plan does not include it any more."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text, update

from rollcall.errors import Conflict, Invalid
from rollcall.functions import qualified
from rollcall.journal.event import Event
from rollcall.journal.events import TenantLapseChanged, TenantLapsed, TenantLapseEnded
from rollcall.journal.record import record
from rollcall.tenancy.models import Plan, Tenant
from rollcall.work import Fleet, TenantRef, Work

_ROW = "id, slug, plan, lapsed_at, offboarding_from, closes_at"
_CHANGE_PLAN = text(qualified(f"SELECT {_ROW} FROM fn.change_plan(:tenant, :plan)"))  # noqa: S608  # columns of ours
_FOLLOW_PLAN = text(qualified(f"SELECT {_ROW} FROM fn.follow_plan(:plan, :had_scim)"))  # noqa: S608  # as above


class LapseState(StrEnum):
    """What is left of SCIM to a tenant, as the function ``lapse_state`` decides it for the gate and for all others."""

    ACTIVE = "active"
    """Everything: the plan includes it."""
    GRACE = "grace"
    """Everything, for a while yet."""
    OFFBOARDING_ONLY = "offboarding_only"
    """Reads, and what only takes away."""
    CLOSED = "closed"
    """Nothing any more."""
    NEVER = "never"
    """Nothing: it never had it."""


class NothingLapses(Conflict):
    """The tenant's plan includes SCIM, or the tenant never had it, so there are no dates to set."""

    code = "nothing_lapses"
    advice = "Put the tenant on a plan without SCIM first; a tenant that never had SCIM has nothing that could lapse."


@dataclass(frozen=True, slots=True)
class LapseTerms:
    """What becomes of a tenant that had this plan and loses SCIM; *offboarding_only_days* None is without an end."""

    grace_days: int = 0
    offboarding_only_days: int | None = None

    def __str__(self) -> str:
        after = "without an end" if self.offboarding_only_days is None else f"for {self.offboarding_only_days} days"
        return f"{self.grace_days} days of grace, then offboarding only {after}"


async def hold_plans(fleet: Fleet, *keys: str) -> None:
    """Keep plans from being edited until the transaction ends. Whoever also locks tenants takes this first."""
    await fleet.db.execute(select(Plan.key).where(Plan.key.in_(keys)).order_by(Plan.key).with_for_update(read=True))


async def change_plan(fleet: Fleet, tenant: Tenant, plan: str) -> None:
    """Put a tenant on another plan; if one of the two includes SCIM and one does not, it lapses, or comes back."""
    rows = await fleet.db.execute(_CHANGE_PLAN, {"tenant": tenant.id, "plan": plan})
    await _announce(fleet, rows.mappings().all())
    await fleet.db.refresh(tenant)


async def follow_plan(fleet: Fleet, plan: str, *, had_scim: bool) -> None:
    """Have a plan's tenants lapse, or come back, after an edit of the plan."""
    rows = await fleet.db.execute(_FOLLOW_PLAN, {"plan": plan, "had_scim": had_scim})
    await _announce(fleet, rows.mappings().all())


async def set_dates(fleet: Fleet, tenant: Tenant, dates: Mapping[str, datetime | None]) -> None:
    """Say until when everything works for a tenant that has lapsed, and when it is closed; what is left out stays.

    *dates* has ``offboarding_from``, or ``closes_at``, for which None is never.

    Raises:
        NothingLapses: the tenant has not lapsed.
        Invalid: it would be closed before only taking away begins.
    """
    _has_lapsed(tenant)
    after = {"offboarding_from": tenant.offboarding_from, "closes_at": tenant.closes_at, **dates}
    begins, closes = after["offboarding_from"], after["closes_at"]
    assert begins is not None, "whoever has lapsed has the date"
    if closes is not None and closes < begins:
        msg = "closes_at: lies before offboarding_from; choose a later moment, or close the tenant at once"
        raise Invalid(msg, param="closes_at")
    if (begins, closes) != (tenant.offboarding_from, tenant.closes_at):
        await _set(fleet, tenant, {"offboarding_from": begins, "closes_at": closes})


async def close(fleet: Fleet, tenant: Tenant) -> None:
    """Let nothing pass any more for a tenant that has lapsed, from now on. Doing it twice is the same as doing it once.

    Raises:
        NothingLapses: the tenant has not lapsed.
    """
    _has_lapsed(tenant)
    if tenant.lapse_state != LapseState.CLOSED:
        now = func.clock_timestamp()
        await _set(fleet, tenant, {"offboarding_from": func.least(Tenant.offboarding_from, now), "closes_at": now})


def _has_lapsed(tenant: Tenant) -> None:
    if tenant.lapsed_at is None:
        msg = f"{tenant.slug} has not lapsed: its plan includes SCIM, or it never had it."
        raise NothingLapses(msg)


async def _set(fleet: Fleet, tenant: Tenant, dates: Mapping[str, Any]) -> None:
    await fleet.db.execute(update(Tenant).where(Tenant.id == tenant.id).values(dict(dates)))
    await fleet.db.refresh(tenant)
    assert tenant.offboarding_from is not None, "whoever has lapsed has the date"
    event = TenantLapseChanged(tenant.offboarding_from.isoformat(), _said(tenant.closes_at))
    await _record(fleet, tenant.id, tenant.slug, event)


async def counts(fleet: Fleet) -> Counter[LapseState]:
    """How many tenants there are in which state."""
    rows = await fleet.db.execute(select(Tenant.lapse_state, func.count()).group_by(Tenant.lapse_state))
    return Counter({LapseState(state): number for state, number in rows})


async def _announce(fleet: Fleet, rows: Sequence[RowMapping]) -> None:
    """Record for each tenant that its lapse has begun, or is over."""
    for row in rows:
        event: Event = TenantLapseEnded(row["plan"])
        if row["lapsed_at"] is not None:
            event = TenantLapsed(row["plan"], row["offboarding_from"].isoformat(), _said(row["closes_at"]))
        await _record(fleet, row["id"], row["slug"], event)


def _said(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


async def _record(fleet: Fleet, tenant_id: UUID, slug: str, event: Event) -> None:
    """Enter an event into the tenant's own audit, as the fleet's role may."""
    work = Work(fleet.db, TenantRef(tenant_id, slug), fleet.actor, fleet.origin, fleet.now)
    await record(work, event, target=str(tenant_id))
