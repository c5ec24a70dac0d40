"""The story of a customer who tries, pays, fails to pay and pays again: by signed events, with one token."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from journeys.conftest import Customer, Product, eventually
from journeys.test_lapse import BULK, GROUP, LEAVES
from stripe_stand_in import DAY, Thing, event, seconds

pytestmark = [pytest.mark.slow, pytest.mark.bound(300)]

TERMS = """
[plans.team]
name = "Team"
features = ["scim", "events"]
lapse = { grace_days = 3, offboarding_only_days = 30 }

[billing.prices]
price_team = { plan = "team", seats = "quantity" }
"""
MOMENTS = ("created", "ended_at", "trial_end", "due_date", "next_payment_attempt", "current_period_start")


def tell(customer: Customer, kind: str, about: Thing, state: str) -> dict[str, Any]:
    """Have Stripe send an event, and wait until a worker has brought the customer into a state; the customer then."""
    headers, body = event(kind, about)
    address = f"{customer.product.ready['base_url']}/billing/stripe"
    answer = httpx.post(address, headers=headers, content=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return eventually(lambda: (shown := customer.ask(""))["lapse"]["state"] == state and shown)


def later(product: Product, time: timedelta) -> None:
    """Move the clock: all that Stripe knows happened so much earlier."""
    items = [item for each in product.stripe.subscriptions.values() for item in each["items"]["data"]]
    for thing in [*product.stripe.subscriptions.values(), *product.stripe.invoices.values(), *items]:
        for name in MOMENTS:
            if thing.get(name) is not None:
                thing[name] -= int(time.total_seconds())


def joins(customer: Customer, name: str) -> int:
    """Have a person created; how that is answered."""
    return customer.scim.post("/Users", json={"userName": f"{name}@{customer.slug}.test"}).status_code


def test_a_customer_pays(product: Product, tmp_path: Path) -> None:
    """Trial, paid, payment failed, grace, leavers only, closed, paid again: what passes is what is paid for."""
    (tmp_path / "tenants.toml").write_text(TERMS)
    product.command("tenants", "apply", str(tmp_path / "tenants.toml"), "--yes")
    stripe, now = product.stripe, datetime.now(UTC)
    customer = product.customer(plan="free", customer=(named := stripe.customer()))
    assert customer.scim.get("/Users").status_code == 403

    subscription = stripe.subscribe(named, ("price_team", 6), status="trialing", trial_end=seconds(now + 14 * DAY))
    assert tell(customer, "customer.subscription.created", subscription, "active")["plan"] == "team"
    maria, pedro, nina = (customer.create(f"{name}@{customer.slug}.test") for name in ("maria", "pedro", "nina"))
    members = [{"value": person["id"]} for person in (maria, pedro)]
    group = customer.scim.post("/Groups", json={"schemas": [GROUP], "displayName": "Sales", "members": members}).json()
    sessions = {person["id"]: customer.session(person).json()["token"] for person in (maria, pedro, nina)}

    later(product, 15 * DAY)
    subscription["status"] = "active"
    assert tell(customer, "invoice.paid", {"object": "invoice", "customer": named}, "active")["plan"] == "team"

    subscription["status"] = "past_due"
    owed = stripe.owe(subscription, datetime.now(UTC), datetime.now(UTC) + 5 * DAY)
    shown = tell(customer, "invoice.payment_failed", owed, "grace")
    assert (shown["plan"], shown["plan_without_payment"]) == ("free", None)
    assert datetime.fromisoformat(shown["lapse"]["offboarding_from"]) > now + 5 * DAY, "Stripe still tries"
    assert joins(customer, "fifth") == 201
    assert joins(customer, "sixth") == 201
    assert joins(customer, "seventh") == 403, "the seats that were paid for stay with the grace"

    later(product, 10 * DAY)
    subscription["status"], owed["next_payment_attempt"] = "unpaid", None
    tell(customer, "customer.subscription.updated", subscription, "offboarding_only")
    assert joins(customer, "joiner") == 403
    assert customer.deactivate(maria).status_code == 200
    assert not product.is_live(sessions[maria["id"]])
    eventually(lambda: customer.receipts(maria))
    mixed = customer.patch(pedro, {"op": "add", "path": "title", "value": "Dr"}, LEAVES)
    assert (mixed.status_code, "Done: the person was deactivated" in mixed.text) == (403, True), mixed.text
    assert not product.is_live(sessions[pedro["id"]])
    operations: list[dict[str, Any]] = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": f"bulk@{customer.slug}.test"}},
        {
            "method": "PATCH",
            "path": f"/Groups/{group['id']}",
            "data": {"Operations": [{"op": "remove", "path": "members"}]},
        },
        {"method": "PATCH", "path": f"/Users/{nina['id']}", "data": {"Operations": [LEAVES]}},
    ]
    answer = customer.scim.post("/Bulk", json={"schemas": [BULK], "Operations": operations})
    assert [each["status"] for each in answer.json()["Operations"]] == ["403", "200", "200"], answer.text
    assert not product.is_live(sessions[nina["id"]])

    later(product, 40 * DAY)
    tell(customer, "customer.subscription.updated", subscription, "closed")
    assert customer.scim.get("/Users").status_code == 403
    assert "does not pay" in product.command("plans", "explain", customer.slug)

    stripe.pay(subscription)
    assert tell(customer, "invoice.paid", owed, "active")["plan"] == "team"
    assert joins(customer, "joiner") == 201, "by the token that it had all along"
    assert customer.patch(maria, {**LEAVES, "value": True}).json()["active"] is True
    assert not product.is_live(sessions[maria["id"]])
