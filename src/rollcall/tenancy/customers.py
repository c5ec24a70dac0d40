"""Customers as payment providers name them: heard of, asked about in turn, and brought to the tenant that has the id.

A row is leased to whoever asks the provider. An answer counts only while its lease is the newest, so of two that ask at
the same moment the later one is right; what is heard meanwhile has the customer asked about once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Text, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from rollcall import paging
from rollcall.db import Database
from rollcall.errors import Conflict, NotFound
from rollcall.journal.keeping import in_batches
from rollcall.paging import Page
from rollcall.tenancy import payment
from rollcall.tenancy.models import BillingCustomer, Tenant
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet

STRIPE: Final = "stripe"
OWN: Final = "entitlements"
"""The provider that is a billing system of one's own, which says by itself what is so."""

EVERY: Final = timedelta(hours=20)
"""After so long each customer is asked about again, whatever was heard: what got lost is found within a day."""

EVERY_PARKED: Final = timedelta(days=30)
"""The same for a customer that is no tenant's; the tenant that is given its id has it asked about at once."""

FORGET_PARKED_DAYS: Final = 90
"""Days without a word about a customer that is no tenant's, after which it is forgotten."""

SLOWEST_RETRY: Final = timedelta(hours=1)

_LEASE = text("""
    WITH due AS (
        SELECT customer FROM billing_customers WHERE due_at <= clock_timestamp()
         ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE billing_customers c SET lease = :lease, due_at = clock_timestamp() + make_interval(secs => :seconds)
      FROM due WHERE c.customer = due.customer
    RETURNING c.customer, c.provider, c.due_at
""")
_LEASE_ONE = text("""
    UPDATE billing_customers SET lease = :lease, due_at = clock_timestamp() + make_interval(secs => :seconds)
     WHERE customer = :customer RETURNING customer, provider, due_at
""")
_ANSWERED = text("""
    UPDATE billing_customers
       SET said = CAST(:said AS jsonb), asked_at = clock_timestamp(), attempts = 0, error = NULL,
           applied_at = CASE WHEN :applied THEN clock_timestamp() ELSE applied_at END,
           due_at = CASE WHEN due_at = :leased_until THEN CAST(:next AS timestamptz) ELSE due_at END
     WHERE customer = :customer AND lease = :lease RETURNING customer
""")
_FAILED = text("""
    UPDATE billing_customers
       SET attempts = attempts + 1, error = :error,
           due_at = CASE WHEN due_at = :leased_until
                         THEN clock_timestamp() + least(CAST(:slowest AS interval),
                                                        interval '5 seconds' * 2 ^ least(attempts, 12))
                         ELSE due_at END
     WHERE customer = :customer AND lease = :lease
""")


_FORGET_PARKED = text("""
    WITH gone AS (
        DELETE FROM billing_customers WHERE customer IN (
            SELECT c.customer FROM billing_customers c
             WHERE coalesce(c.heard_at, c.asked_at, '-infinity') < clock_timestamp() - make_interval(days => :days)
               AND NOT EXISTS (SELECT FROM tenants n WHERE n.customer = c.customer)
               AND NOT EXISTS (SELECT FROM tenants n WHERE n.id::text = c.customer)
             LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING customer)
    SELECT count(*) FROM gone
""")


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


class OthersCustomer(Conflict):
    """Another payment provider speaks for this customer."""

    code = "others_customer"
    advice = "Have one provider speak for a customer: give it another id in one of the two systems."


class AnswerOverdue(Exception):
    """Somebody else has asked about the customer since, or its tenant has changed: what was answered does not count."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A customer that is somebody's to ask about, and by which lease."""

    customer: str
    provider: str
    lease: UUID
    until: datetime


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


async def counts(fleet: Fleet, *, overdue_by: timedelta) -> Counts:
    """How many customers there are, in which state."""
    row = (await fleet.db.execute(_COUNTS, {"overdue_by": overdue_by})).mappings().one()
    return Counts(**row)


async def expect_all(fleet: Fleet) -> int:
    """Have everybody asked about soon; returns how many they are."""
    everybody = update(BillingCustomer).values(due_at=func.clock_timestamp()).returning(BillingCustomer.customer)
    return len((await fleet.db.scalars(everybody)).all())


async def lease(fleet: Fleet, *, limit: int, seconds: float) -> Sequence[Leased]:
    """Take customers that are due, so that nobody else asks about them for so many seconds."""
    mine = uuid4()
    rows = await fleet.db.execute(_LEASE, {"limit": limit, "lease": mine, "seconds": seconds})
    return [Leased(row.customer, row.provider, mine, row.due_at) for row in rows]


async def lease_one(fleet: Fleet, customer: str, *, seconds: float) -> Leased:
    """Take one customer, due or not.

    Raises:
        NotFound: nobody has heard of it.
    """
    mine = uuid4()
    found = await fleet.db.execute(_LEASE_ONE, {"customer": customer, "lease": mine, "seconds": seconds})
    row = found.one_or_none()
    if row is None:
        raise NotFound("customer of a payment provider")
    return Leased(row.customer, row.provider, mine, row.due_at)


async def answered(fleet: Fleet, leased: Leased, standing: Standing) -> bool:
    """Replace what is known of a customer by what its provider answered, and bring it to its tenant.

    Returns whether that changed a tenant.

    Raises:
        AnswerOverdue: it is no longer the caller's to answer for; the transaction has to be undone.
    """
    tenant = await _tenant_of(fleet, leased.customer)
    changed = tenant is not None and await payment.apply(fleet, tenant, standing, provider=leased.provider)
    if (now := await _tenant_of(fleet, leased.customer)) != tenant:
        raise AnswerOverdue(leased.customer)
    facts: dict[str, Any] = {
        "said": _json(standing),
        "applied": now is not None,
        "next": fleet.now + EVERY_PARKED if now is None else next_at(standing, fleet.now),
        **_of(leased),
    }
    if await fleet.db.scalar(_ANSWERED, facts) is None:
        raise AnswerOverdue(leased.customer)
    return changed


async def failed(fleet: Fleet, leased: Leased, error: str) -> None:
    """Note that a provider could not be asked; it is asked again, later each time, and what is known stays."""
    await fleet.db.execute(_FAILED, {"error": error[:1000], "slowest": SLOWEST_RETRY, **_of(leased)})


def next_at(standing: Standing, now: datetime) -> datetime:
    """When a customer is asked about next though nothing is heard: after its provider's next date, or daily."""
    dates = (standing.ends_at, standing.grace_until, standing.ask_again_at)
    ahead = [each + timedelta(minutes=1) for each in dates if each is not None and each > now]
    return min([*ahead, now + EVERY])


async def assign(fleet: Fleet, tenant: Tenant) -> None:
    """Follow a tenant that has got another customer's id, or none: what is known of it counts from the next call on.

    Of a customer who was never asked about nothing is known yet; until it is, the tenant has what it had.
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


async def forget_parked(database: Database) -> int:
    """Forget customers that are no tenant's and of whom nothing was heard for long; returns how many they were."""
    return await in_batches(database, _FORGET_PARKED, {"days": FORGET_PARKED_DAYS})


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


async def _tenant_of(fleet: Fleet, customer: str) -> Tenant | None:
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


def _of(leased: Leased) -> dict[str, Any]:
    return {"customer": leased.customer, "lease": leased.lease, "leased_until": leased.until}


def _json(standing: Standing) -> str:
    return orjson.dumps(standing.as_json()).decode()
