"""Payment that can't be heard: an alert that opens once and closes itself, and figures over all tenants."""

import pytest

from alerts.test_alerts import alerts, judge
from billing.conftest import Payment
from rollcall.alerts import mail
from rollcall.db import Connection

_PUT_BACK = "UPDATE billing_customers SET {} WHERE customer = $1"
HOUR_AGO = "now() - interval '61 minutes'"


async def figures(payment: Payment) -> dict[str, float]:
    """What ``/metrics`` says of payment."""
    text = (await payment.callers.operator.get("/metrics")).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("rollcall_billing_")]
    return {name.removeprefix("rollcall_billing_"): float(number) for name, _, number in lines}


@pytest.mark.parametrize(
    ("since", "is_failing"),
    [
        (f"heard_at = {HOUR_AGO}, asked_at = now() - interval '2 hours'", False),
        (f"due_at = {HOUR_AGO}, heard_at = NULL", False),
        ("error = 'Stripe is away', attempts = 11, asked_at = now() - interval '2 hours', heard_at = NULL", True),
    ],
    ids=["a hint waits", "nobody asks", "asking fails"],
)
async def test_told_once(payment: Payment, owner: Connection, since: str, is_failing: bool) -> None:
    """What nobody could ask about for an hour is told, once; asked, it is over."""
    acme, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_unheard", 1))
    await payment.settle()
    await judge(payment.callers)
    assert await alerts(acme, "payment_unheard") == []
    await owner.execute(_PUT_BACK.format(since), customer)
    for _ in range(2):
        await judge(payment.callers)
    (alert,) = await alerts(acme, "payment_unheard", only_open=False)
    assert "the plan and its dates stay as they were" in alert["says"]
    assert "rollcall billing show" in alert["remedy"]
    assert alert["facts"]["failing"] is is_failing
    mailed = mail.wording("alert.opened", alert, "Acme")
    assert (mailed.subject, mailed.what) == ("Acme: what is paid for can't be asked about", alert["says"])
    assert "Stripe is away" not in str(alert), "why it fails is not for the tenant's admins"
    await owner.execute(_PUT_BACK.format("due_at = now()"), customer)
    await payment.settle()
    await judge(payment.callers)
    (alert,) = await alerts(acme, "payment_unheard", only_open=False)
    assert alert["closed_at"] is not None


async def test_not_at_once(payment: Payment, owner: Connection) -> None:
    """What was heard a moment ago, and a few failures, are no alert."""
    acme, customer = await payment.a_customer()
    await payment.settle()
    soon = "heard_at = now(), error = 'a moment', attempts = 3, asked_at = now() - interval '2 hours'"
    await owner.execute(_PUT_BACK.format(soon), customer)
    await judge(payment.callers)
    assert await alerts(acme, "payment_unheard") == []


async def test_figures(payment: Payment, owner: Connection) -> None:
    """They say how many customers are parked, wait and fail, and how old the oldest of it is."""
    before = await figures(payment)
    _, customer = await payment.a_customer()
    nobodys = payment.stripe.customer()
    await payment.tell("customer.subscription.updated", {"customer": nobodys})
    await payment.settle()
    await owner.execute(
        _PUT_BACK.format(f"heard_at = {HOUR_AGO}, asked_at = now() - interval '30 hours', error = 'away'"), customer
    )
    found = await figures(payment)
    assert found["customers"] == before["customers"] + 1
    assert found["parked"] == before["parked"] + 1
    assert found["waiting"] >= 1
    assert found["failing"] >= 1
    assert found["oldest_waiting_seconds"] > 3600
    assert found["oldest_answer_seconds"] > 100_000
    await owner.execute(_PUT_BACK.format("due_at = now()"), customer)
    await payment.settle()
    after = await figures(payment)
    assert after["failing"] <= found["failing"] - 1
    assert after["waiting"] <= found["waiting"] - 1
