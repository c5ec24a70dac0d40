"""What another plan, or a plan's edit, would mean for a tenant: beforehand, in numbers and names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollcall.access import tokens
from rollcall.access.models import Token
from rollcall.access.token_states import TokenState
from rollcall.access.tokens import Scope
from rollcall.events import destinations
from rollcall.tenancy import overrides, plans, seats, tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import Fleet


@dataclass(frozen=True, slots=True)
class Preview:
    """Who and what of a tenant is affected; overrides that hold now count as they do."""

    tenant: str
    gained: Sequence[str]
    """Features that it would gain."""
    lost: Sequence[str]
    """Features that it would lose."""
    seats_before: int | None
    seats_after: int | None
    used: int
    tokens: Sequence[str]
    """Labels of the live tokens for SCIM that would lose what gives."""
    destinations: Sequence[str]
    """Labels of its destinations that would hear of who is out, and of nothing else."""
    sentences: Sequence[str]
    """The same for people; empty if nothing changes for anybody."""


async def preview(fleet: Fleet, tenant: Tenant, before: PlanTerms, after: PlanTerms) -> Preview:
    """What changes for a tenant that has *before* when it has *after* instead."""
    held = {key: each.value for key, each in overrides.in_effect(tenant, fleet.now).items()}
    had, has = (overrides.features_with(tenant, terms.features, fleet.now) for terms in (before, after))
    lost = sorted(had - has)
    async with fleet.within(tenants.ref(tenant)) as work:
        used = (await seats.own(work)).used
        losing = [each.label for each in await tokens.every(work) if _for_scim(each)] if "scim" in lost else []
        told = [each for each in await destinations.every(work) if each.disabled_at is None]
    more = [each.label for each in told if not (each.topics and destinations.UNGATED.issuperset(each.topics))]
    found = Preview(
        tenant=tenant.slug,
        gained=sorted(has - had),
        lost=lost,
        seats_before=_seats(held, before),
        seats_after=_seats(held, after),
        used=used,
        tokens=losing,
        destinations=more if "events" in lost else [],
        sentences=(),
    )
    said = [*_said(found, after), *_limits(tenant, before, after)]
    return replace(found, sentences=said)


async def preview_plan(fleet: Fleet, tenant: Tenant, plan: str) -> Preview:
    """What changes for a tenant if it is put on the plan *plan*: nothing yet while a plan that is paid for stands in.

    Raises:
        NotFound: there is no such plan.
    """
    before, after = await plans.find(fleet, tenant.plan), await plans.find(fleet, plan)
    if tenant.plan_without_payment is None:
        return await preview(fleet, tenant, plans.terms_of(before), plans.terms_of(after))
    same = await preview(fleet, tenant, plans.terms_of(before), plans.terms_of(before))
    if plan == tenant.plan_without_payment:
        return same
    waits = (
        f"the choice waits: {before.name} is paid for, or that is not known yet, so it stays; after that the tenant "
        f"has {after.name}"
    )
    return replace(same, sentences=[waits])


def _for_scim(token: Token) -> bool:
    return TokenState(token.state).works and bool({Scope.SCIM, Scope.SCIM_READ} & set(token.scopes))


def _seats(held: dict[str, bool | int | str], terms: PlanTerms) -> int | None:
    own = held.get("seats")
    return own if isinstance(own, int) else terms.seats


def _said(found: Preview, after: PlanTerms) -> list[str]:
    said = [f"gains {feature}" for feature in found.gained]
    if "scim" in found.lost:
        said.append(
            f"loses SCIM ({after.name} does not include it): {found.used:,} active people are no longer kept up to "
            f"date, leavers are cut off as the lapse says; live tokens: {_named(found.tokens)}"
        )
    if "events" in found.lost:
        said.append(f"loses events: destinations that hear of who is out alone: {_named(found.destinations)}")
    said += [f"loses {feature}" for feature in found.lost if feature not in ("scim", "events")]
    if found.seats_before != found.seats_after:
        change = f"seats {_any(found.seats_before)} -> {_any(found.seats_after)}"
        said.append(f"{change}, {found.used:,} used{_full(found, after)}")
    return said


def _full(found: Preview, after: PlanTerms) -> str:
    if found.seats_after is None or found.used < found.seats_after:
        return ""
    over = found.used - found.seats_after
    outcome = "newcomers are refused" if after.seat_policy == "refuse" else "newcomers are let in, and it is announced"
    return f", {over:,} too many: nobody is cut off, {outcome}" if over else f": full, {outcome}"


def _limits(tenant: Tenant, before: PlanTerms, after: PlanTerms) -> list[str]:
    said: list[str] = []
    if tenant.rate_per_second is None and before.rate_per_second != after.rate_per_second:
        said.append(f"calls a second {before.rate_per_second or 'any'} -> {after.rate_per_second or 'any'}")
    if before.retention_days != after.retention_days:
        said.append(f"the audit is kept for {before.retention_days} -> {after.retention_days} days")
    return said


def _named(labels: Sequence[str], most: int = 5) -> str:
    if not labels:
        return "none"
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return f"{len(labels)} ({', '.join(f'“{label}”' for label in labels[:most])}{more})"


def _any(number: int | None) -> str:
    return "any" if number is None else f"{number:,}"
