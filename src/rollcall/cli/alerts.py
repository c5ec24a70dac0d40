"""``rollcall alerts``: what somebody should look at, and the release of mass changes."""

from uuid import UUID

import click

from rollcall.alerts import reading
from rollcall.alerts.reading import Alert
from rollcall.api.v1.alerts import alert_view, tenant_alert_view
from rollcall.cli.reaching import across_tenants, in_tenant
from rollcall.cli.showing import Row, counted, json_option, print_json, print_list
from rollcall.paging import MOST
from rollcall.proof import mass_changes
from rollcall.work import Fleet, Work


@click.group()
def alerts() -> None:
    """What somebody should look at: list it, and release what mass changes hold back."""


@alerts.command("list")
@click.argument("tenant", required=False)
@json_option
def list_alerts(tenant: str | None, as_json: bool) -> None:
    """List TENANT's alerts, newest first, those that are over too; without one the open ones of all tenants."""

    async def everywhere(fleet: Fleet) -> None:
        found = (await reading.every_open(fleet, limit=MOST)).rows
        rows = [_line(slug, alert) for slug, alert in found]
        print_list(rows, [tenant_alert_view(each) for each in found], as_json=as_json)

    async def within(work: Work) -> None:
        found = (await reading.page(work, limit=MOST)).rows
        rows = [_line(work.tenant.slug, alert) for alert in found]
        print_list(rows, [alert_view(alert) for alert in found], as_json=as_json)

    if tenant is None:
        across_tenants(everywhere)
    else:
        in_tenant(tenant, within)


def _line(slug: str, alert: Alert) -> Row:
    return {
        "tenant": slug,
        "kind": alert.kind.value,
        "id": alert.id,
        "since": alert.opened_at,
        "over": "no" if alert.closed_at is None else alert.closed_at,
        "what, and what to do": f"{alert.says} {alert.remedy}",
    }


@alerts.command("release")
@click.argument("tenant")
@click.argument("alert", type=click.UUID)
@json_option
def release_alert(tenant: str, alert: UUID, as_json: bool) -> None:
    """Let what can't be undone be done again in TENANT; ALERT is the id that 'alerts list' shows of a mass_change."""

    async def run(work: Work) -> Alert:
        return reading.of_mass_change(await mass_changes.release(work, alert))

    released = in_tenant(tenant, run)
    if as_json:
        print_json(alert_view(released))
    else:
        click.echo(f"Released; {counted(released.departures or 0, 'person', 'people')} had left.")
