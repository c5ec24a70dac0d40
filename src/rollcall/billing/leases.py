"""Customers that are due, leased to whoever asks their provider, and what it answered, brought to their tenants.

An answer counts only while its lease is the newest, so of two that ask at the same moment the later one is right; what
is heard meanwhile has the customer asked about once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from rollcall.db import Database
from rollcall.errors import NotFound
from rollcall.journal.keeping import in_batches
from rollcall.tenancy import customers, payment
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet

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
_UNHEARD = text("""
    UPDATE billing_customers
       SET attempts = 0, error = NULL,
           due_at = CASE WHEN due_at = :leased_until THEN CAST(:next AS timestamptz) ELSE due_at END
     WHERE customer = :customer AND lease = :lease
""")
_FAILED = text("""
    UPDATE billing_customers
       SET attempts = attempts + 1, error = :error,
           due_at = CASE WHEN due_at = :leased_until
                         THEN clock_timestamp() + least(CAST(:slowest AS interval),
                                                        interval '5 seconds' * 2 ^ least(attempts, 12))
                         ELSE due_at END
     WHERE customer = :customer AND lease = :lease RETURNING due_at
""")
_STILL_FAILED = text("SELECT attempts > 0 FROM billing_customers WHERE customer = :customer AND lease = :lease")

SLACK: Final = timedelta(hours=1)
"""By how much the next try may be late."""

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


class AnswerOverdue(Exception):
    """Somebody else has asked about the customer since, or its tenant has changed: what was answered does not count."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A customer that is somebody's to ask about, and by which lease."""

    customer: str
    provider: str
    lease: UUID
    until: datetime


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
    tenant = await customers.tenant_of(fleet, leased.customer)
    changed = tenant is not None and await payment.apply(fleet, tenant, standing, provider=leased.provider)
    if (now := await customers.tenant_of(fleet, leased.customer)) != tenant:
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


async def unheard(fleet: Fleet, leased: Leased) -> None:
    """Note that nothing has ever been said of a customer, which is not that it pays for nothing: its tenant stays.

    It is asked about again within a day; another provider may speak for it meanwhile.
    """
    await fleet.db.execute(_UNHEARD, {"next": fleet.now + EVERY, **_of(leased)})


async def failed(fleet: Fleet, leased: Leased, error: str) -> datetime | None:
    """Note that a provider could not be asked; it is asked again, later each time, and what is known stays.

    Returns when it is tried next; None if the customer is somebody else's to ask about by now.
    """
    facts = {"error": error[:1000], "slowest": SLOWEST_RETRY, **_of(leased)}
    next_try: datetime | None = await fleet.db.scalar(_FAILED, facts)
    return next_try


async def put_off(fleet: Fleet, leased: Leased, next_try: datetime) -> bool:
    """Have a tenant keep for a day more what would end before its provider is tried next; returns whether it does."""
    tenant = await customers.tenant_of(fleet, leased.customer)
    if tenant is None:
        return False
    await fleet.db.refresh(tenant, with_for_update={"key_share": True})
    if not await fleet.db.scalar(_STILL_FAILED, {"customer": leased.customer, "lease": leased.lease}):
        return False
    return await payment.put_off(fleet, tenant, before=next_try + SLACK)


def next_at(standing: Standing, now: datetime) -> datetime:
    """When a customer is asked about next though nothing is heard: after its provider's next date, or daily."""
    dates = (standing.ends_at, standing.grace_until, standing.ask_again_at)
    ahead = [each + timedelta(minutes=1) for each in dates if each is not None and each > now]
    return min([*ahead, now + EVERY])


async def forget_parked(database: Database) -> int:
    """Forget customers that are no tenant's and of whom nothing was heard for long; returns how many they were."""
    return await in_batches(database, _FORGET_PARKED, {"days": FORGET_PARKED_DAYS})


def _of(leased: Leased) -> dict[str, Any]:
    return {"customer": leased.customer, "lease": leased.lease, "leased_until": leased.until}


def _json(standing: Standing) -> str:
    return orjson.dumps(standing.as_json()).decode()
