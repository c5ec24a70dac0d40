"""``rollcall plans override``: what one tenant has otherwise than its plan says, a trial or a courtesy week."""

from datetime import UTC, datetime

import click

from rollcall.api.v1.overrides import override_view
from rollcall.api.v1.tenants import tenant_view
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.showing import json_option, print_json, rfc3339
from rollcall.tenancy import overrides as doors
from rollcall.work import Fleet

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


@click.command("override")
@click.argument("tenant")
@click.argument("key", type=click.Choice(doors.KEYS))
@click.argument("value")
@click.option("--reason", required=True, help="Why; it stands in the audit.")
@click.option("--until", type=click.DateTime(_DATES), help="When it ends by itself (UTC); a feature needs one.")
@json_option
def set_override(tenant: str, key: str, value: str, reason: str, until: datetime | None, as_json: bool) -> None:
    """Give TENANT something otherwise than its plan says: KEY has VALUE (true, a number of seats, or a seat policy)."""
    ends_at = None if until is None else until.replace(tzinfo=UTC)
    given: bool | int | str = int(value) if value.isdecimal() else True if value == "true" else value

    async def run(fleet: Fleet) -> None:
        row = await find_tenant(fleet, tenant)
        made = await doors.put(fleet, row, key, given, reason=reason, ends_at=ends_at)
        if as_json:
            print_json(override_view(made, fleet.now))
        else:
            until_when = "until somebody ends it" if made.ends_at is None else f"until {rfc3339(made.ends_at)}"
            click.echo(f"{row.slug}: {key} is {value}, {until_when}.")

    across_tenants(run)


@click.command("end-override")
@click.argument("tenant")
@click.argument("key", type=click.Choice(doors.KEYS))
@json_option
def end_override(tenant: str, key: str, as_json: bool) -> None:
    """Take an override of TENANT away; what its plan says counts from the next call on."""

    async def run(fleet: Fleet) -> None:
        row = await find_tenant(fleet, tenant)
        await doors.end(fleet, row, key)
        if as_json:
            print_json(tenant_view(row, to=fleet.actor))
        else:
            click.echo(f"{row.slug}: {key} is as the plan {row.plan} says.")

    across_tenants(run)
