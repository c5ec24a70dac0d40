"""``rollcall secret``: a fresh key to seal secrets under, and what is stored brought under it."""

from collections import Counter

import click

from rollcall.cli.giving_up import give_up
from rollcall.cli.running import actor, origin, run_with_database, settings_or_give_up
from rollcall.cli.showing import json_option, print_json
from rollcall.crypto import Sealer, Under, new_secret_key
from rollcall.db import Database
from rollcall.events import destination_secrets
from rollcall.proof import signing
from rollcall.work import TenantRef, open_fleet, open_work


@click.group(invoke_without_command=True)
@click.pass_context
def secret(context: click.Context) -> None:
    """Print a fresh key for ROLLCALL_SECRET_KEYS; it is kept nowhere.

    To change keys put the new one first, separated by a comma, on every process; the old ones go on opening what they
    have sealed. Once every process has it, 'rollcall secret reseal' brings all of it under the first key.
    """
    if context.invoked_subcommand is None:
        click.echo(new_secret_key())


@secret.command("reseal")
@json_option
def reseal_secrets(as_json: bool) -> None:
    """Seal everything stored under the first of ROLLCALL_SECRET_KEYS, so that the others can be taken out.

    Start every process with the new key first before; what one that knows the old order seals meanwhile stays under its
    own first key. 'rollcall doctor' says what there is.
    """
    settings = settings_or_give_up()

    async def run(database: Database) -> Counter[Under]:
        return await reseal(database, Sealer.of(settings))

    stood = run_with_database(run, settings)
    if as_json:
        counts = {"resealed": stood[Under.OLDER], "kept": stood[Under.FIRST], "lost": stood[Under.NONE]}
        print_json(counts)
    else:
        click.echo(f"{stood[Under.OLDER]} resealed; {stood[Under.FIRST]} were under the first key already.")
    if stood[Under.NONE]:
        give_up(f"{stood[Under.NONE]} can't be opened with any of the keys: put the one back that sealed them.")


async def reseal(database: Database, sealer: Sealer) -> Counter[Under]:
    """Reseal everything, each tenant's by itself; returns under which keys it stood."""
    async with open_fleet(database, actor(), origin()) as fleet:
        stood = await signing.reseal(fleet, sealer)
        tenants = await destination_secrets.tenants_with_secrets(fleet)
    for tenant_id in tenants:
        async with open_work(database, TenantRef(tenant_id, str(tenant_id)), actor(), origin()) as work:
            stood += await destination_secrets.reseal(work, sealer)
    return stood
