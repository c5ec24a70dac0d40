"""``rollcall plans explain`` and ``preview``: what a tenant may do and why, and what another plan would change."""

import click

from rollcall.api.v1.plan_questions import explained_view, preview_view
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.showing import json_option, print_json, print_list
from rollcall.manifest import previewing
from rollcall.tenancy import explaining
from rollcall.work import Fleet


@click.command("explain")
@click.argument("tenant")
@json_option
def explain_plan(tenant: str, as_json: bool) -> None:
    """Say what TENANT may do at this moment and what decides: plan, override, lapse, seats, a pause."""

    async def run(fleet: Fleet) -> None:
        found = await explaining.explain(fleet, await find_tenant(fleet, tenant))
        rows = [
            {"what": each.what, "passes": each.passes, "because": each.because, "reason": each.said} for each in found
        ]
        print_list(rows, [explained_view(each) for each in found], as_json=as_json)

    across_tenants(run)


@click.command("preview")
@click.argument("tenant")
@click.argument("plan")
@json_option
def preview_plan(tenant: str, plan: str, as_json: bool) -> None:
    """Say who and what is affected if TENANT is put on PLAN; nothing is changed."""

    async def run(fleet: Fleet) -> None:
        found = await previewing.preview_plan(fleet, await find_tenant(fleet, tenant), plan)
        if as_json:
            print_json(preview_view(found))
            return
        click.echo(f"{found.tenant} on {plan}:" if found.sentences else f"{found.tenant} on {plan}: nothing changes.")
        for said in found.sentences:
            click.echo(f"  {said}")

    across_tenants(run)
