"""``rollcall console``: letting somebody in who has no passkey yet, or none at hand."""

import click

from rollcall.access import sign_in_codes
from rollcall.access.authenticators import pages_address
from rollcall.access.sign_in_codes import PATIENCE, NewCode
from rollcall.cli.giving_up import give_up
from rollcall.cli.passwords import set_password
from rollcall.cli.reaching import find_person, in_tenant
from rollcall.cli.running import settings_or_give_up
from rollcall.cli.showing import json_option, print_json
from rollcall.errors import Forbidden, PersonInactive
from rollcall.work import Work


@click.group()
def console() -> None:
    """Let a tenant's people into the console."""


console.add_command(set_password)


@console.command("code")
@click.argument("tenant")
@click.argument("user_name")
@json_option
def sign_in_code(tenant: str, user_name: str, as_json: bool) -> None:
    """Make a code with which USER_NAME (or id) of TENANT signs in to the console once, within 10 minutes.

    It is for the first time, and for whoever lost all their passkeys; give it to nobody else. A new code replaces the
    one before.
    """
    settings = settings_or_give_up()

    async def run(work: Work) -> NewCode:
        try:
            return await sign_in_codes.issue(work, (await find_person(work, user_name)).account.id)
        except PersonInactive:
            give_up(f"“{user_name}” is not active: 'rollcall people reactivate {tenant} {user_name}' lets them in.")
        except Forbidden:
            give_up(f"{tenant} is suspended; 'rollcall tenants resume {tenant}' lets its people in again.")

    new = in_tenant(tenant, run, settings)
    address = f"{pages_address(settings.public_url)}/console/sign-in?workspace={tenant}"
    if as_json:
        print_json({"code": new.text, "url": address, "expires_at": new.row.expires_at})
        return
    click.echo(new.text)
    minutes = int(PATIENCE.total_seconds() // 60)
    click.echo(f"Good once, for {minutes} minutes, at {address}", err=True)
