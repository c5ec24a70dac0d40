"""Commands about who outside hears what happens, and what they were told."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from rollcall.cli.access import ref_of
from rollcall.cli.running import actor, give_up, origin, run_with_database, settings_or_give_up, table
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.events import deliveries as delivery_doors
from rollcall.events import destinations as doors
from rollcall.events.addresses import AddressRules
from rollcall.events.deliveries import State
from rollcall.events.destinations import WHOLE_INSTALLATION, NewDestination, Wanted
from rollcall.events.models import Delivery, DestinationRow
from rollcall.work import Fleet, Work, open_fleet, open_work

T = TypeVar("T")
INSTALLATION = "@all"
"""Stands in a tenant's place; no tenant can be called so."""

_tenant = click.argument("tenant")
_destination = click.argument("destination")


@click.group()
def destinations() -> None:
    """Register, change and test destinations, and see what they were told.

    TENANT is a tenant's slug or id, or @all for destinations that hear of every tenant.
    """


@destinations.command("list")
@_tenant
def list_destinations(tenant: str) -> None:
    """List TENANT's destinations, oldest first."""

    async def run(work: Work) -> None:
        table([_line(row) for row in await doors.every(work)])

    _with_work(tenant, run)


@destinations.command("create")
@_tenant
@click.option("--url", required=True, help="https://…, a public address.")
@click.option("--label", required=True, help="What people recognise it by.")
@click.option("--kind", type=click.Choice(["webhook", "logout"]), default="webhook", show_default=True)
@click.option("--topic", "topics", multiple=True, help="What to hear, such as user.deactivated; left out: everything.")
@click.option("--audience", help="For logout: the client that the tokens are for.")
def create_destination(
    tenant: str, url: str, label: str, kind: str, topics: tuple[str, ...], audience: str | None
) -> None:
    """Register a destination for TENANT. A webhook's secret is shown once, here."""
    settings = settings_or_give_up()
    rules = AddressRules.of(settings)

    async def run(work: Work) -> NewDestination:
        return await doors.create(work, Wanted(kind, url, label, topics, audience), rules, Sealer.of(settings))

    _show_secret(_with_work(tenant, run))


@destinations.command("rotate-secret")
@_tenant
@_destination
@click.option("--overlap-hours", default=24.0, show_default=True, type=click.FloatRange(0, 720))
def rotate_secret(tenant: str, destination: str, overlap_hours: float) -> None:
    """Give DESTINATION (its id) a new secret; calls are signed with both until the overlap is over."""
    sealer = Sealer.of(settings_or_give_up())

    async def run(work: Work) -> NewDestination:
        overlap = timedelta(hours=overlap_hours)
        return await doors.rotate_secret(work, _uuid(destination), sealer, overlap=overlap)

    _show_secret(_with_work(tenant, run))


def _change(name: str, said: str, help_text: str, change: Callable[[Work, UUID], Awaitable[object]]) -> None:
    """Add a command that does one thing to one destination."""

    @destinations.command(name, help=help_text)
    @_tenant
    @_destination
    def command(tenant: str, destination: str) -> None:
        async def run(work: Work) -> None:
            await change(work, _uuid(destination))

        _with_work(tenant, run)
        click.echo(said)


async def _disable(work: Work, destination: UUID) -> object:
    return await doors.disable(work, destination, because="disabled by ops")


_change("enable", "Enabled: it hears from now on.", "Let a disabled DESTINATION hear again.", doors.enable)
_change("disable", "Disabled: what waits for it is cancelled.", "Tell DESTINATION nothing more.", _disable)
_change("remove", "Removed: what waits for it is cancelled.", "Take DESTINATION away.", doors.remove)
_change("test", "Sent: 'rollcall destinations deliveries' tells how it goes.", "Send a test event.", doors.send_test)


@destinations.command("deliveries")
@_tenant
@_destination
@click.option("--state", type=click.Choice([*State]), help="Only those that stand so.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@click.option("--cursor", help="Continue where the page before ended.")
def list_deliveries(tenant: str, destination: str, state: str | None, limit: int, cursor: str | None) -> None:
    """List what DESTINATION was told, newest first."""

    async def run(database: Database) -> None:
        chosen = None if state is None else State(state)
        async with _across(database, tenant) as work:
            page = await delivery_doors.page(work, _uuid(destination), state=chosen, limit=limit, cursor=cursor)
            table([_told(row) for row in page.rows])
            if page.next_cursor is not None:
                click.echo(f"More: add --cursor {page.next_cursor}", err=True)

    run_with_database(run)


@destinations.command("replay")
@_tenant
@_destination
@click.argument("delivery", required=False)
def replay(tenant: str, destination: str, delivery: str | None) -> None:
    """Make DELIVERY (its id) once more, or every dead one if none is named."""

    async def run(database: Database) -> int:
        async with _across(database, tenant) as work:
            if delivery is None:
                return await delivery_doors.replay_dead(work, _uuid(destination))
            await delivery_doors.replay(work, _uuid(destination), _uuid(delivery))
            return 1

    click.echo(f"Made again: {run_with_database(run)}")


def _with_work(tenant: str, command: Callable[[Work], Awaitable[T]]) -> T:
    async def run(database: Database) -> T:
        ref = WHOLE_INSTALLATION if tenant == INSTALLATION else await ref_of(database, tenant)
        async with open_work(database, ref, actor(), origin()) as work:
            return await command(work)

    return run_with_database(run)


@asynccontextmanager
async def _across(database: Database, tenant: str) -> AsyncGenerator[Work | Fleet]:
    """What was told of a tenant is its own; what the installation's destinations were told is of every tenant."""
    if tenant == INSTALLATION:
        async with open_fleet(database, actor(), origin()) as fleet:
            yield fleet
    else:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            yield work


def _show_secret(new: NewDestination) -> None:
    click.echo(f"id      {new.row.id}")
    if new.secret is not None:
        click.echo(f"secret  {new.secret}")
        click.echo("Keep the secret now: it can't be shown again.", err=True)


def _line(row: DestinationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "label": row.label,
        "host": doors.host_of(row.url),
        "topics": " ".join(row.topics) or "(all)",
        "state": "enabled" if row.disabled_at is None else f"disabled: {row.disabled_because}",
        "failures": row.failures,
    }


def _told(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "topic": row.topic,
        "person": row.account_id,
        "state": row.state,
        "attempts": row.attempts,
        "status": row.last_status,
        "ms": row.took_ms,
        "said": row.last_error,
    }


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        give_up(f"“{text}” is no id; see 'rollcall destinations list'.")
