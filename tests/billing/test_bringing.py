"""What a provider answered, brought to a tenant: beside what ops do by hand, and beside others who ask."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.conftest import Payment, define, has
from factories import ORIGIN, Callers, a_tenant
from rollcall.billing import asking, leases
from rollcall.billing.leases import AnswerOverdue, next_at
from rollcall.db import Connection
from rollcall.tenancy import overrides, plans
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.tenancy.standing import BoughtPrice, Standing
from rollcall.work import SYSTEM, open_fleet
from stripe_stand_in import DAY, seconds

NOW = datetime.now(UTC).replace(microsecond=0)


async def patched(callers: Callers, address: str, **body: Any) -> dict[str, Any]:
    answer = await callers.operator.patch(address, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_another_choice_waits(payment: Payment) -> None:
    """While a paid plan stands in, ops' choice of another counts once it is over; who chose SCIM loses nothing then."""
    await define(payment.callers, {"price_choice": PriceTerms("enterprise")})
    tenant, customer = await payment.a_customer()
    subscription = payment.stripe.subscribe(customer, ("price_choice", 1))
    await payment.settle()
    assert await has(tenant) == ("enterprise", "active")
    shown = await patched(payment.callers, tenant.v1, plan="business")
    assert (shown["plan"], shown["plan_without_payment"]) == ("enterprise", "business")
    subscription |= {"status": "canceled", "ended_at": seconds(NOW - DAY)}
    await payment.tell("customer.subscription.deleted", subscription)
    await payment.settle()
    assert await has(tenant) == ("business", "active")


async def test_dates_by_hand_stay(payment: Payment) -> None:
    """Dates that ops have set stay through later answers of the same, until the provider's own become others."""
    tenant, customer = await payment.a_customer()
    payment.stripe.features["prod_dates"] = ["scim"]
    canceled: dict[str, Any] = {"status": "canceled", "ended_at": seconds(NOW - 3 * DAY)}
    subscription = payment.stripe.subscribe(customer, ("price_dates", 1), **canceled)
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")
    await patched(payment.callers, f"{tenant.v1}/lapse", offboarding_from=(NOW + DAY).isoformat())
    for _ in range(2):
        await payment.tell("customer.subscription.updated", subscription)
        await payment.settle()
        assert await has(tenant) == ("free", "grace")
    subscription["ended_at"] = seconds(NOW - 2 * DAY)
    await payment.tell("customer.subscription.updated", subscription)
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_an_override_goes_before(payment: Payment) -> None:
    """What somebody overrides by hand counts instead of what is paid for; taken away, that counts again."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_override", 1))
    payment.stripe.entitled[customer] = ["scim", "events"]
    await payment.settle()
    explained = (await payment.callers.operator.get(f"{tenant.v1}/plan/explain")).json()["data"]
    assert [(each["what"], each["passes"], each["because"]) for each in explained] == [
        ("scim", True, "payment"),
        ("events", True, "plan"),
        ("newcomers", True, "plan"),
    ]
    assert (await payment.callers.operator.get(f"{tenant.v1}/overrides")).json()["data"] == []
    body = {"value": True, "reason": "a courtesy", "ends_at": (NOW + DAY).isoformat()}
    assert (await payment.callers.operator.put(f"{tenant.v1}/overrides/scim", json=body)).status_code == 200
    payment.stripe.entitled[customer] = []
    await payment.callers.operator.post(f"{tenant.v1}/billing/reconcile")
    await payment.settle()
    assert await has(tenant) == ("free", "active")
    assert (await payment.callers.operator.delete(f"{tenant.v1}/overrides/scim")).status_code == 204
    assert await has(tenant) == ("free", "offboarding_only")


async def test_an_end_that_lies_ahead(payment: Payment, owner: Connection) -> None:
    """A subscription that is to end has its date announced, and ends by the clock though nothing is heard any more."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_ends", 1), cancel_at=seconds(NOW + DAY))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    shown = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
    assert shown["state"] == "active"
    assert datetime.fromisoformat(shown["offboarding_from"]) == NOW + DAY
    # The clock: two days later.
    sooner = """
        UPDATE tenants
           SET lapsed_at = lapsed_at - interval '2 days', offboarding_from = offboarding_from - interval '2 days',
               overrides = jsonb_set(overrides, '{paid,scim,ends_at}', to_jsonb($2::text))
         WHERE id = $1::text::uuid
    """
    await owner.execute(sooner, tenant.id, (NOW - DAY).isoformat())
    assert await has(tenant) == ("free", "offboarding_only")


