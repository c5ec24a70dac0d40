"""``python -m benchmarks.pages``: how long the server takes for each page of the console, in how many statements."""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.dataset import engine_versions
from benchmarks.pages.addresses import Page, pages
from benchmarks.pages.asking import Taken, measured
from benchmarks.pages.installation import Installation, Size, installed
from benchmarks.report import surroundings
from benchmarks.servers import free_port, started

GOAL = 0.1
"""Seconds of the server that no page may take, at the median."""

LIVE_STATEMENTS = 2
"""Statements that a fragment may need which pages ask for by themselves: who asks, and what is new."""


@click.command()
@click.option("--people", default=100_000, show_default=True, type=click.IntRange(500), help="In the tenant.")
@click.option("--entries", default=1_000_000, show_default=True, type=click.IntRange(5_000), help="Of its audit.")
@click.option("--tenants", default=1_000, show_default=True, type=click.IntRange(100), help="Of the operator.")
@click.option("--times", default=30, show_default=True, type=click.IntRange(1, 1_000), help="Each page is asked for.")
@click.option("--only", multiple=True, help="Pages whose name begins so; may be repeated.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep what is filled here, or use it.")
@click.option("--fill", is_flag=True, help="Fill what --data names, and measure nothing.")
@click.option("--no-goal", is_flag=True, help="End well whatever a page takes.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(people: int, entries: int, tenants: int, data: Path | None, **options: Any) -> None:
    """Open every page as an admin, an operator and a stranger; one that takes 100 ms is an error."""
    only: tuple[str, ...] = options["only"]
    chosen = [each for each in pages() if not only or each.name.startswith(only)]
    with tempfile.TemporaryDirectory(prefix="rollcall-pages-") as folder, ExitStack() as running:
        size = Size(people, entries, tenants)
        installation = running.enter_context(installed(data or Path(folder) / "data", size, click.echo))
        if options["fill"]:
            return
        around = surroundings(engine_versions(installation.engines))
        click.echo(", ".join(f"{name} {what}" for name, what in around.items()))
        click.echo(f"{people:,} people, {entries:,} entries, {tenants:,} tenants; load {os.getloadavg()[0]:.1f}\n")
        taken = _measure(installation, chosen, options["times"])
    click.echo("\n".join([HEADING, *(_line(each) for each in taken)]))
    if options["json_file"] is not None:
        figures = {"surroundings": around, "pages": [_data(each) for each in taken]}
        options["json_file"].write_text(json.dumps(figures, indent=2))
    missed = [each for each in taken if not _reached(each)]
    click.echo(f"\n{len(taken)} pages, {len(missed)} of which miss their goal")
    if missed and not options["no_goal"]:
        sys.exit(1)


def _measure(installation: Installation, chosen: Sequence[Page], times: int) -> Sequence[Taken]:
    port = free_port()
    command = ["-m", "rollcall", "serve", "--port", str(port)]
    with started(command, port, installation.environment(), ready="/health/ready"):
        return measured(installation, port, chosen, times)


HEADING = f"{'page':<62} {'ms':>7} {'p99 ms':>7} {'SQL':>4} {'longest':>8} {'kB':>6}"


def _line(taken: Taken) -> str:
    verdict = "" if _reached(taken) else f"  missed: {taken.slowest[1][:90]}"
    return (
        f"{taken.page.name:<62} {taken.median * 1e3:7.1f} {taken.p99 * 1e3:7.1f} {taken.statements:4}"
        f" {taken.slowest[0]:8.1f} {taken.size / 1000:6.1f}{verdict}"
    )


def _reached(taken: Taken) -> bool:
    return taken.median < GOAL and (not taken.page.is_live or taken.statements <= LIVE_STATEMENTS)


def _data(taken: Taken) -> dict[str, object]:
    return {
        "page": taken.page.name,
        "address": taken.page.address,
        "median": taken.median,
        "p99": taken.p99,
        "statements": taken.statements,
        "longest_statement_ms": taken.slowest[0],
        "bytes": taken.size,
        "reached": _reached(taken),
    }


if __name__ == "__main__":
    sys.exit(main())
