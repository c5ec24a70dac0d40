"""Commands about people and the ways in: tokens, roles, departures, and the installation's keys."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from rollcall.access import tokens as token_doors
from rollcall.access.tokens import Scope
from rollcall.cli.running import actor, give_up, origin, run_with_database, table
from rollcall.crypto import TokenKind
from rollcall.db import Database
from rollcall.directory import linking
from rollcall.directory import people as people_doors
from rollcall.directory.people import Person
from rollcall.errors import NotFound
from rollcall.tenancy import operators, tenants
from rollcall.work import TenantRef, Work, open_fleet, open_work


async def ref_of(database: Database, name: str) -> TenantRef:
    """The tenant with this slug or id."""
    async with open_fleet(database, actor(), origin()) as fleet:
        return tenants.ref(await tenants.find(fleet, name))


async def find_person(work: Work, name: str) -> Person:
    """A person by userName or id."""
    try:
        return await people_doors.find(work, UUID(name))
    except ValueError:
        return await people_doors.find_by_user_name(work, name)


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        give_up(f"“{text}” is not the id of a {what}; see 'rollcall {what}s list TENANT'.")


@click.group()
def tokens() -> None:
    """Issue, rotate, revoke and list a tenant's tokens."""


@tokens.command("list")
@click.argument("tenant")
def list_tokens(tenant: str) -> None:
    """List TENANT's tokens, newest first."""

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            table(
                [
                    {
                        "id": token.id,
                        "label": token.label,
                        "scopes": " ".join(token.scopes),
                        "state": token_doors.state(token, work.now).value,
                        "owner": token.owner_id or "(tenant)",
                        "expires": token.expires_at,
                        "last used": token.last_used_at,
                        "from": token.last_used_from,
                    }
                    for token in await token_doors.every(work)
                ]
            )

    run_with_database(run)


@tokens.command("issue")
@click.argument("tenant")
@click.option("--label", required=True, help="What the token is for.")
@click.option("--owner", help="userName or id of an active admin; left out, the tenant owns it.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([*Scope]), default=["scim"], show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Expires after so many days; never if left out.")
def issue_token(tenant: str, label: str, owner: str | None, scopes: tuple[str, ...], days: int | None) -> None:
    """Issue a token for TENANT. It is shown once, here."""

    async def run(database: Database) -> str:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            owner_id = None if owner is None else (await find_person(work, owner)).account.id
            expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
            new = await token_doors.issue(
                work,
                label=label,
                scopes=[Scope(scope) for scope in scopes],
                owner_id=owner_id,
                expires_at=expires_at,
            )
            return new.text

    click.echo(run_with_database(run))
    click.echo("Keep it now: it can't be shown again.", err=True)


@tokens.command("rotate")
@click.argument("tenant")
@click.argument("token")
@click.option("--overlap-hours", default=24.0, show_default=True, help="How long the old token works on.")
def rotate_token(tenant: str, token: str, overlap_hours: float) -> None:
    """Replace TOKEN (its id) of TENANT; the new one is shown once, here."""

    async def run(database: Database) -> str:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            overlap = timedelta(hours=overlap_hours)
            return (await token_doors.rotate(work, _uuid(token, "token"), overlap=overlap)).text

    click.echo(run_with_database(run))
    click.echo("Keep it now: it can't be shown again.", err=True)


@tokens.command("revoke")
@click.argument("tenant")
@click.argument("token")
def revoke_token(tenant: str, token: str) -> None:
    """End TOKEN (its id) of TENANT at once."""

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            await token_doors.revoke(work, _uuid(token, "token"))

    run_with_database(run)
    click.echo("Revoked: the next call with it is refused.")


@click.group()
def people() -> None:
    """See a tenant's people; appoint, demote, deactivate, reactivate, link."""


@people.command("list")
@click.argument("tenant")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0))
def list_people(tenant: str, limit: int, offset: int) -> None:
    """List TENANT's people in the order they came."""

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            total, found = await people_doors.every(work, limit=limit, offset=offset)
            table([_line(person) for person in found])
            click.echo(f"{len(found)} of {total}", err=True)

    run_with_database(run)


