"""Customers as payment providers name them: heard of, expected, and which tenant each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from rollcall import paging
from rollcall.errors import Conflict, NotFound
from rollcall.metrics import PaymentFigures
from rollcall.paging import Page
from rollcall.tenancy import payment
from rollcall.tenancy.models import BillingCustomer, Tenant
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet

STRIPE: Final = "stripe"
OWN: Final = "entitlements"
"""The provider that is a billing system of one's own, which says by itself what is so."""

_COUNTS = text("""
    SELECT count(*) AS all, count(*) FILTER (WHERE NOT has_tenant) AS parked,
           count(*) FILTER (WHERE has_tenant AND due_at < clock_timestamp() - CAST(:overdue_by AS interval)) AS overdue,
           count(*) FILTER (WHERE has_tenant AND error IS NOT NULL) AS failing,
           min(error) FILTER (WHERE has_tenant) AS error
      FROM (SELECT c.due_at, c.error,
                   EXISTS (SELECT FROM tenants n WHERE n.customer = c.customer)
                   OR EXISTS (SELECT FROM tenants n WHERE n.id::text = c.customer) AS has_tenant
              FROM billing_customers c) AS each
""")

_FIGURES = text("""
    SELECT count(*) FILTER (WHERE has_tenant) AS customers, count(*) FILTER (WHERE NOT has_tenant) AS parked,
           count(*) FILTER (WHERE unasked_since IS NOT NULL) AS waiting,
           coalesce(extract(epoch FROM clock_timestamp() - min(unasked_since)), 0) AS oldest_waiting_seconds,
           count(*) FILTER (WHERE has_tenant AND error IS NOT NULL) AS failing,
           coalesce(extract(epoch FROM clock_timestamp() - min(asked_at) FILTER (WHERE has_tenant)), 0)
               AS oldest_answer_seconds
      FROM (SELECT c.error, c.asked_at,
                   CASE WHEN c.heard_at > coalesce(c.asked_at, '-infinity') THEN coalesce(
                       (SELECT min(e.received_at) FROM billing_events e
                         WHERE e.customer = c.customer AND e.received_at > coalesce(c.asked_at, '-infinity')),
                       c.heard_at) END AS unasked_since,
                   EXISTS (SELECT FROM tenants n WHERE n.customer = c.customer)
                   OR EXISTS (SELECT FROM tenants n WHERE n.id::text = c.customer) AS has_tenant
              FROM billing_customers c) AS each
""")


class OthersCustomer(Conflict):
    """Another payment provider speaks for this customer."""

    code = "others_customer"
    advice = "Have one provider speak for a customer: give it another id in one of the two systems."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a customer, and which tenant it is; *tenant* is None for one that is parked."""

    customer: str
    provider: str
    tenant: str | None
    standing: Standing | None
    asked_at: datetime | None
    heard_at: datetime | None
    applied_at: datetime | None
    due_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many customers there are."""

    all: int
    parked: int
    """Those that are no tenant's."""
    overdue: int
    """Those of tenants that should have been asked about long ago."""
    failing: int
    """Those of tenants that could not be asked about."""
    error: str | None
    """Why one of them could not."""


async def hear(fleet: Fleet, customer: str, provider: str) -> None:
    """Have a customer asked about soon, because its provider spoke of it.

    Raises:
        OthersCustomer: another provider has answered for it.
    """
    now = func.clock_timestamp()
    row = insert(BillingCustomer).values(customer=customer, provider=provider, heard_at=now, due_at=now)
    heard = row.on_conflict_do_update(
        index_elements=["customer"],
        set_={"provider": provider, "heard_at": now, "due_at": now},
        where=or_(BillingCustomer.provider == provider, BillingCustomer.asked_at.is_(None)),
    ).returning(BillingCustomer.customer)
    if await fleet.db.scalar(heard) is None:
        msg = f"Another payment provider speaks for the customer “{customer}”; give it another id in one of the two."
        raise OthersCustomer(msg)


async def expect(fleet: Fleet, customer: str) -> None:
    """Have a customer asked about soon, because a tenant was given its id or somebody wants to know."""
    now = func.clock_timestamp()
    provider = STRIPE if customer.startswith("cus_") else OWN
    row = insert(BillingCustomer).values(customer=customer, provider=provider, due_at=now)
    await fleet.db.execute(row.on_conflict_do_update(index_elements=["customer"], set_={"due_at": now}))


