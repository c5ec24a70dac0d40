"""``rollcall console password`` and ``rollcall tenants break-glass``: passwords, and who may have one."""

import asyncio
import sys
from dataclasses import replace

import click

from rollcall.access import passwords
from rollcall.access.hashing import Hashing
from rollcall.api.v1.tenants import tenant_view
from rollcall.cli.giving_up import give_up
from rollcall.cli.reaching import across_tenants, find_person, find_tenant, in_tenant
from rollcall.cli.running import actor, settings_or_give_up
from rollcall.cli.showing import json_option, print_json
from rollcall.errors import Forbidden, Invalid, PersonInactive
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, Work


@click.command("password")
@click.argument("tenant")
@click.argument("user_name")
@click.option("--remove", "is_removed", is_flag=True, help="End the password that there is.")
@json_option
def set_password(tenant: str, user_name: str, is_removed: bool, as_json: bool) -> None:
    """Set the password with which USER_NAME (or id) of TENANT signs in to the console in an emergency.

    It is asked for, or read as the first line of the standard input; it is never an argument, which others on the
    machine could read. Only whom 'rollcall tenants break-glass' names may have one.
    """
    settings = settings_or_give_up()
    password = "" if is_removed else passwords.plain(_read())
    try:
        if not is_removed:
            passwords.check(password)
    except Invalid as fault:
        give_up(f"{fault.detail.removeprefix('password: ').capitalize()}.")

    async def allowed(work: Work) -> None:
        await passwords.check_may_have(work, (await find_person(work, user_name)).account.id)

    async def run(work: Work) -> str:
        account = (await find_person(work, user_name)).account
        if is_removed:
            await passwords.remove(work, account.id)
        else:
            await passwords.keep(work, account.id, hashed)
        return account.user_name

    try:
        if not is_removed:
            in_tenant(tenant, allowed, settings)
        hashed = "" if is_removed else asyncio.run(Hashing().hashed(password))  # no transaction is open meanwhile
        name = in_tenant(tenant, run, settings)
    except PersonInactive:
        give_up(f"“{user_name}” is not active: 'rollcall people reactivate {tenant} {user_name}' lets them in.")
    except Forbidden:
        give_up(f"{tenant} is suspended; 'rollcall tenants resume {tenant}' lets its people in again.")
    if as_json:
        print_json({"user_name": name, "has_password": not is_removed})
        return
    said = "has no password" if is_removed else "signs in at /console/sign-in/password from now on"
    click.echo(f"{name} {said}.")


@click.command("break-glass")
@click.argument("tenant")
@click.argument("people", nargs=-1)
@click.option("--nobody", "is_off", is_flag=True, help="Allow nobody a password any more.")
@json_option
def change_break_glass(tenant: str, people: tuple[str, ...], is_off: bool, as_json: bool) -> None:
    """Say which PEOPLE (userName or id) of TENANT may have a password for the console; without one, say who may.

    They replace those who were named before. Passwords are off for everybody else.
    """
    if is_off and people:
        msg = "Name PEOPLE, or give --nobody, not both."
        raise click.UsageError(msg)

    async def named(work: Work) -> tuple[str, ...]:
        return tuple([(await find_person(work, each)).account.user_name for each in people])

    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        if people or is_off:
            await tenants.change(fleet, row, replace(tenants.terms_of(row), break_glass=names))
        return row

    names = in_tenant(tenant, named) if people else ()
    after = across_tenants(run)
    if as_json:
        print_json(tenant_view(after, to=actor()))
        return
    may = ", ".join(after.break_glass) or "nobody"
    click.echo(f"{after.slug}: {may} may have a password for the console.")


def _read() -> str:
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")
