"""``rollcall billing``: what customers pay for, as ops read it, and what they are told when it can't be asked."""

import json

import pytest

from billing.conftest import Payment, define, has
from cli.shell import Shell
from factories import a_tenant
from rollcall.settings import Settings
from rollcall.tenancy.prices import PriceTerms
from stripe_stand_in import API_KEY


@pytest.fixture
def shell(paid_settings: Settings) -> Shell:
    """Somebody in ops."""
    return Shell(paid_settings)


def asking(payment: Payment) -> dict[str, str]:
    """What a machine needs that asks Stripe."""
    return {"ROLLCALL_STRIPE_API_KEY": API_KEY, "ROLLCALL_STRIPE_API_URL": payment.stripe.url}


async def test_reconciled_and_shown(payment: Payment, shell: Shell) -> None:
    """One command asks about a tenant at once, another one shows what was answered and what the tenant has by it."""
    await define(payment.callers, {"price_shown": PriceTerms("enterprise", seats_by_quantity=True)})
    tenant, customer = await payment.a_customer()
    payment.stripe.subscribe(customer, ("price_shown", 40))
    payment.stripe.entitled[customer] = ["sso", "scm", "scim"]
    said = (await shell("billing", "reconcile", tenant.slug, **asking(payment))).well
    assert said == "Asked about 1 customer; 1 tenant has something else by it.\n"
    assert await has(tenant) == ("enterprise", "active")
    shown = (await shell("billing", "show", tenant.slug)).well
    for expected in (
        customer,
        "enterprise",
        "free",
        "seats 40",
        "price_shown x 40",
        "scm: it is no feature here; there are: scim",
    ):
        assert expected in shown
    seen = json.loads((await shell("billing", "show", tenant.slug, "--json")).well)
    because = {each["key"]: each["because"] for each in seen["ignored"]}
    assert set(because) == {"sso", "scm"}
    assert "not built yet" in because["sso"]
    assert (seen["customer"], seen["paid"], seen["prices"][0]["quantity"]) == (customer, True, 40)
    listed = json.loads((await shell("billing", "prices", "--json")).well)["data"]
    assert {"price": "price_shown", "plan": "enterprise", "seats": "quantity"} in listed
    of_tenant = (await shell("tenants", "show", tenant.slug)).well
    assert customer in of_tenant
    plan = (await shell("tenants", "plan", tenant.slug, "business", "--yes")).well
    assert plan == f"{tenant.slug}: business from when enterprise, which is paid for, is over.\n"


async def test_parked_and_assigned(payment: Payment, shell: Shell) -> None:
    """A parked customer is listed; assigned to a tenant it counts at once, and taken away it does not any more."""
    customer = payment.stripe.customer()
    payment.stripe.subscribe(customer, ("price_assigned", 1))
    payment.stripe.entitled[customer] = ["scim"]
    await payment.tell("customer.created", {"object": "customer", "id": customer})
    await payment.settle()
    tenant = await a_tenant(payment.callers, plan="free")
    assert customer in (await shell("billing", "parked")).well
    said = (await shell("billing", "assign", tenant.slug, customer)).well
    assert said.startswith(f"{tenant.slug}: is {customer} at the payment provider; it is on free, and SCIM is active")
    assert customer not in (await shell("billing", "parked")).well
    other = await a_tenant(payment.callers, plan="free")
    assert (
        f"Another tenant has the customer “{customer}”"
        in (await shell("billing", "assign", other.slug, customer)).refusal
    )
    said = (await shell("billing", "assign", tenant.slug, "--nobody")).well
    assert "nobody pays for it; it is on free, and SCIM is offboarding_only" in said


async def test_what_is_said_when_it_can_not_be(payment: Payment, shell: Shell) -> None:
    """Whoever has no customer, and a machine without the key, are told what to do."""
    tenant = await a_tenant(payment.callers, plan="free")
    assert "has no customer: put 'customer = \"cus_…\"'" in (await shell("billing", "show", tenant.slug)).refusal
    assert "has no customer" in (await shell("billing", "reconcile", tenant.slug)).refusal
    assert (await shell("billing", "assign", tenant.slug)).misuse.startswith("Name the CUSTOMER, or say --nobody.")
    paying, _ = await payment.a_customer()
    failed = await shell("billing", "reconcile", paying.slug)
    assert (failed.code, "1 customer could not be asked about" in failed.err) == (1, True), failed
    assert "ROLLCALL_STRIPE_API_KEY is not set" in (await shell("billing", "show", paying.slug)).well
    wrong = {**asking(payment), "ROLLCALL_STRIPE_API_KEY": "rk_test_another"}
    assert (await shell("billing", "reconcile", paying.slug, **wrong)).code == 1
    assert "Stripe refuses ROLLCALL_STRIPE_API_KEY" in (await shell("billing", "show", paying.slug)).well


async def test_a_secret(shell: Shell) -> None:
    """A fresh secret is one that the setting takes."""
    secret = (await shell("billing", "secret")).well.strip()
    taken = await shell("config", ROLLCALL_BILLING_WEBHOOK_SECRETS=secret)
    assert "ROLLCALL_BILLING_WEBHOOK_SECRETS = ***" in taken.well, taken
    refused = await shell("billing", "prices", ROLLCALL_BILLING_WEBHOOK_SECRETS="whsec_short")
    assert "'rollcall billing secret' prints one" in refused.err
