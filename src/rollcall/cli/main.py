"""Rollcall's commands. ``rollcall up`` is the whole product on one machine; the others are its parts."""

import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any, cast

import click

from rollcall.loading import loading

COMMANDS = {
    "up": "up",
    "try": "trying",
    "serve": "serving",
    "worker": "working",
    "relay": "working",
    "beat": "working",
    "migrate": "migrating",
    "config": "config",
    "doctor": "doctor",
    "health": "health",
    "secret": "secret",
    "signing-keys": "signing",
    "receipts": "receipts",
    "alerts": "alerts",
    "tenants": "tenants",
    "plans": "plans",
    "billing": "billing",
    "tokens": "tokens",
    "people": "people",
    "groups": "groups",
    "roles": "roles",
    "explain": "people",
    "cases": "cases",
    "deviations": "cases",
    "console": "console",
    "keys": "keys",
    "operators": "operators",
    "destinations": "destinations",
    "listen": "listen",
    "audit": "journal",
    "outbox": "journal",
}
"""Each command, in the order help lists them, and the module of this package it is in; only that one is loaded."""


class _Commands(click.Group):
    """Commands that are loaded when they are asked for, and errors in the one form that all of ours have."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        name = cmd_name.replace("-", "_") + ("_" if iskeyword(cmd_name) else "")
        with loading():
            loaded = import_module(f"rollcall.cli.{module}")
        return cast("click.Command", getattr(loaded, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:  # it knows only commands that are loaded
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from unknown

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        """Run, and end with a sentence where click would print usage and error apart."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **kwargs)
        try:
            code = super().main(*args, standalone_mode=False, **kwargs)
        except click.Abort:
            _say("Stopped.")
            sys.exit(1)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _say(_sentence(error))
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: click.ClickException) -> str:
    said = error.format_message().rstrip()
    if said and said[-1] not in ".?!":
        said += "."
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return said
    return f"{said} See '{error.ctx.command_path} --help'."


def _say(sentence: str) -> None:
    click.secho(sentence, fg="red", err=True, color=False if os.environ.get("NO_COLOR") else None)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rollcall")
@click.pass_context
def main(context: click.Context) -> None:
    """Let your customers' identity providers manage their own people in your product."""
    if os.environ.get("NO_COLOR"):
        context.color = False
