"""How commands that answer questions print what they found, and which exit code says it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

import click

from rollcall.checks.model import Check, State, exit_code
from rollcall.upgrades import Outlook

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.UNKNOWN: None}


def show_checks(checks: Sequence[Check], *, as_json: bool) -> NoReturn:
    """Print each question with its answer, and what to do only where something is not well; then end."""
    if as_json:
        click.echo(json.dumps({"checks": [asdict(each) for each in checks]}, indent=2))
    else:
        _print(checks)
    sys.exit(exit_code(checks))


def show_outlook(outlook: Outlook, *, as_json: bool) -> NoReturn:
    """Print what an upgrade will meet; then end."""
    if as_json:
        click.echo(json.dumps(asdict(outlook), indent=2))
    else:
        _print(outlook.checks)
        for each in outlook.to_come:
            click.echo(f"to come  {each.id}: {each.said}")
        for twins in outlook.twins:
            who = ", ".join(f"{json.dumps(holder.name)} ({holder.id})" for holder in twins.holders)
            click.echo(f"twins    {twins.tenant}, {twins.kind}: {who}")
    sys.exit(exit_code(outlook.checks))


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        click.secho(f"{check.state:<8} ", fg=_COLOURS[check.state], nl=False)
        click.echo(f"{check.name}: {check.said}")
        if check.remedy:
            click.echo(f"{'':8} → {check.remedy}")