def _line(person: Person) -> dict[str, object]:
    account = person.account
    return {
        "id": account.id,
        "userName": account.user_name,
        "state": "active" if account.active else "removed" if person.user is None else "inactive",
        "role": account.role,
        "because": account.standing["origin"],
    }


def _change(name: str, help_text: str) -> None:
    """Add a command that changes one person and prints how they stand afterwards."""

    @people.command(name, help=help_text)
    @click.argument("tenant")
    @click.argument("person")
    def change(tenant: str, person: str) -> None:
        async def run(database: Database) -> None:
            async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
                found = (await find_person(work, person)).account.id
                match name:
                    case "appoint":
                        after = await people_doors.appoint(work, found)
                    case "demote":
                        after = await people_doors.give_role(work, found, None)
                    case "deactivate":
                        after = await people_doors.deactivate(work, found, reason="deactivated by ops")
                    case _:
                        after = await people_doors.reactivate(work, found)
                table([_line(after)])

        run_with_database(run)


_change("appoint", "Make PERSON (userName or id) of TENANT an admin.")
_change("demote", "Give PERSON of TENANT the default role; tokens they own stop at the next call.")
_change("deactivate", "End everything PERSON of TENANT can do, now: every way in is closed, and the outside is told.")
_change("reactivate", "Let PERSON of TENANT in again; nothing that was closed comes back.")


@people.command("link")
@click.argument("tenant")
@click.argument("person")
@click.argument("former", type=click.UUID)
def link_person(tenant: str, person: str, former: UUID) -> None:
    """Give PERSON (userName or id) of TENANT back FORMER, the account (its id) they had before they were removed.

    What was opened for the account they have had since is closed, and nothing that was closed comes back.
    """

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            found = (await find_person(work, person)).account.id
            table([_line(await linking.link(work, found, former))])

    run_with_database(run)


@click.command()
@click.argument("tenant")
@click.argument("person")
def explain(tenant: str, person: str) -> None:
    """Say why PERSON of TENANT has the role they have."""

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            found = await find_person(work, person)
            said = await people_doors.explain(work, found.account.id)
            click.echo(f"{found.account.user_name}: {said['label']} ({said['role']}, {said['origin']})")
            click.echo(said["why"])
            for name in said["names"]:
                click.echo(f"  {name['name']} in {name['source']}: {name['why']}")
            if said["conflict"]:
                click.secho(said["conflict"], fg="yellow")

    run_with_database(run)


@click.group()
def keys() -> None:
    """Keys of the installation: operators' and the product's."""


@keys.command("issue")
@click.argument("kind", type=click.Choice(["operator", "application"]))
@click.option("--label", required=True, help="Who or what uses it.")
def issue_key(kind: str, label: str) -> None:
    """Issue an operator's or the product's (application) key. It is shown once, here."""

    async def run(database: Database) -> str:
        async with open_fleet(database, actor(), origin()) as fleet:
            chosen = TokenKind.OPERATOR if kind == "operator" else TokenKind.APPLICATION
            return await operators.issue_key(fleet, chosen, label=label)

    click.echo(run_with_database(run))
    click.echo("Keep it now: it can't be shown again.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_keys(as_json: bool) -> None:
    """List the installation's keys, without what opens them."""

    async def run(database: Database) -> list[dict[str, object]]:
        async with open_fleet(database, actor(), origin()) as fleet:
            return [
                {
                    "id": str(key.id),
                    "kind": "operator" if key.kind == "op" else "application",
                    "label": key.label,
                    "created": key.created_at.isoformat(timespec="seconds"),
                    "state": "live" if key.revoked_at is None else "revoked",
                }
                for key in await operators.every(fleet)
            ]

    rows = run_with_database(run)
    if as_json:
        click.echo(json.dumps(rows))
    else:
        table(rows)


@keys.command("revoke")
@click.argument("key")
def revoke_key(key: str) -> None:
    """End KEY (its id) at once."""

    async def run(database: Database) -> None:
        async with open_fleet(database, actor(), origin()) as fleet:
            try:
                await operators.revoke_key(fleet, UUID(key), now=fleet.now)
            except ValueError:
                raise NotFound("key") from None

    run_with_database(run)
    click.echo("Revoked: the next call with it is refused.")
