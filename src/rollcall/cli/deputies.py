"""``rollcall tenants last-admin`` and ``deputy``: what becomes of a tenant whose last admin leaves."""

from dataclasses import replace

import click

from rollcall.api.v1.people import person_view
from rollcall.api.v1.tenants import tenant_view
from rollcall.cli.reaching import across_tenants, find_person, find_tenant, in_tenant
from rollcall.cli.running import actor
from rollcall.cli.showing import json_option, print_json
from rollcall.directory import deputies
from rollcall.directory.people import Person
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, Work


@click.command("last-admin")
@click.argument("tenant")
@click.argument("policy", type=click.Choice(["obey", "keep_one"]))
@json_option
def change_last_admin(tenant: str, policy: str, as_json: bool) -> None:
    """Say what becomes of TENANT when its last admin leaves: it has none, or its deputy becomes one at that moment."""

    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        await tenants.change(fleet, row, replace(tenants.terms_of(row), last_admin=policy))
        return row

    after = across_tenants(run)
    if as_json:
        print_json(tenant_view(after, to=actor()))
    elif policy == "obey":
        click.echo(f"{after.slug}: when the last admin leaves there is none, until ops appoint one.")
    else:
        then = (
            "its deputy becomes an admin"
            if after.deputy_id
            else f"there is no deputy yet; name one: 'rollcall tenants deputy {after.slug} PERSON'"
        )
        click.echo(f"{after.slug}: when the last admin leaves they are out, and {then}.")


@click.command("deputy")
@click.argument("tenant")
@click.argument("person", required=False)
@click.option("--none", "is_dismissed", is_flag=True, help="Have no deputy any more.")
@json_option
def name_deputy(tenant: str, person: str | None, is_dismissed: bool, as_json: bool) -> None:
    """Name PERSON (userName or id) the deputy of TENANT's admins; without one, say who it is.

    Where the tenant has chosen keep_one (rollcall tenants last-admin), the deputy becomes an admin as the last one
    stops being one; at once, if nobody is.
    """
    if is_dismissed and person is not None:
        msg = "Name a PERSON, or give --none, not both."
        raise click.UsageError(msg)

    async def run(work: Work) -> tuple[Person | None, Tenant]:
        if is_dismissed:
            await deputies.dismiss(work)
        elif person is not None:
            await deputies.name(work, (await find_person(work, person)).account.id)
        return await deputies.of(work), await tenants.own(work)

    found, row = in_tenant(tenant, run)
    if as_json:
        print_json(None if found is None else person_view(found))
    else:
        click.echo(_said(found, row))


def _said(found: Person | None, tenant: Tenant) -> str:
    if found is None:
        return f"{tenant.slug} has no deputy."
    account = found.account
    if account.active and account.is_admin:
        return f"{account.user_name} was the deputy of {tenant.slug} and is an admin now; name another one."
    if not account.active:
        return f"{account.user_name} is the deputy of {tenant.slug} and may not come in; name another one."
    if tenant.last_admin != "keep_one":
        return (
            f"{account.user_name} is the deputy of {tenant.slug}; it counts once 'rollcall tenants last-admin "
            f"{tenant.slug} keep_one' was said."
        )
    return f"{account.user_name} is the deputy of {tenant.slug}, and becomes an admin when there is none."
