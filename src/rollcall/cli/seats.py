"""``rollcall tenants seats``: how many active people a tenant may have, has, and since when none is left."""

import click

from rollcall.api.v1.seats import seats_view
from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import json_option, print_facts
from rollcall.tenancy import seats as doors
from rollcall.work import Work


@click.command("seats")
@click.argument("tenant")
@json_option
def show_seats(tenant: str, as_json: bool) -> None:
    """Say how many seats TENANT has, how many are taken, and since when none is left."""

    async def run(work: Work) -> None:
        found = await doors.own(work)
        facts = {
            "plan": found.plan,
            "used": f"{found.used:,}",
            "allowed": "any" if found.allowed is None else f"{found.allowed:,}",
            "beyond": "nobody is let in" if found.policy == "refuse" else "people are let in, and it is announced",
            "full since": found.full_since,
            "over since": found.over_since,
        }
        print_facts(facts, seats_view(found), as_json=as_json)

    in_tenant(tenant, run)
