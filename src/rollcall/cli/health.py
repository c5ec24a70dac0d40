"""``rollcall health``: asks a process whether it can serve, for containers and supervisors that have no curl."""

import json
import sys
import urllib.error
import urllib.request
from typing import Any

import click

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""An environment that names a proxy for going out does not mean it for a process of our own."""

PATIENCE = 4.0
"""Seconds within which the process has to answer."""


@click.command()
@click.argument("url", default="http://127.0.0.1:8000/health/ready")
def health(url: str) -> None:
    """Ask the process at URL whether it can serve: exit code 0 if so, 1 if not, with the reason.

    It needs no settings, and looks at one process; 'rollcall doctor' looks at the whole installation.
    """
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter("an address is needed, as http://127.0.0.1:8000/health/ready is one")
    try:
        with _DIRECT.open(url, timeout=PATIENCE) as answer:
            answer.read()
    except urllib.error.HTTPError as refusal:
        click.echo(f"NOT OK {url} answers {refusal.code}{_why(refusal.read())}")
        sys.exit(1)
    except (urllib.error.URLError, OSError) as error:
        click.echo(f"NOT OK {url} does not answer ({getattr(error, 'reason', error)}): see that the process runs")
        sys.exit(1)
    click.echo(f"ok     {url}")


def _why(body: bytes) -> str:
    """The checks that a readiness answer lists, in a line."""
    try:
        checks: Any = json.loads(body)["checks"]
        return ": " + "; ".join(f"{name}: {said}" for name, said in checks.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
