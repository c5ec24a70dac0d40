"""The migration, which runs before new code is started."""

import asyncio

import click

from rollcall import logging, revisions, tables, upgrades
from rollcall.cli.answering import show_outlook
from rollcall.cli.giving_up import give_up
from rollcall.cli.running import DATABASE_FAILURES, run_until_stopped, settings_or_give_up, stop_waiting
from rollcall.settings import Settings
from rollcall.waiting import for_servers

_GO_ON = "See PostgreSQL's log, then run 'rollcall migrate' again: it goes on from where it stopped."


@click.command()
@click.option("--check", is_flag=True, help="Say what an upgrade will meet, and change nothing.")
@click.option("--prune", is_flag=True, help="Remove functions of versions that no process has used for a day.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print JSON, for programs.")
def migrate(check: bool, prune: bool, as_json: bool) -> None:
    """Bring the database to the present tables, and the running role to its rights. Waits for the database.

    With --check the exit code is 0 when there is nothing to do, 3 when there are revisions to come and nothing is in
    their way, and 1 when they would be refused.
    """
    settings = settings_or_give_up()
    if check:
        show_outlook(asyncio.run(upgrades.examine(settings)), as_json=as_json)
    if not run_until_stopped(lambda stop: for_servers(settings, stop)):
        stop_waiting()
    bring_up_to_date(settings)
    click.echo(f"The database stands at {revisions.newest()}.")
    if prune:
        for name in asyncio.run(tables.prune_functions(settings)):
            click.echo(f"The functions {name}, which no process uses, were removed.")


def bring_up_to_date(settings: Settings) -> None:
    """Migrate; what stands in the way ends the command in a line."""
    try:
        asyncio.run(tables.migrate(settings))
    except tables.MigrationRefused as refusal:
        give_up(str(refusal))
    except tables.MigrationStopped as stopped:
        give_up(f"The migration was not finished: {stopped}\n{_GO_ON}")
    except DATABASE_FAILURES as error:
        give_up(f"The migration was not finished: {logging.masked(str(error))}\n{_GO_ON}")
