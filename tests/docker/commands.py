"""Whether words are a command of ours, with options that it has."""

from collections.abc import Sequence

import click

from rollcall.cli.main import main


def parse(words: Sequence[str]) -> click.Context:
    """The command that *words* name, with its options read and nothing done.

    Raises:
        click.UsageError: there is no such command, or it has no such option.
    """
    above = main.make_context("rollcall", [*words], resilient_parsing=False)
    name, command, rest = main.resolve_command(above, [*words])
    assert command is not None
    return command.make_context(name, rest, parent=above)
