"""Rollcall's commands. ``rollcall up`` is the whole product on one machine; the others are its parts."""

from importlib import import_module
from keyword import iskeyword
from typing import cast

import click

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
    "tokens": "access",
    "people": "access",
    "explain": "access",
    "console": "console",
    "keys": "access",
    "destinations": "destinations",
    "listen": "listen",
    "audit": "journal",
    "outbox": "journal",
}
"""Each command, in the order help lists them, and the module of this package it is in; only that one is loaded."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        name = cmd_name.replace("-", "_") + ("_" if iskeyword(cmd_name) else "")
        return cast("click.Command", getattr(import_module(f"rollcall.cli.{module}"), name))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rollcall")
def main() -> None:
    """Let your customers' identity providers manage their own people in your product."""