async def test_a_feature_less(payment: Payment) -> None:
    """Who still pays, and not for SCIM any more, lapses by the terms of the plan; the other features stay."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_less", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    payment.stripe.entitled[customer] = ["something else"]
    await payment.callers.operator.post(f"{tenant.v1}/billing/reconcile")
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_an_answer_that_was_overtaken(payment: Payment) -> None:
    """Of two who ask about a customer the one who began last is right; the other's answer is thrown away."""
    tenant, customer = await payment.a_customer()
    database = payment.callers.database
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        first = await leases.lease_one(fleet, customer, seconds=60)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        second = await leases.lease_one(fleet, customer, seconds=60)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert await leases.answered(fleet, second, Standing(features=("scim",)))
    with pytest.raises(AnswerOverdue):
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            await leases.answered(fleet, first, Standing())
    assert await has(tenant) == ("free", "active")


async def test_heard_while_it_is_asked(payment: Payment, owner: Connection) -> None:
    """What is heard while somebody asks has the customer asked about once more."""
    _, customer = await payment.a_customer()
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        leased = await leases.lease_one(fleet, customer, seconds=600)
    await payment.tell("customer.updated", {"object": "customer", "id": customer})
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        await leases.answered(fleet, leased, Standing())
    due = "SELECT due_at <= clock_timestamp() FROM billing_customers WHERE customer = $1"
    assert await owner.fetchval(due, customer)


async def test_many_at_once(payment: Payment) -> None:
    """Several workers share those who are due: each is asked about by one."""
    named = [await payment.a_customer() for _ in range(5)]
    for tenant, customer in named:
        payment.stripe.subscribe(customer, ("price_many", 1))
        payment.stripe.entitled[customer] = ["scim"]
        assert await has(tenant) == ("free", "never")
    done = await asyncio.gather(
        *(asking.ask_due(payment.callers.database, payment.providers) for _ in range(3)), payment.settle()
    )
    assert sum((each or {}).get("changed", 0) for each in done) <= len(named)
    for tenant, _ in named:
        assert await has(tenant) == ("free", "active")


@pytest.mark.parametrize(
    ("standing", "away"),
    [
        (Standing(), timedelta(hours=20)),
        (Standing(ends_at=NOW + timedelta(hours=2)), timedelta(hours=2, minutes=1)),
        (Standing(ends_at=NOW - DAY, grace_until=NOW + timedelta(hours=1)), timedelta(hours=1, minutes=1)),
        (Standing(ask_again_at=NOW + 90 * DAY), timedelta(hours=20)),
    ],
)
def test_when_it_is_asked_next(standing: Standing, away: timedelta) -> None:
    """A customer is asked about a minute after the provider's next date, and within a day in any case."""
    assert next_at(standing, NOW) == NOW + away


async def test_the_terms_are_the_paid_plans(payment: Payment) -> None:
    """The days of a lapse are those of the plan that was paid for, from the provider's date on."""
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        terms = PlanTerms(name="Timed", features=("scim",), lapse=LapseTerms(4, 10))
        await plans.define(fleet, "timed", terms)
    await define(payment.callers, {"price_timed": PriceTerms("timed")})
    tenant, customer = await payment.a_customer()
    ended = NOW - DAY
    payment.stripe.subscribe(customer, ("price_timed", 1), status="canceled", ended_at=seconds(ended))
    await payment.settle()
    shown: Mapping[str, Any] = (await payment.callers.operator.get(tenant.v1)).json()["lapse"]
    assert shown["state"] == "grace"
    dates = [datetime.fromisoformat(shown[name]) for name in ("lapsed_at", "offboarding_from", "closes_at")]
    assert dates == [ended, ended + 4 * DAY, ended + 14 * DAY]


def test_it_is_kept_whole() -> None:
    """What a provider said is the same when it is read again."""
    said = Standing(
        plan="business",
        features=("events", "scim"),
        seats=7,
        prices=(BoughtPrice("price_1", None, 3), BoughtPrice("price_2", "yearly", 1)),
        ends_at=NOW,
        grace_until=NOW + DAY,
        ask_again_at=NOW - DAY,
    )
    assert Standing.of_json(said.as_json()) == said
    assert Standing.of_json(Standing().as_json()) == Standing()
    older = {key: kept for key, kept in said.as_json().items() if key != "stopped_at"}
    assert Standing.of_json(older) == said


