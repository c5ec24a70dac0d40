"""``rollcall operators``: the people who run the installation, and the links with which they come in the first time."""

import click

from rollcall.access import operators as doors
from rollcall.access.authenticators import pages_address
from rollcall.access.operators import Invitation
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import across_tenants
from rollcall.cli.running import settings_or_give_up
from rollcall.cli.showing import Row, json_option, print_json, print_list
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import Fleet

_ROLES = click.Choice([role.value for role in OperatorRole])


@click.group()
def operators() -> None:
    """The people who run the installation: who they are and what they may do."""


@operators.command("invite")
@click.argument("name")
@click.option(
    "--role",
    required=True,
    type=_ROLES,
    help="What they may do: everything (ops), plans, overrides and usage (billing), or read, issue tokens for SCIM and "
    "make portal links (support).",
)
@click.option("--url", help="The address of the console, if it is not ROLLCALL_PUBLIC_URL.")
@json_option
def invite_operator(name: str, role: str, url: str | None, as_json: bool) -> None:
    """Make a link with which NAME registers a passkey for the operators' console, once, within a day.

    NAME is what the audit calls them. For whoever is an operator already it is a further passkey; a new link replaces
    the one before, and another role counts at once.
    """
    settings = settings_or_give_up()

    async def run(fleet: Fleet) -> Invitation:
        return await doors.invite(fleet, name, OperatorRole(role))

    made = across_tenants(run, settings)
    address = f"{(url or pages_address(settings.public_url)).rstrip('/')}/console/operators/invitation?link={made.text}"
    if as_json:
        given = {"operator": made.operator.name, "role": role, "url": address, "expires_at": made.expires_at}
        print_json(given)
        return
    click.echo(address)
    click.echo("Good once, for a day. Give it to them and to nobody else.", err=True)


@operators.command("list")
@json_option
def list_operators(as_json: bool) -> None:
    """List the operators by name, with their roles and passkeys."""
    found = across_tenants(doors.every)
    data: list[Row] = [
        {
            "name": each.operator.name,
            "role": each.operator.role,
            "passkeys": each.passkeys,
            "last_signed_in_at": each.last_used_at,
            "since": each.operator.created_at,
        }
        for each in found
    ]
    print_list(data, data, as_json=as_json)


@operators.command("change")
@click.argument("name")
@click.option("--role", required=True, type=_ROLES, help="What they may do from now on.")
@json_option
def change_operator(name: str, role: str, as_json: bool) -> None:
    """Give the operator NAME another role; they are signed out, and sign in to that role with their passkey."""

    async def run(fleet: Fleet) -> Row:
        changed = await doors.change_role(fleet, name, OperatorRole(role))
        return {"name": changed.name, "role": changed.role}

    after = across_tenants(run)
    if as_json:
        print_json(after)
    else:
        click.echo(f"{after['name']} is {after['role']} from now on.")


@operators.command("remove")
@click.argument("name")
@yes_option
@json_option
def remove_operator(name: str, yes: bool, as_json: bool) -> None:
    """End all that lets the operator NAME in, at once."""
    confirm([f"{name} is signed out at once; their passkeys and links open nothing any more."], yes=yes)

    async def run(fleet: Fleet) -> Row:
        removed = await doors.remove(fleet, name)
        return {"name": removed.name, "removed_at": removed.removed_at}

    after = across_tenants(run)
    if as_json:
        print_json(after)
    else:
        click.echo(f"{after['name']} is no operator any more.")
