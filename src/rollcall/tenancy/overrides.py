"""Overrides: what one tenant has otherwise than its plan says, each with a reason, an author and mostly an end."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, bindparam, select, text

from rollcall.errors import Invalid, NotFound
from rollcall.functions import qualified
from rollcall.journal.event import Event
from rollcall.journal.plan_events import TenantOverrideEnded, TenantOverrideRanOut, TenantOverrideSet
from rollcall.journal.record import record
from rollcall.scim.reader import unholdable
from rollcall.tenancy.features import FEATURES
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, TenantRef, Work

KEYS: Final = (*FEATURES, "seats", "seat_policy")
"""What can be overridden: a feature is given, seats are another number, and the seat policy another one."""

PAID: Final = "paid"
"""The key under which stands what is paid for, which `payment` writes; what somebody set by hand goes before it."""

LONGEST_REASON: Final = 500

_SET = text(qualified("SELECT fn.set_override(:tenant, :key, CAST(:override AS jsonb))"))

_HAVE_ENDED = (
    select(Tenant)
    .where(
        text(
            "overrides IS NOT NULL AND EXISTS (SELECT FROM jsonb_each(overrides) o"
            " WHERE (o.value ->> 'ends_at')::timestamptz <= :now AND NOT o.value ? 'told_at')"
        )
    )
    .order_by(Tenant.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(key_share=True, skip_locked=True, of=Tenant)
    .execution_options(populate_existing=True)
)
"""Tenants of whose overrides one has run out, and nobody has told; those that somebody else has come next time."""

Value = bool | int | str


@dataclass(frozen=True, slots=True)
class Override:
    """One thing that a tenant has otherwise."""

    key: str
    value: Value
    reason: str
    by: str
    """Who set it: the label of their key, or ``rollcall``."""
    at: datetime
    ends_at: datetime | None
    """When it ends by itself; None is never."""
    is_paid: bool = False
    """Whether it is not set by hand: it is paid for."""

    def holds(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return self.ends_at is None or self.ends_at > now


def of(tenant: Tenant) -> Sequence[Override]:
    """What somebody gave a tenant otherwise, by key; those that have ended too."""
    return [_read(key, said) for key, said in sorted((tenant.overrides or {}).items()) if key != PAID]


def paid_for(tenant: Tenant) -> Sequence[Override]:
    """What a tenant has otherwise because it is paid for, by key; what has ended too."""
    layer: dict[str, Any] = (tenant.overrides or {}).get(PAID, {})
    about = {"reason": f"{layer.get('customer')} pays for it", "by": layer.get("by"), "at": layer.get("at")}
    return [replace(_read(key, {**about, **layer[key]}), is_paid=True) for key in sorted(KEYS) if key in layer]


def in_effect(tenant: Tenant, now: datetime) -> Mapping[str, Override]:
    """What holds for a tenant otherwise than its plan says, by key: set by hand, or else paid for."""
    return {each.key: each for each in (*paid_for(tenant), *of(tenant)) if each.holds(now)}


def features_with(tenant: Tenant, plans_own: Iterable[str], now: datetime) -> set[str]:
    """The features that a tenant has on a plan with *plans_own*: those, and what it has otherwise."""
    held = in_effect(tenant, now)
    return {*plans_own, *(key for key, each in held.items() if key in FEATURES and each.value is True)}


async def put(  # an override is as much
    fleet: Fleet,
    tenant: Tenant,
    key: str,
    value: Value,
    *,
    reason: str,
    ends_at: datetime | None,
    by: str | None = None,
) -> Override:
    """Give a tenant something otherwise than its plan says, from its next call on, in the place of what it had so.

    Whoever acts is its author, unless *by* names another.

    Raises:
        Invalid: there is no such key, the value does not fit it, or reason or end are missing or can't be.
    """
    _check(key, value, reason, ends_at, fleet.now)
    said = {"value": value, "reason": reason, "by": by or fleet.actor.label, "at": fleet.now.isoformat()}
    if ends_at is not None:
        said["ends_at"] = ends_at.isoformat()
    await fleet.db.execute(_SET, {"tenant": tenant.id, "key": key, "override": json.dumps(said)})
    await fleet.db.refresh(tenant)
    event = TenantOverrideSet(key, value, reason, None if ends_at is None else ends_at.isoformat())
    await _record(fleet, tenant, event)
    return _read(key, said)


async def end(fleet: Fleet, tenant: Tenant, key: str) -> None:
    """Take an override away; what the plan says counts from the tenant's next call on.

    Raises:
        NotFound: the tenant has none of that key.
    """
    if key == PAID or key not in (tenant.overrides or {}):
        raise NotFound("override")
    await fleet.db.execute(_SET, {"tenant": tenant.id, "key": key, "override": None})
    await fleet.db.refresh(tenant)
    await _record(fleet, tenant, TenantOverrideEnded(key))


async def tell_ended(fleet: Fleet, *, limit: int = 500) -> int:
    """Tell of up to *limit* overrides that have run out, each once; returns of how many.

    What holds has changed by itself at that moment, and waits for nobody to tell of it.
    """
    rows = (await fleet.db.scalars(_HAVE_ENDED, {"now": fleet.now, "limit": limit})).all()
    told = 0
    for tenant in rows:
        overrides = {**(tenant.overrides or {})}
        for key, said in overrides.items():
            if key == PAID or _read(key, said).holds(fleet.now) or "told_at" in said:
                continue
            overrides[key] = {**said, "told_at": fleet.now.isoformat()}
            await _record(fleet, tenant, TenantOverrideRanOut(key, said["value"], said["ends_at"]))
            told += 1
        tenant.overrides = overrides
    await fleet.db.flush()
    return told


def fault(key: str, value: Value, reason: str, ends_at: datetime | None) -> tuple[str, str] | None:
    """Which part of an override can't be, and why; None if it can, which its end may have come for."""
    if key not in KEYS:
        return "key", f"“{key}” can't be overridden; there are: {', '.join(KEYS)}"
    if not _fits(key, value):
        wanted = {"seats": "a whole number from 1 on", "seat_policy": "refuse or overage"}.get(key, "true")
        return "value", f"of {key} has to be {wanted}"
    if not reason.strip() or len(reason) > LONGEST_REASON or unholdable(reason) is not None:
        return "reason", f"say why, in at most {LONGEST_REASON} characters of text"
    if ends_at is None and key in FEATURES:
        return "ends_at", f"say until when; for good a tenant has {key} by a plan that includes it"
    return None


def _check(key: str, value: Value, reason: str, ends_at: datetime | None, now: datetime) -> None:
    if (found := fault(key, value, reason, ends_at)) is not None:
        param, said = found
        msg = f"{param}: {said}"
        raise Invalid(msg, param=param)
    if ends_at is not None and ends_at <= now:
        msg = "ends_at: has passed already; choose a later moment"
        raise Invalid(msg, param="ends_at")


def _fits(key: str, value: Value) -> bool:
    match key:
        case "seats":
            return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000_000
        case "seat_policy":
            return value in ("refuse", "overage")
        case _:
            return value is True


def _read(key: str, said: dict[str, Any]) -> Override:
    ends = said.get("ends_at")
    return Override(
        key=key,
        value=said["value"],
        reason=said["reason"],
        by=said["by"],
        at=datetime.fromisoformat(said["at"]),
        ends_at=None if ends is None else datetime.fromisoformat(ends),
    )


async def _record(fleet: Fleet, tenant: Tenant, event: Event) -> None:
    work = Work(fleet.db, TenantRef(tenant.id, tenant.slug), fleet.actor, fleet.origin, fleet.now)
    await record(work, event, target=str(tenant.id))
