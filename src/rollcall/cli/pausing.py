"""``rollcall tenants pause`` and ``unpause``: a provider that comes again later, while somebody works on a rule."""

import click

from rollcall.api.v1.tenants import tenant_view
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.running import actor
from rollcall.cli.showing import json_option, print_json
from rollcall.tenancy import tenants as doors
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet


@click.command("pause")
@click.argument("tenant")
@click.option("--minutes", type=click.IntRange(1, doors.LONGEST_PAUSE // 60), default=60, show_default=True)
@json_option
def pause_tenant(tenant: str, minutes: int, as_json: bool) -> None:
    """Have the provider of TENANT come again later, but for what reads or only takes away."""
    after = _paused(tenant, minutes * 60)
    _show(f"{after.slug} is paused for {minutes} min; leavers are cut off all the same.", after, as_json=as_json)


@click.command("unpause")
@click.argument("tenant")
@json_option
def unpause_tenant(tenant: str, as_json: bool) -> None:
    """Let everything of the provider of TENANT pass again."""
    after = _paused(tenant, 0)
    _show(f"{after.slug} is not paused.", after, as_json=as_json)


def _paused(tenant: str, seconds: int) -> Tenant:
    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        await doors.pause(fleet, row, seconds)
        return row

    return across_tenants(run)


def _show(said: str, tenant: Tenant, *, as_json: bool) -> None:
    if as_json:
        print_json(tenant_view(tenant, to=actor()))
    else:
        click.echo(said)
