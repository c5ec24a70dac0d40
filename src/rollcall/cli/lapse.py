"""``rollcall tenants lapse``: what is left of SCIM to a tenant whose plan has lost it, and until when."""

from datetime import UTC, datetime

import click

from rollcall.access import accounts
from rollcall.api.v1.tenants import tenant_view
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.running import actor
from rollcall.cli.showing import counted, json_option, print_json, rfc3339
from rollcall.tenancy import lapse as doors
from rollcall.tenancy import tenants
from rollcall.tenancy.lapse import LapseState
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


@click.command("lapse")
@click.argument("tenant")
@click.option("--everything-until", type=click.DateTime(_DATES), help="Until when everything works (UTC).")
@click.option("--closes", type=click.DateTime(_DATES), help="From when on nothing works (UTC).")
@click.option("--never-closes", is_flag=True, help="Let what only takes away work without an end.")
@click.option("--close-now", is_flag=True, help="Let nothing work from the next call on.")
@yes_option
@json_option
def lapse_tenant(
    tenant: str,
    everything_until: datetime | None,
    closes: datetime | None,
    never_closes: bool,
    close_now: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Say what is left of SCIM to TENANT whose plan has lost it; with options, until when."""
    if sum((closes is not None, never_closes, close_now)) > 1:
        msg = "--closes, --never-closes and --close-now are three ways to say the same; choose one."
        raise click.UsageError(msg)
    dates: dict[str, datetime | None] = {}
    if everything_until is not None:
        dates["offboarding_from"] = everything_until.replace(tzinfo=UTC)
    if closes is not None or never_closes:
        dates["closes_at"] = None if closes is None else closes.replace(tzinfo=UTC)

    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        if dates:
            await doors.set_dates(fleet, row, dates)
        if close_now:
            await doors.close(fleet, row)
        return row

    async def effects(fleet: Fleet) -> list[str]:
        row = await find_tenant(fleet, tenant)
        if row.lapse_state not in (LapseState.GRACE, LapseState.OFFBOARDING_ONLY):
            return []
        async with fleet.within(tenants.ref(row)) as work:
            people = counted(await accounts.active(work), "active person", "active people")
        return [f"The identity provider of {row.slug} can cut nobody off any more; it has {people}."]

    if close_now:
        confirm(across_tenants(effects), yes=yes)
    after = across_tenants(run)
    if as_json:
        print_json(tenant_view(after, to=actor()))
    else:
        click.echo(f"{after.slug}: {lapse_in_words(after)}.")


def lapse_in_words(tenant: Tenant) -> str:
    """What is left of SCIM to a tenant, and until when."""
    state = LapseState(tenant.lapse_state)
    match state:
        case LapseState.ACTIVE:
            return "active, the plan includes it"
        case LapseState.NEVER:
            return "never had, the plan does not include it"
        case LapseState.CLOSED:
            return f"closed since {_said(tenant.closes_at)}"
        case LapseState.GRACE:
            begins = f"everything works until {_said(tenant.offboarding_from)}, then only what takes away"
        case LapseState.OFFBOARDING_ONLY:
            begins = f"since {_said(tenant.offboarding_from)} reads work, and what only takes away"
    until = "without an end" if tenant.closes_at is None else f"until {_said(tenant.closes_at)}"
    return f"{state.value}, {begins}, {until}"


def _said(moment: datetime | None) -> str:
    return "" if moment is None else rfc3339(moment)
