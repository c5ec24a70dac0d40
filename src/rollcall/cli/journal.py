"""``rollcall audit`` and ``rollcall outbox``: what happened, and the backlog of what still has to go out."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from rollcall.access import accounts
from rollcall.api.v1.audit import entry_view
from rollcall.cli.reaching import find_person, ref_of
from rollcall.cli.running import actor, origin, run_with_database
from rollcall.cli.showing import Row, json_option, print_json, print_table, progress
from rollcall.db import Database
from rollcall.errors import NotFound
from rollcall.events import deliveries
from rollcall.events.deliveries import DeliveryBacklog
from rollcall.events.destinations import DestinationClosed
from rollcall.journal import outbox as outbox_doors
from rollcall.journal.models import AuditEntry
from rollcall.journal.queries import AuditQuestion, Entry, read
from rollcall.journal.record import INSTALLATION
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.work import Fleet, TenantRef, Work, open_fleet, open_work

LARGEST_PAGE = 500


@click.command()
@click.argument("tenant", required=False)
@click.option("--installation", is_flag=True, help="Instead of a tenant's: plans, keys, refused calls of no tenant.")
@click.option("--action", help="Only this action, or with a beginning such as 'scim.users' all under it.")
@click.option("--outcome", type=click.Choice(["done", "refused"]), help="Only what ended so.")
@click.option("--person", help="Only what concerns this person (userName or id).")
@click.option("--since", type=click.DateTime(), help="Only from this moment on (UTC).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, LARGEST_PAGE), help="Entries a page.")
@click.option("--cursor", help="Continue where the page before ended.")
@click.option("--all", "everything", is_flag=True, help="Every page to the end, one JSON object a line: an export.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, payloads included.")
def audit(  # noqa: PLR0913  # a command has a parameter for each of its options
    tenant: str | None,
    installation: bool,
    action: str | None,
    outcome: str | None,
    person: str | None,
    since: datetime | None,
    limit: int,
    cursor: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Read TENANT's audit, newest first."""
    if (tenant is None) != installation:
        msg = "Name a tenant, or give --installation."
        raise click.UsageError(msg)
    if installation and person is not None:
        msg = "--person is for a tenant's audit; the installation has no people."
        raise click.UsageError(msg)
    since_utc = None if since is None else since.replace(tzinfo=UTC)
    question = AuditQuestion(action=action, outcome=outcome, since=since_utc)

    async def run(database: Database) -> None:
        if everything:
            await _export(database, tenant, person, question, cursor)
            return
        async with _opened(database, tenant) as work:
            page = await read(work, await _about(work, question, person), limit=limit, cursor=cursor)
            if as_json:
                _print_lines(page)
            else:
                await _print_page(work, page)
        if page.next_cursor is not None:
            click.echo(f"More: add --cursor {page.next_cursor}", err=True)

    run_with_database(run)


async def _export(
    database: Database, tenant: str | None, person: str | None, question: AuditQuestion, cursor: str | None
) -> None:
    """Print every entry to the end; each page is a transaction of its own, so that none is long."""
    done = 0
    with progress("entries") as advance:
        while True:
            async with _opened(database, tenant) as work:
                asked = await _about(work, question, person)
                page = await read(work, asked, limit=LARGEST_PAGE, cursor=cursor)
            _print_lines(page)
            done += len(page.rows)
            advance(f"{done:,} entries", done, None)
            if page.next_cursor is None:
                return
            cursor = page.next_cursor


@asynccontextmanager
async def _opened(database: Database, tenant: str | None) -> AsyncGenerator[Work | Fleet]:
    """Work for a tenant, or for the installation if none is named."""
    if tenant is None:
        async with open_fleet(database, actor(), origin()) as fleet:
            yield fleet
    else:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            yield work


async def _about(work: Work | Fleet, question: AuditQuestion, person: str | None) -> AuditQuestion:
    if person is None or not isinstance(work, Work):
        return question
    return replace(question, account_id=(await find_person(work, person)).account.id)


