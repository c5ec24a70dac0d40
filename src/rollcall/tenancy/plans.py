"""Plans: what a customer pays for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Text, func, select, update
from sqlalchemy import cast as cast_to

from rollcall import paging
from rollcall.errors import Conflict, NotFound
from rollcall.journal.events import PlanDefined
from rollcall.journal.record import record_for_installation
from rollcall.paging import Page
from rollcall.tenancy import lapse
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.models import BillingCustomer, Plan, Tenant
from rollcall.tenancy.seats import SeatPolicy
from rollcall.work import Fleet, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """What a plan includes. A rate of 0 means no limit; *seats* None means any number."""

    name: str
    features: tuple[str, ...] = ()
    seats: int | None = None
    seat_policy: SeatPolicy = "refuse"
    """What becomes of newcomers beyond the seats."""
    rate_per_second: int = 50
    rate_burst: int = 200
    retention_days: int = 400
    lapse: LapseTerms = field(default_factory=LapseTerms)
    closed: bool = False
    """Whether no tenant is put on it any more; those that are on it stay."""


class PlanClosed(Conflict):
    """No tenant is put on this plan any more."""

    code = "plan_closed"
    advice = "Choose a plan that is open, or open this one in tenants.toml; tenants that are on it stay on it."

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            f"The plan {plan.name} ({plan.key}) is closed: tenants that are on it stay, and no other is put on it. "
            f"Choose another plan, or apply a tenants.toml in which [plans.{plan.key}] does not say closed = true."
        )


async def define(fleet: Fleet, key: str, terms: PlanTerms) -> bool:
    """Create the plan or change it to *terms*; it takes effect at every tenant's next call.

    Its tenants lapse if it loses SCIM by that, and come back if it gains it; who pays is asked about anew. Returns
    whether anything changed.
    """
    plan = await fleet.db.get(Plan, key, with_for_update={"key_share": True}, populate_existing=True)
    is_new = plan is None
    had_scim = plan is not None and "scim" in plan.features
    if plan is None:
        plan = Plan(key=key)
        fleet.db.add(plan)
    elif terms_of(plan) == terms:
        return False
    plan.name = terms.name
    plan.features = list(terms.features)
    plan.seats = terms.seats
    plan.seat_policy = terms.seat_policy
    plan.rate_per_second = terms.rate_per_second
    plan.rate_burst = terms.rate_burst
    plan.retention_days = terms.retention_days
    plan.lapse_grace_days = terms.lapse.grace_days
    plan.lapse_offboarding_days = terms.lapse.offboarding_only_days
    plan.closed = terms.closed
    await fleet.db.flush()  # tenants made in the same transaction point at it
    await record_for_installation(fleet, PlanDefined(key=key, features=list(terms.features)), target=key)
    if had_scim or "scim" in terms.features:
        await lapse.follow_plan(fleet, key, had_scim=had_scim)
    if not is_new:
        await _ask_about(fleet, key)
    return True


async def _ask_about(fleet: Fleet, key: str) -> None:
    """Have the customers asked about soon whose tenants have a plan, or would have it without payment."""
    named = func.coalesce(Tenant.customer, cast_to(Tenant.id, Text))
    having = select(named).where((Tenant.plan == key) | (Tenant.plan_without_payment == key))
    asked = select(BillingCustomer.customer).where(BillingCustomer.customer.in_(having))
    rows = asked.order_by(BillingCustomer.customer).with_for_update()
    due = (await fleet.db.scalars(rows)).all()
    if due:
        now = func.clock_timestamp()
        await fleet.db.execute(
            update(BillingCustomer).where(BillingCustomer.customer.in_(due)).values(due_at=now),
            execution_options={"synchronize_session": False},
        )


def terms_of(plan: Plan) -> PlanTerms:
    """The terms a stored plan has."""
    return PlanTerms(
        name=plan.name,
        features=tuple(plan.features),
        seats=plan.seats,
        seat_policy=cast("SeatPolicy", plan.seat_policy),
        rate_per_second=plan.rate_per_second,
        rate_burst=plan.rate_burst,
        retention_days=plan.retention_days,
        lapse=LapseTerms(plan.lapse_grace_days, plan.lapse_offboarding_days),
        closed=plan.closed,
    )


async def every(fleet: Fleet) -> Sequence[Plan]:
    """All plans, by key."""
    return (await fleet.db.scalars(select(Plan).order_by(Plan.key))).all()


async def page(fleet: Fleet, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Plan]:
    """Some of the plans, by key.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    return await paging.page(fleet.db, select(Plan), Plan.key, limit=limit, cursor=cursor)


async def choose(fleet: Fleet, key: str) -> Plan:
    """The plan called *key*, for a tenant to be put on.

    Raises:
        NotFound: there is none.
        PlanClosed: no tenant is put on it any more.
    """
    plan = await find(fleet, key)
    if plan.closed:
        raise PlanClosed(plan)
    return plan


async def own(work: Work) -> Plan:
    """The plan of the tenant this work is for."""
    rows = await work.db.scalars(select(Plan).join(Tenant, Tenant.plan == Plan.key).where(Tenant.id == work.tenant.id))
    return rows.one()


async def find(fleet: Fleet, key: str) -> Plan:
    """The plan called *key*.

    Raises:
        NotFound: there is none.
    """
    plan = await fleet.db.get(Plan, key)
    if plan is None:
        raise NotFound(f"plan as “{key}”")
    return plan
