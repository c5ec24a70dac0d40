"""Whatever order events come in, however often, and whichever are lost: what a tenant has in the end is the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.conftest import Payment, define
from factories import Tenant
from fuzz.bounds import bounded
from rollcall.db import Connection
from rollcall.tenancy.prices import PriceTerms
from stripe_stand_in import DAY, Thing, event, seconds

START = datetime.now(UTC).replace(microsecond=0)
KINDS = (
    "customer.subscription.updated",
    "entitlements.active_entitlement_summary.updated",
    "invoice.payment_failed",
    "customer.subscription.trial_will_end",
)
STORY: Sequence[tuple[str, dict[str, Any], Sequence[str]]] = (
    ("tries", {"status": "trialing", "trial_end": seconds(START + DAY)}, ["events"]),
    ("pays", {"status": "active"}, ["events"]),
    ("owes", {"status": "past_due"}, ["events"]),
    ("gave up", {"status": "unpaid"}, []),
    ("left", {"status": "canceled", "ended_at": seconds(START - DAY)}, ["events"]),  # a stale entitlement
)
"""What is so at Stripe, one after the other: the subscription, and the entitlements."""

ENDS = [name for name, _, _ in STORY]


@dataclass(frozen=True)
class Step:
    """What Rollcall hears while Stripe is in a state, and how often a worker asks."""

    heard: list[str]
    asks: int


STEPS = st.lists(
    st.builds(Step, heard=st.lists(st.sampled_from(KINDS), max_size=3), asks=st.integers(0, 2)),
    min_size=len(STORY),
    max_size=len(STORY),
)


def become(payment: Payment, subscription: Thing, invoice: Thing, name: str) -> None:
    """Have Stripe be in a state of the story."""
    said, entitled = next((said, entitled) for each, said, entitled in STORY if each == name)
    subscription |= {"ended_at": None, "trial_end": None, **said}
    invoice["status"] = "open" if name in ("owes", "gave up", "left") else "paid"
    invoice["next_payment_attempt"] = seconds(START + 2 * DAY) if name == "owes" else None
    payment.stripe.entitled[subscription["customer"]] = list(entitled)


async def had_in_the_end(owner: Connection, tenant: Tenant) -> Any:
    """All that decides what a tenant may do; whose word it is by another name is no difference."""
    return await owner.fetchval(
        "SELECT jsonb_build_array(plan, plan_without_payment, lapsed_at, offboarding_from, closes_at,"
        " overrides #- '{paid,at}' #- '{paid,customer}' ) FROM tenants WHERE id = $1::text::uuid",
        tenant.id,
    )


async def live(payment: Payment, owner: Connection, end: str, steps: Sequence[Step], late: Sequence[int]) -> Any:
    """Live through the story up to its *end*; then events of before come late, and once a day somebody asks."""
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_order", 7))
    invoice = payment.stripe.owe(subscription, START - 5 * DAY, None)
    sent: list[tuple[dict[str, str], bytes]] = []
    for (name, _, _), step in zip(STORY, steps, strict=True):
        become(payment, subscription, invoice, name)
        for kind in step.heard:
            sent.append(event(kind, {**subscription, "object": "any"}))
            assert (await payment.post(*sent[-1])).status_code == 200
        for _ in range(step.asks):
            await payment.settle()
        if name == end:
            break
    for number in late:
        if not sent:
            break
        assert (await payment.post(*sent[number % len(sent)])).status_code == 200
    await payment.callers.operator.post(f"{tenant.v1}/billing/reconcile")
    await payment.settle()
    return await had_in_the_end(owner, tenant)


@bounded(30)
@given(end=st.sampled_from(ENDS), steps=STEPS, late=st.lists(st.integers(0, 20), max_size=6))
async def test_any_order(payment: Payment, owner: Connection, end: str, steps: list[Step], late: list[int]) -> None:
    """Any order, repetition and loss of events, and any moments at which a worker asks, come to the same end."""
    await define(payment.callers, {"price_order": PriceTerms("business", seats_by_quantity=True)})
    payment.stripe.features["prod_order"] = ["events"]
    wanted = await live(payment, owner, end, [Step([], 0)] * len(STORY), [])
    assert await live(payment, owner, end, steps, late) == wanted
