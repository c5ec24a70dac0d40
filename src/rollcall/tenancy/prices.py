"""Prices: what each price at the payment provider stands for, a plan or a number of seats; written in tenants.toml."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from rollcall.errors import Invalid
from rollcall.journal.plan_events import PricesDefined
from rollcall.journal.record import record_for_installation
from rollcall.tenancy.models import BillingCustomer, BillingPrice, Plan
from rollcall.tenancy.plans import PlanTerms, terms_of
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """What a price stands for."""

    plan: str | None = None
    seats_by_quantity: bool = False
    """Whether the quantity that is bought is a number of seats."""

    def __str__(self) -> str:
        parts = [f"plan {self.plan}"] if self.plan is not None else []
        return " and ".join([*parts, "seats by quantity"] if self.seats_by_quantity else parts)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a customer has bought, in our words."""

    plan: str | None
    terms: PlanTerms | None
    """Those of the plan."""
    features: frozenset[str]
    """Features that come beside the plan."""
    seats: int | None

    @property
    def all_features(self) -> frozenset[str]:
        """Those of the plan too."""
        return self.features if self.terms is None else self.features | set(self.terms.features)


async def every(fleet: Fleet) -> Mapping[str, PriceTerms]:
    """All prices, by what the provider calls them."""
    rows = await fleet.db.scalars(select(BillingPrice).order_by(BillingPrice.price))
    return {row.price: PriceTerms(row.plan, row.seats_by_quantity) for row in rows}


async def define(fleet: Fleet, prices: Mapping[str, PriceTerms]) -> bool:
    """Have these prices and no others; everybody is asked about anew then. Returns whether anything changed.

    Raises:
        Invalid: a plan is none.
    """
    if prices == await every(fleet):
        return False
    known = set(await fleet.db.scalars(select(Plan.key)))
    for price, terms in prices.items():
        if terms.plan is not None and terms.plan not in known:
            msg = f"prices.{price}: there is no plan “{terms.plan}”; there are: {', '.join(sorted(known)) or 'none'}"
            raise Invalid(msg)
    await fleet.db.execute(delete(BillingPrice))
    for price, terms in sorted(prices.items()):
        fleet.db.add(BillingPrice(price=price, plan=terms.plan, seats_by_quantity=terms.seats_by_quantity))
    await fleet.db.execute(update(BillingCustomer).values(due_at=func.clock_timestamp()))
    said = {price: str(terms) for price, terms in sorted(prices.items())}
    await record_for_installation(fleet, PricesDefined(said))
    return True


async def offer_of(fleet: Fleet, standing: Standing) -> Offer:
    """What a customer has bought. Of several plans the one with most features counts, then most seats, then its key."""
    table = await every(fleet)
    bought = [(table.get(each.id) or table.get(each.lookup_key or ""), each.quantity) for each in standing.prices]
    keys = {terms.plan for terms, _ in bought if terms is not None and terms.plan is not None}
    if standing.plan is not None:
        keys = {standing.plan}
    rows = await fleet.db.scalars(select(Plan).where(Plan.key.in_(keys)))
    plans = sorted(((row.key, terms_of(row)) for row in rows), key=_rank)
    quantities = [quantity for terms, quantity in bought if terms is not None and terms.seats_by_quantity]
    key, terms = plans[0] if plans else (None, None)
    seats = standing.seats if standing.seats is not None else sum(quantities) or None
    return Offer(key, terms, frozenset(standing.features), seats)


def _rank(plan: tuple[str, PlanTerms]) -> tuple[int, float, str]:
    key, terms = plan
    return (-len(terms.features), -(float("inf") if terms.seats is None else terms.seats), key)
