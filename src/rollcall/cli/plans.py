"""``rollcall plans``: what customers pay for."""

import click

from rollcall.api.v1.tenants import plan_view
from rollcall.cli.overrides import end_override, set_override
from rollcall.cli.plan_questions import explain_plan, preview_plan
from rollcall.cli.reaching import across_tenants
from rollcall.cli.showing import json_option, print_list
from rollcall.cli.usage import show_usage
from rollcall.tenancy import plans as doors
from rollcall.work import Fleet


@click.group()
def plans() -> None:
    """See the plans; they are defined in tenants.toml."""


plans.add_command(explain_plan)
plans.add_command(preview_plan)
plans.add_command(show_usage)
plans.add_command(set_override)
plans.add_command(end_override)


@plans.command("list")
@json_option
def list_plans(as_json: bool) -> None:
    """List all plans."""

    async def run(fleet: Fleet) -> None:
        found = await doors.every(fleet)
        rows = [
            {
                "key": plan.key,
                "name": plan.name,
                "features": " ".join(plan.features),
                "seats": plan.seats or "any",
                "beyond": plan.seat_policy,
                "calls/s": plan.rate_per_second or "unlimited",
                "burst": plan.rate_burst,
                "retention": f"{plan.retention_days} days",
                "open": "no" if plan.closed else "yes",
                "lapse": doors.terms_of(plan).lapse,
            }
            for plan in found
        ]
        print_list(rows, [plan_view(plan) for plan in found], as_json=as_json)

    across_tenants(run)
