"""Commands about the console: letting somebody in who has no passkey yet."""

import click

from rollcall.access import sign_in_codes
from rollcall.access.authenticators import pages_address
from rollcall.access.sign_in_codes import PATIENCE, NewCode
from rollcall.cli.access import find_person, ref_of
from rollcall.cli.running import actor, give_up, origin, run_with_database, settings_or_give_up
from rollcall.db import Database
from rollcall.errors import Forbidden, NotFound, PersonInactive
from rollcall.work import open_work


@click.group()
def console() -> None:
    """Let a tenant's people into the console."""


@console.command("code")
@click.argument("tenant")
@click.argument("user_name")
def sign_in_code(tenant: str, user_name: str) -> None:
    """Make a code with which USER_NAME (or id) of TENANT signs in to the console once, within 10 minutes.

    It is for the first time, and for whoever lost all their passkeys; give it to nobody else. A new code replaces the
    one before.
    """
    settings = settings_or_give_up()

    async def run(database: Database) -> NewCode:
        try:
            where = await ref_of(database, tenant)
        except NotFound:
            give_up(f"There is no tenant “{tenant}”; see 'rollcall tenants list'.")
        async with open_work(database, where, actor(), origin()) as work:
            try:
                return await sign_in_codes.issue(work, (await find_person(work, user_name)).account.id)
            except NotFound:
                give_up(f"There is nobody called “{user_name}” in {tenant}; see 'rollcall people list {tenant}'.")
            except PersonInactive:
                give_up(f"“{user_name}” is not active: 'rollcall people reactivate {tenant} {user_name}' lets them in.")
            except Forbidden:
                give_up(f"{tenant} is suspended; 'rollcall tenants resume {tenant}' lets its people in again.")

    new = run_with_database(run, settings)
    click.echo(new.text)
    minutes = int(PATIENCE.total_seconds() // 60)
    address = f"{pages_address(settings.public_url)}/console/sign-in?workspace={tenant}"
    click.echo(f"Good once, for {minutes} minutes, at {address}", err=True)