async def test_an_override_runs_out_beside_what_is_paid(payment: Payment, owner: Connection) -> None:
    """The end of what somebody set by hand is told once, also where something is paid for, which stays as it is."""
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_beside", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    body = {"value": 7, "reason": "a courtesy", "ends_at": (NOW + DAY).isoformat()}
    assert (await payment.callers.operator.put(f"{tenant.v1}/overrides/seats", json=body)).status_code == 200
    ended = (
        "UPDATE tenants SET overrides = jsonb_set(overrides, '{seats,ends_at}', to_jsonb($2::text)) WHERE id = $1::uuid"
    )
    await owner.execute(ended, tenant.id, (NOW - DAY).isoformat())
    for _ in range(2):
        async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
            await overrides.tell_ended(fleet)
    told = [event for entry in await tenant.audit() for event in entry["events"] if event == "tenant.override_ran_out"]
    assert told == ["tenant.override_ran_out"]
    assert await has(tenant) == ("free", "active")


async def test_a_feature_that_the_plan_has_too(payment: Payment, owner: Connection) -> None:
    """Who pays for SCIM keeps it when the plan loses it, or ops choose one without, and is asked about soon."""
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "shrinking", PlanTerms(name="Shrinking", features=("scim",)))
    due = "SELECT due_at <= clock_timestamp() FROM billing_customers WHERE customer = $1"
    tenant, customer = await payment.a_customer(plan="shrinking")
    payment.stripe.subscribe(customer, ("price_too", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.settle()
    assert not await owner.fetchval(due, customer)
    async with open_fleet(payment.callers.database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "shrinking", PlanTerms(name="Shrinking"))
    assert (await has(tenant), await owner.fetchval(due, customer)) == (("shrinking", "active"), True)
    await payment.settle()
    await patched(payment.callers, tenant.v1, plan="business")
    await payment.settle()
    await patched(payment.callers, tenant.v1, plan="free")
    assert (await has(tenant), await owner.fetchval(due, customer)) == (("free", "active"), True)
    explained = (await payment.callers.operator.get(f"{tenant.v1}/plan/explain")).json()["data"]
    assert (explained[0]["passes"], explained[0]["because"]) == (True, "payment")
    payment.stripe.entitled[customer] = []
    await payment.settle()
    assert await has(tenant) == ("free", "offboarding_only")


async def test_a_customer_and_its_plan_at_once(payment: Payment) -> None:
    """Who is given a customer and the plan without payment in one call has what they had until the first answer."""
    for pays, becomes in ((True, ("free", "active")), (False, ("free", "offboarding_only"))):
        tenant = await a_tenant(payment.callers, plan="business")
        customer = payment.stripe.customer()
        if pays:
            payment.stripe.subscribe(customer, ("price_at_once", 1))
            payment.stripe.entitled[customer] = ["scim"]
        shown = await patched(payment.callers, tenant.v1, customer=customer, plan="free")
        assert (shown["plan"], shown["plan_without_payment"]) == ("business", "free")
        assert await has(tenant) == ("business", "active")
        await payment.settle()
        assert await has(tenant) == becomes
        lapsed = [event for entry in await tenant.audit() for event in entry["events"] if event == "tenant.lapsed"]
        assert bool(lapsed) is not pays


async def test_a_plan_that_waits_for_a_customer(payment: Payment) -> None:
    """Without a customer again the choice counts at once."""
    tenant = await a_tenant(payment.callers, plan="business")
    await patched(payment.callers, tenant.v1, customer=payment.stripe.customer(), plan="enterprise")
    assert (await has(tenant))[0] == "business"
    shown = await patched(payment.callers, tenant.v1, customer=None)
    assert (shown["plan"], shown["plan_without_payment"]) == ("enterprise", None)


async def test_a_preview_of_a_choice_that_waits(payment: Payment) -> None:
    """While a paid plan stands in, a preview of another choice says that it waits, and that nothing changes yet."""
    await define(payment.callers, {"price_preview": PriceTerms("enterprise")})
    tenant, customer = await payment.a_customer(plan="business")
    payment.stripe.subscribe(customer, ("price_preview", 1))
    await payment.settle()
    address = f"{tenant.v1}/plan/preview"
    shown = (await payment.callers.operator.get(address, params={"plan": "free"})).json()
    assert (shown["gained"], shown["lost"], shown["tokens"]) == ([], [], [])
    assert [each.partition(":")[0] for each in shown["sentences"]] == ["the choice waits"]
    assert (await payment.callers.operator.get(address, params={"plan": "business"})).json()["sentences"] == []
