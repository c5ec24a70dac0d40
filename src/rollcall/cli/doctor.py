"""``rollcall doctor``: is everything as it has to be, and if not, what to do."""

import asyncio

import click

from rollcall import logging, revisions
from rollcall.checks import everything
from rollcall.cli.answering import show_checks
from rollcall.settings import examine_environment


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def doctor(as_json: bool) -> None:
    """Ask everything that can be wrong with an installation; where something is, say what to do.

    The exit code is 0 when all is well, 1 when anything failed, and 3 when there are only warnings. Run it where the
    web processes run: it sees the settings and the clock of this machine.
    """
    logging.configure(environment="development", level="ERROR")
    show_checks(asyncio.run(everything.examine(examine_environment(), revisions.known())), as_json=as_json)
