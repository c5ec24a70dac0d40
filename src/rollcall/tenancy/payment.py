"""Payment: bringing to a tenant what its payment provider says of it, by the doors that everybody uses.

A plan that is paid for stands in the place of the chosen one (`Tenant.plan_without_payment`); features and seats stand
among the tenant's overrides, under ``paid``, where the gate reads them as it reads all others. What is no longer paid
for lapses by the provider's dates. All follows from what the provider says now, and nothing from what it said before;
only the day on which a tenant is closed, which may lie later by what was announced to it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from rollcall.journal.event import Event
from rollcall.journal.events import TenantLapseChanged, TenantLapsed, TenantLapseEnded, TenantPlanChanged
from rollcall.journal.plan_events import TenantPaymentChanged
from rollcall.journal.record import record
from rollcall.tenancy import overrides, plans, prices
from rollcall.tenancy.features import FEATURES
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.overrides import PAID
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import Offer
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet, TenantRef, Work

LONGER: Final = timedelta(days=1)
"""For so long what is about to end goes on while the provider can't be asked; and so again, until it can."""

Layer = dict[str, Any]
"""What is kept under ``paid``: an override for each thing that is paid for, and the dates of the lapse that it made."""


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of a lapse; all None for whoever has not lapsed."""

    lapsed_at: datetime | None = None
    offboarding_from: datetime | None = None
    closes_at: datetime | None = None

    @classmethod
    def by(
        cls, terms: LapseTerms, at: datetime, until: datetime | None = None, stopped: datetime | None = None
    ) -> "Dates":
        """Those of a loss at a moment; everything works until *until* at least.

        The days in which only what takes away passes count from *stopped* on, if that is later.
        """
        begins = at + timedelta(days=terms.grace_days)
        if until is not None:
            begins = max(begins, until)
        days = terms.offboarding_only_days
        counted = begins if stopped is None else max(begins, stopped)
        return cls(at, begins, None if days is None else counted + timedelta(days=days))

    @classmethod
    def of(cls, tenant: Tenant) -> "Dates":
        """Those that a tenant has."""
        return cls(tenant.lapsed_at, tenant.offboarding_from, tenant.closes_at)

    def put(self, tenant: Tenant) -> None:
        """Give them to a tenant."""
        tenant.lapsed_at, tenant.offboarding_from = self.lapsed_at, self.offboarding_from
        tenant.closes_at = self.closes_at

    def as_json(self) -> list[str | None]:
        """The same as it is kept."""
        each = (self.lapsed_at, self.offboarding_from, self.closes_at)
        return [None if moment is None else moment.isoformat() for moment in each]


@dataclass(frozen=True, slots=True)
class _Decided:
    """What a tenant is to have: the plan in effect, whether payment put it there, and what is paid for beside it."""

    plan: str
    stands_in: bool
    layer: Layer
    dates: Dates | None
    """None: they stay as they are."""


async def hold(fleet: Fleet) -> None:
    """Keep all plans from being edited until the transaction ends; whoever also locks tenants takes this first."""
    await fleet.db.execute(select(Plan.key).order_by(Plan.key).with_for_update(read=True))


async def apply(fleet: Fleet, tenant: Tenant, standing: Standing | None, *, provider: str) -> bool:
    """Bring to a tenant what is paid for; None is nothing. Its next call is judged by it. Returns whether it changed.

    Doing it twice is the same as doing it once. Dates of a lapse that somebody has set by hand since stay, until the
    provider's own dates become others.
    """
    await hold(fleet)
    await fleet.db.flush()
    await fleet.db.refresh(tenant, with_for_update={"key_share": True})
    had: Layer = (tenant.overrides or {}).get(PAID, {})
    plan, dates = tenant.plan, Dates.of(tenant)
    before = (plan, tenant.plan_without_payment, dates, had)
    decided = await _decide(fleet, tenant, standing or Standing())
    layer = _signed(decided.layer, had, provider=provider, customer=tenant.customer or str(tenant.id), now=fleet.now)
    after = (decided.plan, tenant.chosen_plan if decided.stands_in else None, decided.dates or dates, layer)
    if after == before:
        return False
    tenant.plan, tenant.plan_without_payment = after[0], after[1]
    rest = {key: said for key, said in (tenant.overrides or {}).items() if key != PAID}
    tenant.overrides = {**rest, PAID: layer} if layer else rest or None
    after[2].put(tenant)
    await fleet.db.flush()
    await fleet.db.refresh(tenant)
    await _announce(fleet, tenant, plan, dates, paid_changed=layer != had)
    return True


async def put_off(fleet: Fleet, tenant: Tenant, *, before: datetime) -> bool:
    """Have what ends by a provider's date between now and *before* end a day later, since it can't be asked meanwhile.

    Its next answer has its own dates again. What somebody set by hand stays. Whoever calls holds the tenant. Returns
    whether anything was put off.
    """
    had: Layer = (tenant.overrides or {}).get(PAID, {})
    layer: Layer = {
        key: _later(said, fleet.now, before) if key in overrides.KEYS else said for key, said in had.items()
    }
    dates = Dates.of(tenant)
    begins = dates.offboarding_from
    if begins is not None and dates.as_json() == had.get("lapse") and fleet.now < begins <= before:
        closes = None if dates.closes_at is None else dates.closes_at + LONGER
        later = Dates(dates.lapsed_at, begins + LONGER, closes)
        later.put(tenant)
        layer["lapse"] = later.as_json()
    if layer == had:
        return False
    tenant.overrides = {**(tenant.overrides or {}), PAID: layer}
    await fleet.db.flush()
    await fleet.db.refresh(tenant)
    await _announce(fleet, tenant, tenant.plan, dates, paid_changed=True)
    return True


def _later(said: dict[str, Any], now: datetime, before: datetime) -> dict[str, Any]:
    ends = datetime.fromisoformat(said["ends_at"]) if "ends_at" in said else None
    if ends is None or not now < ends <= before:
        return said
    return {**said, "ends_at": (ends + LONGER).isoformat()}


async def _decide(fleet: Fleet, tenant: Tenant, standing: Standing) -> _Decided:
    offer = await prices.offer_of(fleet, standing)
    present = plans.terms_of(await plans.find(fleet, tenant.plan))
    chosen = plans.terms_of(await plans.find(fleet, tenant.chosen_plan))
    has_scim = "scim" in present.features and tenant.plan_without_payment is not None
    has_scim = has_scim or any(each.key == "scim" for each in overrides.paid_for(tenant))
    lost_now = Dates.by(present.lapse, fleet.now) if has_scim and tenant.lapsed_at is None else None
    if standing.is_paid(fleet.now):
        return _paid(tenant, offer, chosen, standing.ends_at, lost_now)
    return _ended(tenant, offer, chosen, standing, lost_now, fleet.now)


def _paid(
    tenant: Tenant, offer: Offer, chosen: PlanTerms, ends_at: datetime | None, lost_now: Dates | None
) -> _Decided:
    """What is paid for; *lost_now* is what becomes of SCIM if it was and is not any more."""
    terms = offer.terms or chosen
    # Also what the plan has: it stays if somebody takes it out of the plan, or chooses another one.
    layer: Layer = {key: _entry(True, ends_at) for key in offer.features if key in FEATURES}
    if offer.seats is not None:
        layer["seats"] = _entry(offer.seats, ends_at)
    dates: Dates | None = Dates()
    if "scim" not in terms.features:
        dates = lost_now if "scim" not in layer else Dates()
        if "scim" in layer and ends_at is not None:
            dates = _unless_set_since(tenant, layer, Dates.by(terms.lapse, ends_at))
    return _Decided(offer.plan or tenant.chosen_plan, offer.plan is not None, layer, dates)


def _ended(
    tenant: Tenant, offer: Offer, chosen: PlanTerms, standing: Standing, lost_now: Dates | None, now: datetime
) -> _Decided:
    """What is left of what was paid for: the chosen plan and, during the grace, all but SCIM, which lapses."""
    if "scim" in chosen.features:
        return _Decided(tenant.chosen_plan, False, {}, Dates())
    if standing.ends_at is None or "scim" not in offer.all_features:
        return _Decided(tenant.chosen_plan, False, {}, lost_now)
    lapse = (offer.terms or chosen).lapse
    until = Dates.by(lapse, standing.ends_at, standing.grace_until).offboarding_from
    assert until is not None, "a loss has the date"
    layer: Layer = {}
    stopped = None
    if lapse.offboarding_only_days is not None:
        stopped = _stopped(tenant, standing, until, now, had=lost_now is not None)
        layer["stopped"] = stopped.isoformat()
    dates = Dates.by(lapse, standing.ends_at, standing.grace_until, stopped)
    if until > now:
        left = offer.all_features - {"scim"}
        layer |= {key: _entry(True, until) for key in left if key in FEATURES}
        seats = offer.seats or (None if offer.terms is None else offer.terms.seats)
        layer |= {"seat_policy": _entry("overage", until)} if seats is None else {"seats": _entry(seats, until)}
    return _Decided(tenant.chosen_plan, False, layer, _unless_set_since(tenant, layer, dates))


def _stopped(tenant: Tenant, standing: Standing, begins: datetime, now: datetime, *, had: bool) -> datetime:
    """When a loss began to be felt: by its provider's word, or else not before what was announced, or is by now.

    So nobody is closed without the days in between, however long a provider tried to be paid. *begins*: from when on
    only what takes away passes; *had*: the tenant has SCIM up to now.
    """
    known: Layer = (tenant.overrides or {}).get(PAID, {})
    moments = [begins, standing.stopped_at or begins]
    if "lapse" in known and standing.ends_at is not None and known["lapse"][0] == standing.ends_at.isoformat():
        moments.append(datetime.fromisoformat(known.get("stopped") or known["lapse"][1]))
    elif standing.stopped_at is None and (
        had or (tenant.offboarding_from is not None and tenant.offboarding_from > now)
    ):
        moments.append(now)
    return max(moments)


def _unless_set_since(tenant: Tenant, layer: Layer, dates: Dates) -> Dates | None:
    """The dates, noted in *layer*; None if they were brought to the tenant before: it may have others by hand since."""
    layer["lapse"] = dates.as_json()
    known: Layer = (tenant.overrides or {}).get(PAID, {})
    return None if tenant.lapsed_at is not None and known.get("lapse") == layer["lapse"] else dates


def _entry(value: bool | int | str, ends_at: datetime | None) -> dict[str, Any]:
    return {"value": value} if ends_at is None else {"value": value, "ends_at": ends_at.isoformat()}


def _signed(layer: Layer, had: Layer, *, provider: str, customer: str, now: datetime) -> Layer:
    """A layer that says whose word it is and since when; one that says the same as before stays as it was."""
    if not layer:
        return {}
    signed = {**layer, "by": provider, "customer": customer}
    at = had.get("at") if {key: said for key, said in had.items() if key != "at"} == signed else now.isoformat()
    return {**signed, "at": at}


async def _announce(fleet: Fleet, tenant: Tenant, plan: str, dates: Dates, *, paid_changed: bool) -> None:
    if plan != tenant.plan:
        await _record(fleet, tenant, TenantPlanChanged(before=plan, after=tenant.plan))
    if paid_changed:
        held = overrides.paid_for(tenant)
        features = [each.key for each in held if each.key in FEATURES]
        seats = next((int(each.value) for each in held if each.key == "seats"), None)
        ends = next((each.ends_at for each in held if each.ends_at is not None), None)
        said = None if ends is None else ends.isoformat()
        await _record(fleet, tenant, TenantPaymentChanged(features, seats, said))
    now = Dates.of(tenant)
    if now != dates:
        await _record(fleet, tenant, _of_lapse(tenant.plan, dates, now))


def _of_lapse(plan: str, before: Dates, now: Dates) -> Event:
    if now.offboarding_from is None:
        return TenantLapseEnded(plan)
    closes = None if now.closes_at is None else now.closes_at.isoformat()
    if before.lapsed_at is None:
        return TenantLapsed(plan, now.offboarding_from.isoformat(), closes)
    return TenantLapseChanged(now.offboarding_from.isoformat(), closes)


async def _record(fleet: Fleet, tenant: Tenant, event: Event) -> None:
    work = Work(fleet.db, TenantRef(tenant.id, tenant.slug), fleet.actor, fleet.origin, fleet.now)
    # Each of a provider's attempts to be paid has other dates: nobody set those, and nobody is mailed each time.
    await record(work, event, target=str(tenant.id), mailed=not isinstance(event, TenantLapseChanged))
