"""``rollcall alerts``: tenants that unusually many people leave at once, and the release of what waits for that."""

from uuid import UUID

import click

from rollcall.access import mass_changes
from rollcall.cli.access import ref_of
from rollcall.cli.running import actor, origin, run_with_database, table
from rollcall.db import Database
from rollcall.paging import MOST
from rollcall.work import open_fleet, open_work


@click.group()
def alerts() -> None:
    """Mass changes: list them, and release what they hold back."""


@alerts.command("list")
@click.argument("tenant", required=False)
def list_alerts(tenant: str | None) -> None:
    """List TENANT's mass changes, newest first; without one those of all tenants that wait for their release."""

    async def run(database: Database) -> None:
        if tenant is None:
            async with open_fleet(database, actor(), origin()) as fleet:
                found = [(slug, row) for slug, row in (await mass_changes.unreleased(fleet, limit=MOST)).rows]
        else:
            async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
                found = [(tenant, alert.row) for alert in (await mass_changes.page(work, limit=MOST)).rows]
        table(
            [
                {
                    "tenant": slug,
                    "id": row.id,
                    "began at": row.began_at.strftime("%Y-%m-%d %H:%M:%S"),
                    "noticed with": f"{row.count} departures (threshold {row.threshold})",
                    "released": "no" if row.released_at is None else f"{row.released_at:%Y-%m-%d %H:%M:%S}",
                    "by": row.released_by,
                }
                for slug, row in found
            ]
        )

    run_with_database(run)


@alerts.command("release")
@click.argument("tenant")
@click.argument("alert", type=click.UUID)
def release_alert(tenant: str, alert: UUID) -> None:
    """Let what can't be undone be done again in TENANT; ALERT is the id that 'alerts list' shows."""

    async def run(database: Database) -> int:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            return (await mass_changes.release(work, alert)).departures

    click.echo(f"Released; {run_with_database(run)} people had left.")
