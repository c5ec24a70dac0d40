"""``rollcall destinations``: who outside hears what happens, and what they were told."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from rollcall.access import accounts
from rollcall.api.v1.destination_views import delivery_view, destination_view, secret_shown
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import ref_of, uuid_of
from rollcall.cli.running import actor, origin, run_with_database, settings_or_give_up
from rollcall.cli.showing import Row, counted, json_option, print_json, print_list, progress
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.events import deliveries as delivery_doors
from rollcall.events import destination_secrets
from rollcall.events import destinations as doors
from rollcall.events.addresses import AddressRules
from rollcall.events.deliveries import DeliveryState
from rollcall.events.destinations import WHOLE_INSTALLATION, NewDestination, Wanted
from rollcall.events.models import Delivery, DestinationRow
from rollcall.work import Fleet, Work, open_fleet, open_work

T = TypeVar("T")
INSTALLATION = "@all"
"""Stands in a tenant's place; no tenant can be called so."""

MOST_COUNTED = 500

_tenant = click.argument("tenant")
_destination = click.argument("destination")


@click.group()
def destinations() -> None:
    """Register, change and test destinations, and see what they were told.

    TENANT is a tenant's slug or id, or @all for destinations that hear of every tenant.
    """


@destinations.command("list")
@_tenant
@json_option
def list_destinations(tenant: str, as_json: bool) -> None:
    """List TENANT's destinations, oldest first."""

    async def run(work: Work) -> None:
        found = await doors.every(work)
        views = [destination_view(row, work.now) for row in found]
        print_list([_line(row) for row in found], views, as_json=as_json)

    _with_work(tenant, run)


@destinations.command("create")
@_tenant
@click.option("--url", required=True, help="https://…, a public address.")
@click.option("--label", required=True, help="What people recognise it by.")
@click.option("--kind", type=click.Choice(["webhook", "logout"]), default="webhook", show_default=True)
@click.option("--topic", "topics", multiple=True, help="What to hear, such as user.deactivated; left out: everything.")
@click.option("--audience", help="For logout: the client that the tokens are for.")
@json_option
def create_destination(
    tenant: str, url: str, label: str, kind: str, topics: tuple[str, ...], audience: str | None, as_json: bool
) -> None:
    """Register a destination for TENANT. A webhook's secret is shown once, here."""
    settings = settings_or_give_up()
    rules = AddressRules.of(settings)

    async def run(work: Work) -> None:
        wanted = Wanted(kind, url, label, topics, audience)
        _show_secret(work, await doors.create(work, wanted, rules, Sealer.of(settings)), as_json=as_json)

    _with_work(tenant, run)


@destinations.command("rotate-secret")
@_tenant
@_destination
@click.option("--overlap-hours", default=24.0, show_default=True, type=click.FloatRange(0, 720))
@json_option
def rotate_secret(tenant: str, destination: str, overlap_hours: float, as_json: bool) -> None:
    """Give DESTINATION (its id) a new secret; calls are signed with both until the overlap is over."""
    sealer, wanted = Sealer.of(settings_or_give_up()), _uuid(tenant, destination)

    async def run(work: Work) -> None:
        overlap = timedelta(hours=overlap_hours)
        _show_secret(work, await destination_secrets.rotate(work, wanted, sealer, overlap=overlap), as_json=as_json)

    _with_work(tenant, run)


@destinations.command("enable")
@_tenant
@_destination
@json_option
def enable(tenant: str, destination: str, as_json: bool) -> None:
    """Let a disabled DESTINATION (its id) hear again."""
    wanted = _uuid(tenant, destination)

    async def run(work: Work) -> None:
        row = await doors.enable(work, wanted)
        _show_done("Enabled: it hears from now on.", destination_view(row, work.now), as_json=as_json)

    _with_work(tenant, run)


@destinations.command("disable")
@_tenant
@_destination
@yes_option
@json_option
def disable(tenant: str, destination: str, yes: bool, as_json: bool) -> None:
    """Tell DESTINATION (its id) nothing more."""
    wanted = _uuid(tenant, destination)
    confirm(_effects_of_silence(tenant, wanted), yes=yes)

    async def run(work: Work) -> None:
        row = await doors.disable(work, wanted, because="disabled by ops")
        _show_done("Disabled: what waits for it is cancelled.", destination_view(row, work.now), as_json=as_json)

    _with_work(tenant, run)


@destinations.command("remove")
@_tenant
@_destination
@yes_option
def remove(tenant: str, destination: str, yes: bool) -> None:
    """Take DESTINATION (its id) away."""
    wanted = _uuid(tenant, destination)
    confirm(_effects_of_silence(tenant, wanted), yes=yes)

    async def run(work: Work) -> None:
        await doors.remove(work, wanted)

    _with_work(tenant, run)
    click.echo("Removed: what waits for it is cancelled.")


@destinations.command("test")
@_tenant
@_destination
@json_option
def send_test(tenant: str, destination: str, as_json: bool) -> None:
    """Send DESTINATION (its id) a test event."""
    wanted = _uuid(tenant, destination)

    async def run(work: Work) -> UUID:
        return await delivery_doors.send_test(work, wanted)

    sent = _with_work(tenant, run)
    said = f"Sent: 'rollcall destinations deliveries {tenant} {destination}' tells how it goes."
    _show_done(said, {"delivery_id": sent}, as_json=as_json)


