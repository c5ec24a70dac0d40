"""``rollcall people`` and ``explain``: who is in, in which role and why; appointed, demoted, let go, linked."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import click

from rollcall.access import external, passkeys, passwords, personal_tokens, sessions, tokens
from rollcall.access.models import Account
from rollcall.access.token_states import TokenState
from rollcall.api.v1.people import person_view
from rollcall.cli import stopping
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.history import people_on_day
from rollcall.cli.reaching import find_person, in_tenant
from rollcall.cli.showing import Row, counted, json_option, print_facts, print_json, print_list, visible
from rollcall.directory import linking, twins
from rollcall.directory import people as doors
from rollcall.directory.people import Person
from rollcall.directory.role_states import Explanation
from rollcall.paging import MOST
from rollcall.proof import receipts
from rollcall.work import Work


@click.group()
def people() -> None:
    """See a tenant's people; appoint, demote, deactivate, reactivate, link."""


people.add_command(people_on_day)


@people.command("list")
@click.argument("tenant")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="People a page.")
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0), help="Leave out so many.")
@json_option
def list_people(tenant: str, limit: int, offset: int, as_json: bool) -> None:
    """List TENANT's people in the order they came."""

    async def run(work: Work) -> None:
        total, found = await doors.every(work, limit=limit, offset=offset)
        print_list([_line(person) for person in found], [person_view(person) for person in found], as_json=as_json)
        click.echo(f"{len(found):,} of {total:,}", err=True)

    in_tenant(tenant, run)


@people.command("show")
@click.argument("tenant")
@click.argument("person")
@json_option
def show_person(tenant: str, person: str, as_json: bool) -> None:
    """Show PERSON (userName or id) of TENANT: their role and why, their groups, and every way in they have open."""

    async def run(work: Work) -> None:
        found = await find_person(work, person)
        said = await doors.explain(work, found.account.id)
        groups = () if found.user is None else await doors.group_names(work, found.user.id)
        ways = await _ways_in(work, found.account)
        same = () if found.user is None else await twins.of(work, found.user)
        more = {"role_reason": said["why"], "groups": groups, "open": ways, "twins": same}
        facts: Row = {**_facts(found, said, groups, ways), "same name as": ", ".join(same)}
        print_facts(facts, {**person_view(found).model_dump(), **more}, as_json=as_json)

    in_tenant(tenant, run)


async def _ways_in(work: Work, account: Account) -> dict[str, int]:
    """How many of each class of credentials a person has that open something now."""
    owned = [each for each in await tokens.every(work) if each.owner_id == account.id]
    return {
        "sessions": await sessions.count(work, account.id),
        "tokens_owned": sum(TokenState(each.state).works for each in owned),
        "personal_tokens": len(await personal_tokens.live_of_person(work, account.id)),
        "passkeys": len(await passkeys.of_person(work, account.id)),
        "external": len((await external.page(work, account.id, limit=MOST)).rows),
        "passwords": 0 if await passwords.of_person(work, account.id) is None else 1,
        "receipts": len((await receipts.page(work, account_id=account.id, limit=MOST)).rows),
    }


def _facts(person: Person, said: Explanation, groups: tuple[str, ...], ways: dict[str, int]) -> Row:
    account = person.account
    return {
        "userName": account.user_name,
        "name": None if person.user is None else person.user.document.get("displayName"),
        "state": _state(person),
        "deactivated": account.deactivated_at,
        "because": account.deactivated_because,
        "role": f"{said['label']} ({said['role']}{', admin' if account.is_admin else ''})",
        "why": said["why"],
        "conflict": said["conflict"],
        "groups": ", ".join(groups),
        "open": ", ".join(
            counted(ways[name], one)
            for name, one in (
                ("sessions", "session"),
                ("tokens_owned", "owned token"),
                ("personal_tokens", "personal token"),
                ("passkeys", "passkey"),
                ("external", "registered credential"),
                ("passwords", "password"),
            )
        ),
        "receipts": ways["receipts"],
        "id": account.id,
        "SCIM id": None if person.user is None else person.user.id,
        "externalId": account.external_id,
        "came": account.created_at,
        "linked to": account.linked_to,
    }


