"""``rollcall people erase``: what names somebody who has left goes."""

import sys

import click

from rollcall.cli.confirming import yes_option
from rollcall.cli.giving_up import give_up
from rollcall.cli.reaching import find_person, in_tenant
from rollcall.cli.showing import counted, json_option, print_json, visible
from rollcall.directory import erasing
from rollcall.directory.erasing import Erasure
from rollcall.work import Work


@click.command("erase")
@click.argument("tenant")
@click.argument("person")
@click.option("--receipts", is_flag=True, help="Delete their signed receipts too, which name them.")
@yes_option
@json_option
def erase_person(tenant: str, person: str, receipts: bool, yes: bool, as_json: bool) -> None:
    """Erase what names PERSON (userName or id) of TENANT, who has left. This can't be undone.

    Says in numbers what goes and what stays. At a terminal the userName has to be typed then; in scripts nothing is
    changed without --yes. It may be stopped at any time: run it again, or leave the rest to housekeeping.
    """

    async def erase(work: Work, *, dry_run: bool) -> Erasure:
        return await erasing.erase(
            work, (await find_person(work, person)).account.id, receipts=receipts, dry_run=dry_run
        )

    outlook = in_tenant(tenant, lambda work: erase(work, dry_run=True))
    if not as_json:
        _say(outlook)
    if not outlook.before and not yes and not _is_typed(outlook.account.user_name):
        if as_json:
            _print(outlook, erased=False)
        click.echo("Nothing was changed: add --yes to erase them.", err=True)
        return
    account_id = outlook.account.id
    if not outlook.before:
        outlook = in_tenant(tenant, lambda work: erase(work, dry_run=False))
    looked_through = 0
    while looked := in_tenant(tenant, lambda work: erasing.go_on(work, account_id)):
        looked_through += looked
    if as_json:
        _print(outlook, erased=True)
    else:
        click.echo(f"Erased: {account_id}. {counted(looked_through, 'entry', 'entries')} of the audit looked through.")


def _is_typed(user_name: str) -> bool:
    if not sys.stdin.isatty():
        return False
    if click.prompt(visible(f"Type their userName ({user_name}) to go on"), err=True) != user_name:
        give_up("That is another name. Nothing was changed.")
    return True


def _say(outlook: Erasure) -> None:
    if outlook.before:
        click.echo("They were erased before.")
        return
    click.echo(visible(f"{outlook.account.user_name} ({outlook.account.id}) is erased, which can't be undone."))
    for name, rows in outlook.went.items():
        click.echo(f"  goes   {rows:,} {name.replace('_', ' ')}")
    click.echo(f"  stays  {counted(outlook.entries, 'entry', 'entries')} of the audit, without names and payloads")
    if outlook.receipts_kept:
        click.echo(f"  stays  {counted(outlook.receipts_kept, 'signed receipt')}, naming them; --receipts deletes them")


def _print(outlook: Erasure, *, erased: bool) -> None:
    print_json(
        {
            "id": outlook.account.id,
            "erased": erased,
            "went": dict(outlook.went),
            "entries": outlook.entries,
            "receipts_kept": outlook.receipts_kept,
        }
    )