@destinations.command("deliveries")
@_tenant
@_destination
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]), help="Only those that stand so.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500), help="Deliveries a page.")
@click.option("--cursor", help="Continue where the page before ended.")
@json_option
def list_deliveries(
    tenant: str, destination: str, state: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List what DESTINATION (its id) was told, newest first."""
    wanted, chosen = _uuid(tenant, destination), None if state is None else DeliveryState(state)

    async def run(database: Database) -> None:
        async with _across(database, tenant) as work:
            page = await delivery_doors.page(work, wanted, state=chosen, limit=limit, cursor=cursor)
            people = [row.account_id for row in page.rows]
            names = await accounts.names(work, people) if isinstance(work, Work) else {}
            rows = [_told(row, names) for row in page.rows]
            views = [delivery_view(row) for row in page.rows]
            print_list(rows, views, as_json=as_json, next_cursor=page.next_cursor)

    run_with_database(run)


@destinations.command("replay")
@_tenant
@_destination
@click.argument("delivery", required=False)
@click.option("--since", type=click.DateTime(), help="Everything that has ended since this moment (UTC), taken or not.")
@json_option
def replay(tenant: str, destination: str, delivery: str | None, since: datetime | None, as_json: bool) -> None:
    """Make DELIVERY (its id) once more, or every dead one if none is named, or with --since everything from then on."""
    if delivery is not None and since is not None:
        msg = "name one DELIVERY or a moment, not both"
        raise click.BadOptionUsage("since", msg)
    wanted = _uuid(tenant, destination)
    listed_by = f"rollcall destinations deliveries {tenant} {destination}"
    one = None if delivery is None else uuid_of(delivery, "delivery", listed_by)

    async def run(database: Database) -> int:
        if since is not None:
            return await _replay_since(database, tenant, wanted, since.replace(tzinfo=UTC))
        async with _across(database, tenant) as work:
            if one is None:
                return await delivery_doors.replay_dead(work, wanted)
            await delivery_doors.replay(work, wanted, one)
            return 1

    number = run_with_database(run)
    _show_done(f"Made again: {number}", {"replayed": number}, as_json=as_json)


async def _replay_since(database: Database, tenant: str, destination: UUID, since: datetime) -> int:
    """Make everything since then once more, ten thousand at a time, each in a transaction of its own."""
    number, after = 0, None
    with progress("deliveries") as advance:
        while True:
            async with _across(database, tenant) as work:
                made = await delivery_doors.replay_since(work, destination, since, after=after)
            number, after = number + made.number, made.last
            advance(f"{number:,} deliveries", number, None)
            if after is None:
                return number


def _effects_of_silence(tenant: str, destination: UUID) -> list[str]:
    """What stops when a destination hears nothing more; nothing if it is disabled already."""

    async def run(database: Database) -> list[str]:
        ref = WHOLE_INSTALLATION if tenant == INSTALLATION else await ref_of(database, tenant)
        async with open_work(database, ref, actor(), origin()) as work:
            row = await doors.find(work, destination)
        if row.disabled_at is not None:
            return []
        async with _across(database, tenant) as work:
            page = await delivery_doors.page(
                work, destination, state=DeliveryState.PENDING, limit=MOST_COUNTED, cursor=None
            )
        return [_silence(row, page.rows, more=page.next_cursor is not None)]

    return run_with_database(run)


def _silence(row: DestinationRow, waiting: Sequence[Delivery], *, more: bool) -> str:
    number = f"{len(waiting)} and more deliveries" if more else counted(len(waiting), "delivery", "deliveries")
    verb = "is" if len(waiting) == 1 else "are"
    heard = f"{len(row.topics)} topics" if row.topics else "everything"
    return (
        f"“{row.label}” ({row.kind} at {doors.host_of(row.url)}, which hears {heard}) hears nothing more; "
        f"{number} waiting for it {verb} cancelled."
    )


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


def _show_secret(work: Work, new: NewDestination, *, as_json: bool) -> None:
    if as_json:
        print_json(secret_shown(new, work.now))
        return
    click.echo(f"id      {new.row.id}")
    if new.secret is not None:
        click.echo(f"secret  {new.secret}")
        click.echo("Keep the secret now: it can't be shown again.", err=True)


def _show_done(said: str, data: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(data)
    else:
        click.echo(said)


def _line(row: DestinationRow) -> Row:
    return {
        "id": row.id,
        "kind": row.kind,
        "label": row.label,
        "host": doors.host_of(row.url),
        "topics": " ".join(row.topics) or "(all)",
        "state": "enabled" if row.disabled_at is None else f"disabled: {row.disabled_because}",
        "failures": row.failures,
    }


def _told(row: Delivery, names: dict[UUID, str]) -> Row:
    person = row.account_id
    return {
        "id": row.id,
        "at": row.created_at,
        "topic": row.topic,
        "person": None if person is None else names.get(person, str(person)),
        "state": row.state,
        "attempts": row.attempts,
        "status": row.last_status,
        "ms": row.took_ms,
        "said": row.last_error,
    }


def _uuid(tenant: str, text: str) -> UUID:
    return uuid_of(text, "destination", f"rollcall destinations list {tenant}")