def _print_lines(page: Page[Entry]) -> None:
    for entry in page.rows:
        print_json(entry_view(entry).model_dump(), indent=None)


async def _print_page(work: Work | Fleet, page: Page[Entry]) -> None:
    if not page.rows:
        click.echo("none")
        return
    names: dict[UUID, str] = {}
    if isinstance(work, Work):
        names = await accounts.names(work, (entry.account_id for entry, _ in page.rows))
    print_table([_line(entry, names) for entry, _ in page.rows])


def _line(entry: AuditEntry, names: Mapping[UUID, str]) -> Row:
    person = entry.account_id
    return {
        "at": entry.at,
        "action": entry.action,
        "outcome": entry.outcome if entry.status is None else f"{entry.outcome} {entry.status}",
        "by": entry.actor_label,
        "person": None if person is None else names.get(person, str(person)),
        "target": entry.target,
        "events": " ".join(entry.events),
        "detail": entry.detail,
    }


@click.command()
@click.option("--replay", is_flag=True, help="Have dead messages dealt with again, and dead deliveries made again.")
@json_option
def outbox(replay: bool, as_json: bool) -> None:
    """Say how much waits to be told, since when, to whom, and what has been given up."""

    async def run(database: Database) -> None:
        replayed = await _replay(database) if replay else None
        async with open_fleet(database, actor(), origin()) as fleet:
            found = await outbox_doors.backlog(fleet)
            sent = await deliveries.backlog(fleet)
            troubled = await deliveries.troubled(fleet)
            slugs = {row.id: row.slug for row in await tenants.every(fleet)} if troubled else {}
        if as_json:
            data = {"messages": _backlog(found), "deliveries": _backlog(sent), "destinations": _facts(troubled, slugs)}
            print_json(data if replayed is None else {**data, "replayed": replayed})
            return
        if replayed is not None:
            click.echo(f"replayed: {replayed['messages']} messages, {replayed['deliveries']} deliveries")
        click.echo(f"waiting: {found.waiting} (the oldest for {found.oldest_seconds:.0f} s), dead: {found.dead}")
        click.echo(f"deliveries: {sent.pending} (the oldest for {sent.oldest_seconds:.0f} s), dead: {sent.dead}")
        if troubled:
            print_table(_facts(troubled, slugs))

    run_with_database(run)


async def _replay(database: Database) -> dict[str, int]:
    """Have everything dead dealt with again; returns how much that is."""
    async with open_fleet(database, actor(), origin()) as fleet:
        messages = await outbox_doors.revive(fleet)
        troubled = [row for row in await deliveries.troubled(fleet) if row.dead]
    again = 0
    for row in troubled:
        with suppress(NotFound, DestinationClosed):
            again += await _replay_one(database, row.owner_id, row.destination_id)
    return {"messages": messages, "deliveries": again}


async def _replay_one(database: Database, owner_id: UUID, destination_id: UUID) -> int:
    if owner_id == INSTALLATION:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await deliveries.replay_dead(fleet, destination_id)
    async with open_work(database, TenantRef(owner_id, ""), actor(), origin()) as work:
        return await deliveries.replay_dead(work, destination_id)


def _backlog(found: DeliveryBacklog | outbox_doors.OutboxBacklog) -> Row:
    waiting = found.pending if isinstance(found, DeliveryBacklog) else found.waiting
    return {"waiting": waiting, "oldest_seconds": round(found.oldest_seconds), "dead": found.dead}


def _facts(troubled: Sequence[Any], slugs: Mapping[UUID, str]) -> list[Row]:
    return [
        {
            "destination": row.destination_id,
            "label": row.label,
            "tenant": "@all" if row.owner_id == INSTALLATION else slugs.get(row.owner_id, row.owner_id),
            "waiting": row.pending,
            "dead": row.dead,
            "oldest": row.oldest,
        }
        for row in troubled
    ]
