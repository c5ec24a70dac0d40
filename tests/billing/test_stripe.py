"""Stripe: signed events are hints, and what it answers, all pages of it, is brought to the tenant."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.conftest import Payment, define, has
from factories import ORIGIN, a_tenant
from rollcall.billing import stripe_api
from rollcall.billing.provider import CanNotAsk
from rollcall.db import Connection
from rollcall.tenancy import plans
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.work import SYSTEM, open_fleet
from stripe_stand_in import DAY, event, seconds, signed_body, summary

NOW = datetime.now(UTC)


async def test_features_are_paid_for(payment: Payment) -> None:
    """A feature that Stripe entitles a customer to is the tenant's from the next call on, whatever its plan."""
    tenant, customer = await payment.a_customer()
    assert (await tenant.scim.get("/Users")).status_code == 403
    subscription = payment.stripe.subscribe(customer, ("price_features", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.tell("entitlements.active_entitlement_summary.updated", summary(customer, ["scim"]))
    assert await has(tenant) == ("free", "never"), "the event alone changes nothing"
    await payment.settle()
    assert await has(tenant) == ("free", "active")
    assert (await tenant.scim.get("/Users")).status_code == 200

    ended = NOW - 3 * DAY
    subscription |= {"status": "canceled", "ended_at": seconds(ended)}
    payment.stripe.features["prod_features"] = ["scim"]  # what it had; a stale entitlement is still there
    await payment.tell("customer.subscription.deleted", subscription)
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")
    shown = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
    assert datetime.fromisoformat(shown["lapsed_at"]) == ended.replace(microsecond=0)


async def test_more_than_ten(payment: Payment) -> None:
    """The event carries ten entitlements; all pages of them count, and those that are no feature give nothing."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_many", 1))
    payment.stripe.entitled[customer] = keys = [*(f"other-{number}" for number in range(12)), "scim"]
    await payment.tell("entitlements.active_entitlement_summary.updated", summary(customer, keys))
    await payment.settle()
    assert await has(tenant) == ("free", "active")
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert sorted(shown["features"]) == sorted(keys)


async def test_a_price_is_a_plan(payment: Payment) -> None:
    """A price stands for a plan, found by its id or its lookup key; the quantity is the seats where it is said so."""
    await define(
        payment.callers,
        {"price_team": PriceTerms("business", seats_by_quantity=True), "yearly": PriceTerms("enterprise")},
    )
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(
        customer, ("price_team", 2), status="trialing", trial_end=seconds(NOW + DAY)
    )
    await payment.tell("customer.subscription.created", subscription)
    await payment.settle()
    assert await has(tenant) == ("business", "active")
    await tenant.person()  # beside ada
    refused = await tenant.scim.post("/Users", json={"userName": "third"})
    assert (refused.status_code, "2 seats" in refused.text) == (403, True), refused.text

    item = subscription["items"]["data"][0]
    item["price"] = {**item["price"], "id": "price_other", "lookup_key": "yearly"}
    await payment.tell("customer.subscription.updated", subscription)
    await payment.settle()
    assert await has(tenant) == ("enterprise", "active")
    assert (await tenant.scim.post("/Users", json={"userName": "third"})).status_code == 201


async def test_a_payment_fails(payment: Payment) -> None:
    """While Stripe still tries to be paid everything works, seats too; after that leavers only; paid again, all."""
    await define(payment.callers, {"price_fails": PriceTerms("business", seats_by_quantity=True)})
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_fails", 50))
    await payment.tell("customer.subscription.created", subscription)
    await payment.settle()
    maria = await tenant.person()

    subscription["status"] = "past_due"
    invoice = payment.stripe.owe(subscription, NOW - 2 * DAY, NOW + 3 * DAY)
    await payment.tell("invoice.payment_failed", invoice)
    await payment.settle()
    assert await has(tenant) == ("free", "grace")
    shown = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
    assert datetime.fromisoformat(shown["lapsed_at"]) == (NOW - 2 * DAY).replace(microsecond=0)
    assert datetime.fromisoformat(shown["offboarding_from"]) == (NOW + 4 * DAY).replace(microsecond=0)
    pedro = await tenant.person()

    subscription["status"] = "unpaid"
    invoice["next_payment_attempt"] = None
    await payment.tell("customer.subscription.updated", subscription)
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")
    assert (await tenant.scim.post("/Users", json={"userName": "joiner"})).status_code == 403
    assert (await tenant.scim.delete(f"/Users/{maria['id']}")).status_code == 204

    payment.stripe.pay(subscription)
    await payment.tell("invoice.paid", invoice)
    await payment.settle()
    assert await has(tenant) == ("business", "active")
    assert (await tenant.scim.get(f"/Users/{pedro['id']}")).status_code == 200


async def test_what_is_lost_is_found(payment: Payment) -> None:
    """Of an event that never came its customer is asked all the same: when the tenant is given it, and once a day."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_lost", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    assert await has(tenant) == ("free", "active")
    for each in payment.stripe.subscriptions.values():
        if each["customer"] == customer:
            each |= {"status": "canceled", "ended_at": seconds(NOW - DAY)}
    payment.stripe.features["prod_lost"] = ["scim"]
    await payment.settle()
    assert await has(tenant) == ("free", "active"), "nobody is asked about before their time"
    answer = await payment.callers.operator.post(f"{tenant.v1}/billing/reconcile")
    assert answer.status_code == 202, answer.text
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_unknown_customers_are_parked(payment: Payment) -> None:
    """A customer that is no tenant's is kept and shown; the tenant that is given its id has at once what is paid."""
    customer = payment.stripe.customer()
    payment.stripe.entitled[customer] = ["scim"]
    subscription = payment.stripe.subscribe(customer, ("price_parked", 1))
    await payment.tell("customer.subscription.created", subscription)
    await payment.settle()
    parked = (await payment.callers.operator.get("/v1/billing/parked", params={"limit": 500})).json()["data"]
    assert [each["paid"] for each in parked if each["customer"] == customer] == [True]
    tenant = await a_tenant(payment.callers, plan="free", customer=customer)
    assert await has(tenant) == ("free", "active")
    parked = (await payment.callers.operator.get("/v1/billing/parked", params={"limit": 500})).json()["data"]
    assert customer not in [each["customer"] for each in parked]

    other = await payment.callers.operator.patch(tenant.v1, json={"customer": None})
    assert other.status_code == 200, other.text
    assert await has(tenant) == ("free", "offboarding_only")


@pytest.mark.parametrize("away", [timedelta(hours=-1), timedelta(hours=1)], ids=["stale", "future"])
async def test_signed_at_another_time(payment: Payment, away: timedelta) -> None:
    """What is signed rightly, but too long ago or ahead of time, is refused, and leaves no trace."""
    _, customer = await payment.a_customer()
    about = {"object": "customer", "id": customer}
    answer = await payment.post(*event("customer.updated", about, at=datetime.now(UTC) + away))
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_refused"), answer.text


async def test_two_moments(payment: Payment) -> None:
    """What was signed long ago does not become new by a second moment in the header."""
    about = {"object": "customer", "id": payment.stripe.customer()}
    headers, body = event("customer.updated", about, at=datetime.now(UTC) - timedelta(hours=1))
    more = f"{headers['stripe-signature']},t={seconds(datetime.now(UTC))}"
    answer = await payment.post({**headers, "stripe-signature": more}, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_refused"), answer.text


async def test_forged(payment: Payment) -> None:
    """Another secret, another body, no signature: refused."""
    headers, body = event("customer.updated", {"object": "customer", "id": payment.stripe.customer()})
    nothing: dict[str, str] = {}
    for forged in (
        (headers, body.replace(b"cus_", b"cus-")),
        ({"stripe-signature": headers["stripe-signature"][:-1] + "0"}, body),
        ({"stripe-signature": "nonsense"}, body),
        ({"stripe-signature": "t=,v1="}, body),
        (nothing, body),
    ):
        answer = await payment.post(*forged)
        if forged[0].get("stripe-signature") == headers["stripe-signature"] and forged[1] == body:
            continue  # the last digit was a 0
        assert (answer.status_code, answer.json()["code"]) == (400, "signature_refused"), answer.text


async def test_stripe_is_away(payment: Payment) -> None:
    """While Stripe does not answer a tenant keeps what it has; the reason is shown, and it is asked again."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_away", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    payment.stripe.entitled[customer] = []
    await payment.tell("entitlements.active_entitlement_summary.updated", summary(customer, []))
    payment.stripe.broken = True
    try:
        await payment.settle()
    finally:
        payment.stripe.broken = False
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert "Stripe did not answer" in shown["error"]
    assert await has(tenant) == ("free", "active")
    await payment.callers.operator.post(f"{tenant.v1}/billing/reconcile")
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_more_than_a_page_of_everything(payment: Payment) -> None:
    """Items, subscriptions, invoices and features that do not fit on a page all count."""
    await define(payment.callers, {"price_seat": PriceTerms(seats_by_quantity=True)})
    tenant, customer = await payment.a_customer()
    for _ in range(4):
        payment.stripe.subscribe(customer, ("price_seat", 100), status="incomplete_expired")
    subscription = payment.stripe.subscribe(customer, *[("price_seat", 1)] * 5)
    items = subscription["items"]
    subscription["all_items"] = items["data"]
    subscription["items"] = {"object": "list", "has_more": True, "data": items["data"][:2]}
    await payment.settle()
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert [each["quantity"] for each in shown["prices"]] == [1] * 5
    assert (await payment.callers.operator.get(f"{tenant.v1}/seats")).json()["allowed"] == 5

    subscription["status"] = "past_due"
    payment.stripe.features["prod_seat"] = ["a", "b", "c", "d", "scim"]
    for number in range(5):
        payment.stripe.owe(subscription, NOW - (number + 1) * DAY, None)
    await payment.tell("invoice.payment_failed", {"object": "invoice", "customer": customer})
    await payment.settle()
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert "scim" in shown["features"]
    assert datetime.fromisoformat(shown["ends_at"]) == (NOW - 5 * DAY).replace(microsecond=0)


async def test_no_event_of_stripes(payment: Payment) -> None:
    """What is signed and no event is refused; an event about nobody is taken, and has nobody asked about."""
    mistakes: list[dict[str, Any]] = [
        {"object": "v2.core.event"},
        {"data": {}},
        {"data": {"object": []}},
        {"created": "now"},
        {"id": None},
    ]
    for wrong in mistakes:
        answer = await payment.post(*signed_body({**json.loads(event("ping", {})[1]), **wrong}))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), (wrong, answer.text)
    answer = await payment.post(*event("balance.available", {"object": "balance"}))
    assert answer.status_code == 200, answer.text


async def test_an_event_comes_twice(payment: Payment) -> None:
    """An event that comes again is answered 200 and changes nothing."""
    sent = event("customer.updated", {"object": "customer", "id": payment.stripe.customer()})
    assert (await payment.post(*sent)).json() == {"received": True, "new": True}
    assert (await payment.post(*sent)).json() == {"received": True, "new": False}


async def test_the_package_is_missing(payment: Payment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra events are 503, which Stripe sends again, and the answer says what to install."""
    monkeypatch.setattr(stripe_api, "is_installed", lambda: False)
    answer = await payment.post(*event("customer.updated", {"object": "customer", "id": payment.stripe.customer()}))
    assert (answer.status_code, "pip install 'rollcall[stripe]'" in answer.text) == (503, True), answer.text
    with pytest.raises(CanNotAsk, match="is not installed for the workers"):
        await payment.providers["stripe"].ask("cus_1")


def test_the_package_is_imported_late() -> None:
    """Whoever has nobody pay through Stripe does not load its package."""
    program = "import sys, rollcall.app, rollcall.worker.tasks; print('stripe' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "False\n"


async def test_answered_once_it_is_stored(payment: Payment, rival: Connection) -> None:
    """What can't be stored now is answered 503, and sent again it is new: 200 says that it is committed."""
    sent = event("customer.updated", {"object": "customer", "id": payment.stripe.customer()})
    async with rival.transaction():
        await rival.execute("LOCK TABLE billing_customers IN ACCESS EXCLUSIVE MODE")
        answer = await payment.post(*sent)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    assert (await payment.post(*sent)).json() == {"received": True, "new": True}


@pytest.mark.parametrize("end", ["unpaid", "canceled", "unpaid, and nothing was heard before"])
async def test_three_weeks_of_retries(payment: Payment, end: str) -> None:
    """However long Stripe tried, leavers are cut off for all the days of the plan once it gives up."""
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        terms = PlanTerms(name="Fortnight", features=("scim",), lapse=LapseTerms(0, 14))
        await plans.define(fleet, "fortnight", terms)
    await define(payment.callers, {"price_fortnight": PriceTerms("fortnight")})
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_fortnight", 1))
    await payment.settle()
    assert await has(tenant) == ("fortnight", "active")

    subscription["status"] = "past_due"
    invoice = payment.stripe.owe(subscription, NOW - 21 * DAY, NOW - timedelta(hours=1))
    announced = (NOW - timedelta(hours=1) + DAY).replace(microsecond=0)
    if end in ("unpaid", "canceled"):
        await payment.tell("invoice.payment_failed", invoice)
        await payment.settle()
        assert await has(tenant) == ("free", "grace")

    invoice["next_payment_attempt"] = None
    subscription |= {"status": end.partition(",")[0], "ended_at": seconds(NOW) if end == "canceled" else None}
    closes: set[datetime] = set()
    for _ in range(2):
        await payment.tell("customer.subscription.updated", subscription)
        await payment.settle()
        assert await has(tenant) == ("free", "offboarding_only")
        shown = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
        assert datetime.fromisoformat(shown["lapsed_at"]) == (NOW - 21 * DAY).replace(microsecond=0)
        closes.add(datetime.fromisoformat(shown["closes_at"]))
    assert len(closes) == 1
    assert min(closes) >= NOW + 14 * DAY
    if end != "unpaid, and nothing was heard before":
        assert closes == {announced + 14 * DAY}


async def test_what_was_owed_before(payment: Payment) -> None:
    """An invoice that stayed open before others that were paid does not say since when it is owed."""
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_before", 1), status="past_due")
    payment.stripe.features["prod_before"] = ["scim"]
    payment.stripe.owe(subscription, NOW - 90 * DAY, None)
    for days in (60, 30):
        payment.stripe.owe(subscription, NOW - days * DAY, None)["status"] = "paid"
    payment.stripe.owe(subscription, NOW - 2 * DAY, None)
    await payment.settle()
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert datetime.fromisoformat(shown["ends_at"]) == (NOW - 2 * DAY).replace(microsecond=0)


async def test_past_due_beside_one_that_is_paid(payment: Payment) -> None:
    """A second subscription does not take away the grace of one that Stripe still tries to have paid."""
    await define(payment.callers, {"price_small": PriceTerms("free"), "price_large": PriceTerms("business")})
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_small", 1))
    late = payment.stripe.subscribe(customer, ("price_large", 1), status="past_due")
    payment.stripe.features["prod_large"] = ["events"]
    invoice = payment.stripe.owe(late, NOW - DAY, NOW + 3 * DAY)
    await payment.settle()
    assert await has(tenant) == ("business", "active")
    shown = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()
    assert (shown["features"], [each["id"] for each in shown["prices"]]) == (["events"], ["price_large", "price_small"])
    invoice["next_payment_attempt"] = None
    late["status"] = "unpaid"
    await payment.tell("customer.subscription.updated", late)
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_attempts_are_not_mailed(payment: Payment, owner: Connection) -> None:
    """Each attempt to be paid has other dates: they are recorded, and admins are mailed none of them."""
    tenant, customer = await payment.a_customer()
    payment.stripe.features["prod_tries"] = payment.stripe.entitled[customer] = ["scim"]
    subscription = payment.stripe.subscribe(customer, ("price_tries", 1))
    await payment.settle()
    subscription["status"] = "past_due"
    invoice = payment.stripe.owe(subscription, NOW - DAY, NOW + DAY)
    for days in (1, 3, 5):
        invoice["next_payment_attempt"] = seconds(NOW + days * DAY)
        await payment.tell("invoice.payment_failed", invoice)
        await payment.settle()
    told = [event for entry in await tenant.audit() for event in entry["events"] if event == "tenant.lapse_changed"]
    assert len(told) == 2
    mailed = "SELECT count(*) FROM notices WHERE tenant_id = $1::text::uuid AND topic = 'tenant.lapse_changed'"
    assert await owner.fetchval(mailed, tenant.id) == 0


async def test_a_customer_is_gone(payment: Payment) -> None:
    """A customer that was deleted pays for nothing; one whom Stripe does not know keeps what they have."""
    for deleted, becomes in ((True, "offboarding_only"), (False, "active")):
        tenant, customer = await payment.a_customer()
        payment.stripe.subscribe(customer, ("price_gone", 1))
        payment.stripe.entitled[customer] = ["scim"]
        await payment.settle()
        payment.stripe.gone[customer] = deleted
        await payment.tell("customer.deleted", {"object": "customer", "id": customer})
        await payment.settle()
        assert await has(tenant) == ("free", becomes)
        error = (await payment.callers.operator.get(f"{tenant.v1}/billing")).json()["error"] or ""
        assert ("ROLLCALL_STRIPE_API_KEY" in error) is not deleted


async def test_a_grace_while_stripe_is_away(payment: Payment) -> None:
    """What would end while Stripe can't be asked goes on for a day more, once; then Stripe's own dates count again."""
    await define(payment.callers, {"price_outage": PriceTerms("business", seats_by_quantity=True)})
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_outage", 5), status="past_due")
    now = datetime.now(UTC)  # not when the tests began: half an hour is less than all of them may take
    soon = (now + timedelta(minutes=30)).replace(microsecond=0)
    invoice = payment.stripe.owe(subscription, now - 2 * DAY, soon - DAY)
    await payment.settle()

    async def ends() -> datetime:
        assert await has(tenant) == ("free", "grace")
        seats = (await payment.callers.operator.get(f"{tenant.v1}/seats")).json()["allowed"]
        assert seats == 5
        shown = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
        return datetime.fromisoformat(shown["offboarding_from"])

    assert await ends() == soon
    payment.stripe.broken = True
    try:
        for _ in range(2):
            await payment.tell("invoice.payment_failed", invoice)
            await payment.settle()
            assert await ends() == soon + DAY
    finally:
        payment.stripe.broken = False
    await payment.tell("invoice.payment_failed", invoice)
    await payment.settle()
    assert await ends() == soon
