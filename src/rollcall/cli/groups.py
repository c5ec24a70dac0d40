"""``rollcall groups``: a tenant's groups, how many are in them, and which role their names make."""

import click

from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import Row, json_option, print_facts, print_list
from rollcall.directory import group_overview
from rollcall.directory.group_overview import Group
from rollcall.directory.rules import ReadName
from rollcall.work import Work


@click.group()
def groups() -> None:
    """See a tenant's groups."""


@groups.command("list")
@click.argument("tenant")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="Groups a page.")
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0), help="Leave out so many.")
@json_option
def list_groups(tenant: str, limit: int, offset: int, as_json: bool) -> None:
    """List TENANT's groups by name, with their number of members and the role that membership makes."""

    async def run(work: Work) -> None:
        total, found = await group_overview.every(work, limit=limit, offset=offset)
        print_list([_line(group) for group in found], [_facts(group) for group in found], as_json=as_json)
        click.echo(f"{len(found):,} of {total:,}", err=True)

    in_tenant(tenant, run)


@groups.command("show")
@click.argument("tenant")
@click.argument("group")
@click.option("--members", default=50, show_default=True, type=click.IntRange(0, 10_000), help="Name so many of them.")
@json_option
def show_group(tenant: str, group: str, members: int, as_json: bool) -> None:
    """Show GROUP (its name or id) of TENANT, and who is in it."""

    async def run(work: Work) -> None:
        found = await group_overview.find(work, group)
        named = await group_overview.user_names_in(work, found.row.id, limit=members)
        nested = await group_overview.groups_in(work, found.row.id, limit=members)
        shown: Row = {
            "group": found.row.display_name,
            "role": made_of(found.read),
            "people": _some(found.people, named),
            "groups": _some(found.groups, nested),
            "nobody's ids": found.unknown_members or None,
            "id": found.row.id,
            "externalId": found.row.external_id,
            "came": found.row.created_at,
            "changed": found.row.last_modified,
        }
        print_facts(shown, {**_facts(found), "user_names": named, "group_names": nested}, as_json=as_json)

    in_tenant(tenant, run)


def made_of(read: ReadName) -> str:
    """The role a name makes, or why it makes none."""
    match read.kind:
        case "role":
            return str(read.role)
        case "ungrantable":
            return "none: it begins with the prefix, and no role is called so"
        case "ignored":
            return "none: the name does not count"


def _some(number: int, names: object) -> str:
    listed = ", ".join(map(str, names)) if isinstance(names, list | tuple) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return f"{number:,}{f': {listed}' if listed else ''}"


def _line(group: Group) -> Row:
    return {
        "id": group.row.id,
        "name": group.row.display_name,
        "members": group.members,
        "role": group.read.role or ("(no such role)" if group.read.kind == "ungrantable" else ""),
        "changed": group.row.last_modified,
    }


def _facts(group: Group) -> Row:
    return {
        "id": group.row.id,
        "display_name": group.row.display_name,
        "external_id": group.row.external_id,
        "members": group.members,
        "people": group.people,
        "groups": group.groups,
        "strangers": group.unknown_members,
        "role": group.read.role,
        "read_as": group.read.kind,
        "created_at": group.row.created_at,
        "last_modified": group.row.last_modified,
    }
