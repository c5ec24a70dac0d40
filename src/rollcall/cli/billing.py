"""``rollcall billing``: what payment providers say of customers, whom no tenant is, and asking them again."""

from collections import Counter
from dataclasses import replace

import click

from rollcall.api.v1.billing import customer_view
from rollcall.api.v1.tenants import tenant_view
from rollcall.billing import asking
from rollcall.cli.giving_up import give_up
from rollcall.cli.lapse import lapse_in_words
from rollcall.cli.reaching import Unknown, across_tenants, find_tenant
from rollcall.cli.running import actor, run_with_database, settings_or_give_up
from rollcall.cli.showing import counted, json_option, print_facts, print_json, print_list, rfc3339
from rollcall.db import Database
from rollcall.errors import NotFound
from rollcall.events.webhooks import new_secret
from rollcall.paging import MOST
from rollcall.tenancy import customers, features, overrides, prices, tenants
from rollcall.tenancy.customers import Known
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.standing import Standing
from rollcall.work import Fleet


@click.group()
def billing() -> None:
    """What customers pay for, as their payment provider says it."""


@billing.command("show")
@click.argument("tenant")
@json_option
def show_billing(tenant: str, as_json: bool) -> None:
    """Show what the payment provider says of TENANT, and what it has by that."""

    async def run(fleet: Fleet) -> None:
        row = await find_tenant(fleet, tenant)
        found = await _known(fleet, row)
        facts = {
            "customer": found.customer,
            "provider": found.provider,
            "plan": f"{row.plan}, which is paid for; {row.chosen_plan} without"
            if row.plan_without_payment
            else row.plan,
            "paid beside it": ", ".join(_held(each) for each in overrides.paid_for(row)),
            **_said(found.standing, fleet),
            "asked": found.asked_at or "not yet",
            "heard": found.heard_at,
            "asked next": found.due_at,
            "error": found.error,
        }
        print_facts(facts, customer_view(found, fleet.now), as_json=as_json)

    across_tenants(run)


@billing.command("parked")
@click.option("--limit", type=click.IntRange(1, MOST), default=MOST, show_default=True, help="So many at most.")
@click.option("--cursor", help="Continue after the page that named it.")
@json_option
def list_parked(limit: int, cursor: str | None, as_json: bool) -> None:
    """List customers that are no tenant's.

    'rollcall billing assign', or 'customer = "ID"' in tenants.toml, gives a tenant what is paid for at once.
    """

    async def run(fleet: Fleet) -> None:
        page = await customers.parked(fleet, limit=limit, cursor=cursor)
        rows = [
            {
                "customer": each.customer,
                "provider": each.provider,
                "paid": "not asked yet" if each.standing is None else each.standing.is_paid(fleet.now),
                "heard": each.heard_at,
                "error": each.error or "",
            }
            for each in page.rows
        ]
        data = [customer_view(each, fleet.now) for each in page.rows]
        print_list(rows, data, as_json=as_json, next_cursor=page.next_cursor)

    across_tenants(run)


@billing.command("assign")
@click.argument("tenant")
@click.argument("customer", required=False)
@click.option("--nobody", is_flag=True, help="Have nobody pay for TENANT any more.")
@json_option
def assign_customer(tenant: str, customer: str | None, nobody: bool, as_json: bool) -> None:
    """Say that TENANT is CUSTOMER at the payment provider; it has at once what is known to be paid for."""
    if (customer is None) != nobody:
        msg = "Name the CUSTOMER, or say --nobody."
        raise click.UsageError(msg)

    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        await tenants.change(fleet, row, replace(tenants.terms_of(row), customer=customer))
        return row

    after = across_tenants(run)
    if as_json:
        print_json(tenant_view(after, to=actor()))
    else:
        who = "nobody pays for it" if customer is None else f"is {customer} at the payment provider"
        click.echo(f"{after.slug}: {who}; it is on {after.plan}, and SCIM is {lapse_in_words(after)}.")


@billing.command("prices")
@json_option
def list_prices(as_json: bool) -> None:
    """List what prices at the payment provider stand for; [billing.prices] in tenants.toml says it."""

    async def run(fleet: Fleet) -> None:
        rows = [
            {"price": price, "plan": terms.plan or "", "seats": "quantity" if terms.seats_by_quantity else "the plan's"}
            for price, terms in (await prices.every(fleet)).items()
        ]
        print_list(rows, rows, as_json=as_json)

    across_tenants(run)


@billing.command("reconcile")
@click.argument("tenant", required=False)
@json_option
def reconcile_billing(tenant: str | None, as_json: bool) -> None:
    """Ask the payment provider about TENANT now, or about everybody, and bring the answers to the tenants.

    It is asked by this command itself, so this machine needs what a worker needs: ROLLCALL_STRIPE_API_KEY and the extra
    rollcall[stripe].
    """
    settings = settings_or_give_up()

    async def run(database: Database) -> Counter[str]:
        those = asking.providers(settings, database)
        if tenant is None:
            return await asking.ask_everybody(database, those)
        return await asking.ask_one(database, those, customer)

    customer = "" if tenant is None else across_tenants(lambda fleet: _customer_of(fleet, tenant), settings)
    done = run_with_database(run, settings)
    if as_json:
        print_json({name: done[name] for name in ("asked", "failed", "changed")})
    else:
        changed = counted(done["changed"], "tenant has", "tenants have")
        click.echo(f"Asked about {counted(done['asked'], 'customer')}; {changed} something else by it.")
    if done["failed"]:
        whom = "'rollcall billing show' and 'rollcall billing parked' say why"
        give_up(f"{counted(done['failed'], 'customer')} could not be asked about: {whom}.")


@billing.command("secret")
@json_option
def print_secret(as_json: bool) -> None:
    """Print a fresh secret for ROLLCALL_BILLING_WEBHOOK_SECRETS; it is kept nowhere."""
    made = new_secret()
    if as_json:
        print_json({"secret": made})
    else:
        click.echo(made)


async def _customer_of(fleet: Fleet, name: str) -> str:
    return (await _known(fleet, await find_tenant(fleet, name))).customer


async def _known(fleet: Fleet, tenant: Tenant) -> Known:
    try:
        return await customers.find(fleet, customers.named_by(tenant))
    except NotFound:
        said = (
            f"No payment provider has spoken of {tenant.slug}, and it has no customer: put 'customer = \"cus_…\"' to "
            "it in tenants.toml, or have your billing system name it"
        )
        raise Unknown(said, "", [], "rollcall billing parked") from None


def _held(held: overrides.Override) -> str:
    value = held.key if held.value is True else f"{held.key} {held.value}"
    return value if held.ends_at is None else f"{value} until {rfc3339(held.ends_at)}"


def _said(standing: Standing | None, fleet: Fleet) -> dict[str, object]:
    if standing is None:
        return {}
    ignored = features.ignored(standing.features)
    return {
        "paid": standing.is_paid(fleet.now),
        "features": " ".join(standing.features),
        "ignored": "; ".join(f"{key}: {why}" for key, why in ignored.items()),
        "prices": ", ".join(f"{each.id} x {each.quantity}" for each in standing.prices),
        "ends": standing.ends_at,
        "grace until": standing.grace_until,
    }
