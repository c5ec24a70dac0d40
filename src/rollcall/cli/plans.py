"""Commands about plans."""

import click

from rollcall.cli.running import actor, origin, run_with_database, table
from rollcall.db import Database
from rollcall.tenancy import plans as plan_doors
from rollcall.work import open_fleet


@click.group()
def plans() -> None:
    """See the plans; they are defined in tenants.toml."""


@plans.command("list")
def list_plans() -> None:
    """List all plans."""

    async def run(database: Database) -> None:
        async with open_fleet(database, actor(), origin()) as fleet:
            table(
                [
                    {
                        "key": plan.key,
                        "name": plan.name,
                        "features": " ".join(plan.features),
                        "seats": plan.seats or "any",
                        "calls/s": plan.rate_per_second or "unlimited",
                        "burst": plan.rate_burst,
                        "retention": f"{plan.retention_days} days",
                    }
                    for plan in await plan_doors.every(fleet)
                ]
            )

    run_with_database(run)