async def is_known(fleet: Fleet, customer: str) -> bool:
    """Whether its provider has ever said anything of a customer."""
    said = select(BillingCustomer.customer).where(
        BillingCustomer.customer == customer, BillingCustomer.said.is_not(None)
    )
    return await fleet.db.scalar(said) is not None


async def ask_again(fleet: Fleet, tenant: Tenant) -> None:
    """Have a tenant's customer asked about soon, because its plan became another; nothing for one of nobody's."""
    own = update(BillingCustomer).where(BillingCustomer.customer == named_by(tenant))
    await fleet.db.execute(own.values(due_at=func.clock_timestamp()))


async def counts(fleet: Fleet, *, overdue_by: timedelta) -> Counts:
    """How many customers there are, in which state."""
    row = (await fleet.db.execute(_COUNTS, {"overdue_by": overdue_by})).mappings().one()
    return Counts(**row)


async def figures(fleet: Fleet) -> PaymentFigures:
    """Where all customers together stand."""
    row = (await fleet.db.execute(_FIGURES)).one()
    return PaymentFigures(
        customers=row.customers,
        parked=row.parked,
        waiting=row.waiting,
        oldest_waiting_seconds=float(row.oldest_waiting_seconds),
        failing=row.failing,
        oldest_answer_seconds=float(row.oldest_answer_seconds),
    )


async def expect_all(fleet: Fleet) -> int:
    """Have everybody asked about soon; returns how many they are."""
    everybody = update(BillingCustomer).values(due_at=func.clock_timestamp()).returning(BillingCustomer.customer)
    return len((await fleet.db.scalars(everybody)).all())


async def assign(fleet: Fleet, tenant: Tenant) -> None:
    """Follow a tenant that has got another customer's id, or none: what is known of it counts from the next call on.

    Of a customer who was never asked about nothing is known yet; until it is, the tenant has what it had. A plan that
    is chosen for it together with the customer counts once it is.
    """
    if tenant.customer is None:
        await payment.apply(fleet, tenant, None, provider="")
        return
    known = await fleet.db.get(BillingCustomer, tenant.customer, populate_existing=True)
    if known is not None and known.said is not None:
        await payment.apply(fleet, tenant, Standing.of_json(known.said), provider=known.provider)
    await expect(fleet, tenant.customer)


async def find(fleet: Fleet, customer: str) -> Known:
    """What is known of a customer.

    Raises:
        NotFound: nobody has heard of it.
    """
    row = (await fleet.db.execute(_KNOWN.where(BillingCustomer.customer == customer))).one_or_none()
    if row is None:
        raise NotFound("customer of a payment provider")
    return _known(tuple(row))


async def parked(fleet: Fleet, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Known]:
    """Customers that are no tenant's, by their ids.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = _KNOWN.where(_SLUG.is_(None))
    page = await paging.page_of_several(fleet.db, rows, BillingCustomer.customer, limit=limit, cursor=cursor)
    return page.of(_known)


def named_by(tenant: Tenant) -> str:
    """What a provider calls a tenant: the customer that it was given, or else its own id."""
    return tenant.customer or str(tenant.id)


_Named, _ById = aliased(Tenant), aliased(Tenant)
_SLUG = func.coalesce(_Named.slug, _ById.slug)
_KNOWN = (
    select(BillingCustomer, _SLUG)
    .outerjoin(_Named, _Named.customer == BillingCustomer.customer)
    .outerjoin(_ById, _ById.customer.is_(None) & (cast(_ById.id, Text) == BillingCustomer.customer))
    .execution_options(populate_existing=True)
)


async def tenant_of(fleet: Fleet, customer: str) -> Tenant | None:
    """The tenant that a customer is; None if it is nobody's."""
    found = await fleet.db.scalar(select(Tenant).where(Tenant.customer == customer))
    try:
        by_id = None if found is not None else UUID(customer)
    except ValueError:
        return None
    if by_id is None or str(by_id) != customer:
        return found
    return await fleet.db.scalar(select(Tenant).where(Tenant.id == by_id, Tenant.customer.is_(None)))


def _known(row: Sequence[Any]) -> Known:
    customer, slug = row[0], row[1]
    return Known(
        customer=customer.customer,
        provider=customer.provider,
        tenant=slug,
        standing=None if customer.said is None else Standing.of_json(customer.said),
        asked_at=customer.asked_at,
        heard_at=customer.heard_at,
        applied_at=customer.applied_at,
        due_at=customer.due_at,
        error=customer.error,
    )