def _line(person: Person) -> Row:
    account = person.account
    return {
        "id": account.id,
        "userName": account.user_name,
        "state": _state(person),
        "role": account.role,
        "admin": account.is_admin,
        "because": account.role_state["origin"],
    }


def _state(person: Person) -> str:
    return "active" if person.account.active else "removed" if person.user is None else "inactive"


Change = Callable[[Work, UUID], Awaitable[Person]]


def _command(name: str, help_text: str, change: Change) -> None:
    """Add a command that changes one person, cuts nobody off, and prints how they stand afterwards."""

    @people.command(name, help=help_text)
    @click.argument("tenant")
    @click.argument("person")
    @json_option
    def command(tenant: str, person: str, as_json: bool) -> None:
        _done(tenant, person, change, as_json=as_json)


def _command_that_asks(
    name: str, help_text: str, change: Change, effects: Callable[[Work, Account], Awaitable[list[str]]]
) -> None:
    """The same for a change that may cut somebody off: it asks first."""

    @people.command(name, help=help_text)
    @click.argument("tenant")
    @click.argument("person")
    @yes_option
    @json_option
    def command(tenant: str, person: str, yes: bool, as_json: bool) -> None:
        async def run(work: Work) -> list[str]:
            return await effects(work, (await find_person(work, person)).account)

        confirm(in_tenant(tenant, run), yes=yes)
        _done(tenant, person, change, as_json=as_json)


def _done(tenant: str, person: str, change: Change, *, as_json: bool) -> None:
    async def run(work: Work) -> None:
        after = await change(work, (await find_person(work, person)).account.id)
        if as_json:
            print_json(person_view(after))
        else:
            print_list([_line(after)], [], as_json=False)

    in_tenant(tenant, run)


async def _demote(work: Work, person: UUID) -> Person:
    return await doors.give_role(work, person, None)


async def _deactivate(work: Work, person: UUID) -> Person:
    return await doors.deactivate(work, person, reason="deactivated by ops")


_command("appoint", "Make PERSON (userName or id) of TENANT an admin.", doors.appoint)
_command_that_asks(
    "demote",
    "Give PERSON of TENANT the default role; tokens they own stop at the next call.",
    _demote,
    stopping.by_losing_admin,
)
_command_that_asks(
    "deactivate",
    "End everything PERSON of TENANT can do, now: every way in is closed, and the outside is told.",
    _deactivate,
    stopping.by_leaving,
)
_command("reactivate", "Let PERSON of TENANT in again; nothing that was closed comes back.", doors.reactivate)


@people.command("link")
@click.argument("tenant")
@click.argument("person")
@click.argument("former", type=click.UUID)
@json_option
def link_person(tenant: str, person: str, former: UUID, as_json: bool) -> None:
    """Give PERSON (userName or id) of TENANT back FORMER, the account (its id) they had before they were removed.

    What was opened for the account they have had since is closed, and nothing that was closed comes back.
    """

    async def link(work: Work, found: UUID) -> Person:
        return await linking.link(work, found, former)

    _done(tenant, person, link, as_json=as_json)


@click.command()
@click.argument("tenant")
@click.argument("person")
@json_option
def explain(tenant: str, person: str, as_json: bool) -> None:
    """Say why PERSON (userName or id) of TENANT has the role they have."""

    async def run(work: Work) -> None:
        found = await find_person(work, person)
        said = await doors.explain(work, found.account.id)
        if as_json:
            print_json(said)
            return
        click.echo(visible(f"{found.account.user_name}: {said['label']} ({said['role']}, {said['origin']})"))
        click.echo(visible(said["why"]))
        for name in said["names"]:
            click.echo(visible(f"  {name['name']} in {name['source']}: {name['why']}"))
        if said["conflict"]:
            click.secho(visible(said["conflict"]), fg="yellow")

    in_tenant(tenant, run)
