"""Events as they come in: each is stored once, and its customer is due to be asked about, in the same transaction."""

from typing import Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from rollcall.billing import leases
from rollcall.billing.models import BillingEvent
from rollcall.billing.provider import Hint
from rollcall.db import Database
from rollcall.errors import Invalid
from rollcall.journal.keeping import Did, in_batches
from rollcall.tenancy import customers, plans, tenants
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet

KEPT_DAYS: Final = 90
"""Days for which an event is known again; providers repeat theirs for three, or by hand for thirty."""

_FORGET = text("""
    WITH gone AS (
        DELETE FROM billing_events WHERE (provider, id) IN (
            SELECT e.provider, e.id FROM billing_events e
             WHERE e.received_at < clock_timestamp() - make_interval(days => :days)
               AND (e.said IS NULL OR EXISTS (SELECT FROM billing_events n
                                               WHERE n.customer = e.customer AND n.said IS NOT NULL
                                                 AND (n.happened_at, n.id) > (e.happened_at, e.id)))
             LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING id)
    SELECT count(*) FROM gone
""")


async def take(fleet: Fleet, provider: str, hint: Hint) -> bool:
    """Store an event, and have its customer asked about; returns whether it is new.

    Raises:
        Invalid: it names a plan that is none.
        NotFound: it names a tenant, and there is none of that name.
        OthersCustomer: another provider speaks for the customer.
    """
    customer = hint.customer
    if hint.said is not None and hint.said.plan is not None:
        await _check_plan(fleet, hint.said.plan)
    if hint.tenant is not None:
        customer = customers.named_by(await tenants.find(fleet, hint.tenant))
    row = insert(BillingEvent).values(
        provider=provider,
        id=hint.id,
        kind=hint.kind,
        customer=customer,
        happened_at=hint.happened_at,
        said=None if hint.said is None else hint.said.as_json(),
    )
    stored = await fleet.db.scalar(row.on_conflict_do_nothing().returning(BillingEvent.id))
    if stored is None:
        return False
    if customer is not None:
        await customers.hear(fleet, customer, provider)
    return True


async def _check_plan(fleet: Fleet, plan: str) -> None:
    known = [each.key for each in await plans.every(fleet)]
    if plan not in known:
        msg = f"plan: there is no plan “{plan}”; the plans are: {', '.join(known) or 'none yet'}"
        raise Invalid(msg, param="plan")


async def newest_said(fleet: Fleet, customer: str) -> Standing | None:
    """What was said last of a customer, by the moment that it was so and not by when it came."""
    newest = (BillingEvent.happened_at.desc(), BillingEvent.id.desc())
    rows = select(BillingEvent.said).where(BillingEvent.customer == customer, BillingEvent.said.is_not(None))
    said = await fleet.db.scalar(rows.order_by(*newest).limit(1))
    return None if said is None else Standing.of_json(said)


async def forget(database: Database) -> Did:
    """Forget events that nobody repeats any more, but of what was said the newest; and customers that are nobody's."""
    events = await in_batches(database, _FORGET, {"days": KEPT_DAYS})
    return {"events_forgotten": events, "customers_forgotten": await leases.forget_parked(database)}
