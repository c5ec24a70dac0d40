"""``rollcall alerts``: tenants that unusually many people leave at once, and the release of what waits for that."""

from uuid import UUID

import click

from rollcall.api.v1.alerts import TenantAlertView, alert_view
from rollcall.cli.reaching import across_tenants, in_tenant
from rollcall.cli.showing import Row, counted, json_option, print_json, print_list
from rollcall.paging import MOST
from rollcall.proof import mass_changes
from rollcall.proof.mass_changes import Alert
from rollcall.proof.models import MassChange
from rollcall.work import Fleet, Work


@click.group()
def alerts() -> None:
    """Mass changes: list them, and release what they hold back."""


@alerts.command("list")
@click.argument("tenant", required=False)
@json_option
def list_alerts(tenant: str | None, as_json: bool) -> None:
    """List TENANT's mass changes, newest first; without one those of all tenants that wait for their release."""

    async def everywhere(fleet: Fleet) -> None:
        found = (await mass_changes.unreleased(fleet, limit=MOST)).rows
        views = [
            TenantAlertView(
                tenant=slug,
                id=row.id,
                began_at=row.began_at,
                noticed_at=row.noticed_at,
                count=row.count,
                threshold=row.threshold,
            )
            for slug, row in found
        ]
        print_list([_line(slug, row) for slug, row in found], views, as_json=as_json)

    async def within(work: Work) -> None:
        found = (await mass_changes.page(work, limit=MOST)).rows
        rows = [_line(work.tenant.slug, alert.row) for alert in found]
        print_list(rows, [alert_view(alert) for alert in found], as_json=as_json)

    if tenant is None:
        across_tenants(everywhere)
    else:
        in_tenant(tenant, within)


def _line(slug: str, row: MassChange) -> Row:
    return {
        "tenant": slug,
        "id": row.id,
        "began": row.began_at,
        "noticed with": f"{row.count} departures (threshold {row.threshold})",
        "released": "no" if row.released_at is None else row.released_at,
        "by": row.released_by,
    }


@alerts.command("release")
@click.argument("tenant")
@click.argument("alert", type=click.UUID)
@json_option
def release_alert(tenant: str, alert: UUID, as_json: bool) -> None:
    """Let what can't be undone be done again in TENANT; ALERT is the id that 'alerts list' shows."""

    async def run(work: Work) -> Alert:
        return await mass_changes.release(work, alert)

    released = in_tenant(tenant, run)
    if as_json:
        print_json(alert_view(released))
    else:
        click.echo(f"Released; {counted(released.departures, 'person', 'people')} had left.")
