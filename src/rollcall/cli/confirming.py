"""Acts that cut somebody off: what they do is said first, and they are done when somebody says yes."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from rollcall.cli.giving_up import give_up
from rollcall.cli.showing import visible

Command = TypeVar("Command", bound=Callable[..., Any])


def yes_option(command: Command) -> Command:
    """Give a command ``--yes``, which arrives as *yes*."""
    return click.option("--yes", is_flag=True, help="Don't ask; in scripts it has to be given.")(command)


def confirm(effects: Sequence[str], *, yes: bool) -> None:
    """Say what an act cuts off and go on only with a yes; nothing is asked of an act without such effects.

    Raises:
        UsageError: nobody is there to be asked, and ``--yes`` was not given.
    """
    if not effects:
        return
    for line in effects:
        click.secho(visible(line), fg="yellow", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        msg = "This cuts somebody off, and nobody is here to be asked. Nothing was changed: add --yes to do it."
        raise click.UsageError(msg)
    if not click.confirm("Go on?", err=True):
        give_up("Nothing was changed.")
