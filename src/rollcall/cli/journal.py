"""Commands that read the journal: a tenant's audit, and what still waits to be told."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from rollcall.cli.access import find_person, ref_of
from rollcall.cli.running import actor, origin, run_with_database, table
from rollcall.db import Database
from rollcall.errors import NotFound
from rollcall.events import deliveries
from rollcall.events.destinations import DestinationClosed
from rollcall.journal import outbox as outbox_doors
from rollcall.journal.models import AuditEntry
from rollcall.journal.reading import Question, read
from rollcall.journal.record import INSTALLATION
from rollcall.work import TenantRef, open_fleet, open_work


@click.command()
@click.argument("tenant", required=False)
@click.option("--installation", is_flag=True, help="Instead of a tenant's: plans, keys, refused calls of no tenant.")
@click.option("--action", help="Only this action, or with a beginning such as 'scim.users' all under it.")
@click.option("--outcome", type=click.Choice(["done", "refused"]), help="Only what ended so.")
@click.option("--person", help="Only what concerns this person (userName or id).")
@click.option("--since", type=click.DateTime(), help="Only from this moment on (UTC).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500), help="Entries a page.")
@click.option("--cursor", help="Continue where the page before ended.")
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
    as_json: bool,
) -> None:
    """Read TENANT's audit, newest first."""
    if (tenant is None) != installation:
        msg = "name a tenant, or give --installation"
        raise click.UsageError(msg)
    if installation and person is not None:
        msg = "--person is for a tenant's audit; the installation has no people"
        raise click.UsageError(msg)

    async def run(database: Database) -> None:
        since_utc = None if since is None else since.replace(tzinfo=UTC)
        question = Question(action=action, outcome=outcome, since=since_utc)
        if tenant is None:
            async with open_fleet(database, actor(), origin()) as fleet:
                page = await read(fleet, question, limit=limit, cursor=cursor)
        else:
            async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
                if person is not None:
                    question = replace(question, account_id=(await find_person(work, person)).account.id)
                page = await read(work, question, limit=limit, cursor=cursor)
        if as_json:
            for entry, payload in page.rows:
                click.echo(json.dumps(_facts(entry) | {"payload": payload}, default=str))
        else:
            table([_line(entry) for entry, _ in page.rows])
        if page.next_cursor is not None:
            click.echo(f"More: add --cursor {page.next_cursor}", err=True)

    run_with_database(run)


def _line(entry: AuditEntry) -> dict[str, object]:
    return {
        "at": entry.at.strftime("%Y-%m-%d %H:%M:%S"),
        "action": entry.action,
        "outcome": entry.outcome if entry.status is None else f"{entry.outcome} {entry.status}",
        "by": entry.actor_label,
        "target": entry.target,
        "events": " ".join(entry.events),
        "detail": entry.detail,
    }


def _facts(entry: AuditEntry) -> dict[str, object]:
    return {
        column.key: getattr(entry, column.key)
        for column in AuditEntry.__table__.columns
        if column.key != "payload_digest"
    }


@click.command()
@click.option("--replay", is_flag=True, help="Have dead messages dealt with again, and dead deliveries made again.")
def outbox(replay: bool) -> None:
    """Say how much waits to be told, since when, to whom, and what has been given up."""

    async def run(database: Database) -> None:
        if replay:
            await _replay(database)
        async with open_fleet(database, actor(), origin()) as fleet:
            found = await outbox_doors.backlog(fleet)
            told = await deliveries.backlog(fleet)
            troubled = await deliveries.troubled(fleet)
        click.echo(f"waiting: {found.waiting} (the oldest for {found.oldest_seconds:.0f} s), dead: {found.dead}")
        click.echo(f"deliveries: {told.pending} (the oldest for {told.oldest_seconds:.0f} s), dead: {told.dead}")
        if troubled:
            table([_trouble(row) for row in troubled])

    run_with_database(run)


async def _replay(database: Database) -> None:
    async with open_fleet(database, actor(), origin()) as fleet:
        messages = await outbox_doors.revive(fleet)
        troubled = [row for row in await deliveries.troubled(fleet) if row.dead]
    again = 0
    for row in troubled:
        with suppress(NotFound, DestinationClosed):
            again += await _replay_one(database, row.owner_id, row.destination_id)
    click.echo(f"replayed: {messages} messages, {again} deliveries")


async def _replay_one(database: Database, owner_id: UUID, destination_id: UUID) -> int:
    if owner_id == INSTALLATION:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await deliveries.replay_dead(fleet, destination_id)
    async with open_work(database, TenantRef(owner_id, ""), actor(), origin()) as work:
        return await deliveries.replay_dead(work, destination_id)


def _trouble(row: Any) -> dict[str, object]:
    return {
        "destination": row.destination_id,
        "label": row.label,
        "tenant": "(installation)" if row.owner_id == INSTALLATION else row.owner_id,
        "waiting": row.pending,
        "dead": row.dead,
        "oldest": row.oldest.strftime("%Y-%m-%d %H:%M:%S"),
    }
