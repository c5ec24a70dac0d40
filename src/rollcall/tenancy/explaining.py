"""Why something is refused to a tenant, or is not: by its plan, an override, its lapse, its seats, a pause."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rollcall.tenancy import overrides, plans, seats, tenants
from rollcall.tenancy.features import FEATURES
from rollcall.tenancy.lapse import LapseState
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.overrides import Override
from rollcall.work import Fleet

Because = Literal["plan", "override", "payment", "lapse", "seats", "suspended", "paused"]


@dataclass(frozen=True, slots=True)
class Explained:
    """One thing that a tenant may do or not, and why."""

    what: str
    """A feature, or ``newcomers``: letting somebody in."""
    passes: bool
    because: Because
    said: str
    """The reason and, if it is refused, the remedy."""


async def explain(fleet: Fleet, tenant: Tenant) -> Sequence[Explained]:
    """What a tenant may do at this moment, and what decides about it."""
    plan = await plans.find(fleet, tenant.plan)
    held = overrides.in_effect(tenant, fleet.now)
    if tenant.status != "active":
        said = f"the tenant is suspended; 'rollcall tenants resume {tenant.slug}' lets it in again"
        return [Explained(what, False, "suspended", said) for what in (*FEATURES, "newcomers")]
    found = [_feature(tenant, plan, feature, held.get(feature)) for feature in FEATURES]
    async with fleet.within(tenants.ref(tenant)) as work:
        where = await seats.own(work)
    return [*found, _newcomers(tenant, found[0], where, fleet)]


def _feature(tenant: Tenant, plan: Plan, feature: str, given: Override | None) -> Explained:
    if feature in plan.features and tenant.plan_without_payment is not None:
        return Explained(feature, True, "payment", f"the plan {plan.name}, which is paid for, includes it")
    if feature in plan.features:
        return Explained(feature, True, "plan", f"the plan {plan.name} includes it")
    if given is not None:
        until = "" if given.ends_at is None else f" until {given.ends_at:%Y-%m-%d %H:%M} UTC"
        if given.is_paid:
            return Explained(feature, True, "payment", f"it is paid for{until}: {given.reason}")
        return Explained(feature, True, "override", f"{given.by} gave it{until}: {given.reason}")
    remedy = f"put {tenant.slug} on a plan with it, or set an override"
    if feature == "scim" and tenant.lapse_state != LapseState.NEVER:
        return Explained(
            feature,
            tenant.lapse_state == LapseState.GRACE,
            "lapse",
            f"the plan {plan.name} does not include it{_unpaid(tenant)}, "
            f"and the tenant is {tenant.lapse_state}; {remedy}",
        )
    return Explained(feature, False, "plan", f"the plan {plan.name} does not include it; {remedy}")


def _unpaid(tenant: Tenant) -> str:
    layer = (tenant.overrides or {}).get(overrides.PAID, {})
    return f", {layer['customer']} does not pay for it any more" if "lapse" in layer else ""


def _newcomers(tenant: Tenant, scim: Explained, where: seats.Seats, fleet: Fleet) -> Explained:
    if not scim.passes:
        return Explained("newcomers", False, scim.because, "nobody comes over SCIM, see there")
    if tenant.paused_until is not None and tenant.paused_until > fleet.now:
        said = (
            f"paused until {tenant.paused_until:%Y-%m-%d %H:%M} UTC; 'rollcall tenants unpause {tenant.slug}' ends it"
        )
        return Explained("newcomers", False, "paused", said)
    if where.allowed is None:
        return Explained("newcomers", True, "plan", f"the plan {where.plan} has any number of seats")
    taken = f"{where.used:,} of {where.allowed:,} seats are taken"
    if where.used < where.allowed:
        return Explained("newcomers", True, "seats", taken)
    if where.policy == "overage":
        return Explained("newcomers", True, "seats", f"{taken}, and more are let in by the policy overage")
    return Explained("newcomers", False, "seats", f"{taken}; raise the plan's seats, or override them for the tenant")
