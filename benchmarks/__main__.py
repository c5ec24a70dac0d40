"""``python -m benchmarks``: measure Rollcall beside its floors and say which goals it reaches."""

import asyncio
import json
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks import departure, peer, report
from benchmarks.dataset import Dataset, engine_versions, prepared
from benchmarks.goals import Comparison, beside_peer, comparisons, growth
from benchmarks.measuring import Bench, Finding, ready
from benchmarks.operations import Target
from benchmarks.servers import Server, free_port, started

MEMORY_GOAL = 200 * 2**20

DEPARTURES_A_SECOND = 200
"""How many people leave of the whole product, for each second that an operation takes in all rounds."""


@click.command()
@click.option("--quick", is_flag=True, help="2,000 people, 3 short rounds: whether it works, not how fast it is.")
@click.option("--people", type=click.IntRange(200, 5_000_000), help="People in all tenants together. [100,000]")
@click.option("--tenants", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Tenants they are in.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), help="How long each turn takes. [2]")
@click.option("--rounds", type=click.IntRange(1, 99), help="Turns of each operation and of its floor. [5]")
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1, 256), help="Busy at a time.")
@click.option(
    "--beside",
    type=click.IntRange(2, 1_000),
    metavar="N",
    help="Measure beside an installation with the Nth part of the people and tenants, instead of beside floors.",
)
@click.option("--beside-peer", is_flag=True, help="Measure beside scim2-server, too; pip installs it for that.")
@click.option("--only", multiple=True, help="Measure operations whose name begins so; may be repeated.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(**options: Any) -> None:
    """Measure Rollcall on engines of its own, beside bare floors measured in the same run."""
    wanted = _wanted(**options)
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as folder, ExitStack() as running:
        dataset = running.enter_context(
            prepared(Path(folder) / "dataset", people=wanted.people, tenants=wanted.tenants, say=click.echo)
        )
        rollcall = running.enter_context(_rollcall(dataset))
        servers, postgres = {Target.ROLLCALL: rollcall}, {Target.ROLLCALL: _postgres(dataset)}
        chosen = [
            each
            for each in _against(wanted, dataset, Path(folder), servers, postgres, running)
            if not wanted.only or each.operation.name.startswith(wanted.only)
        ]
        bench = running.enter_context(ready(servers, postgres, connections=wanted.connections, seconds=wanted.seconds))
        around = report.surroundings(engine_versions(dataset.engines))
        click.echo(f"{wanted.connections} connections, {wanted.rounds} rounds of {wanted.seconds:g} s; medians.")
        click.echo(report.heading(around))
        findings = _measure(bench, chosen, wanted.rounds)
        memory = rollcall.memory()
        click.echo(report.lines_of_others(findings))
        click.echo(f"\nA web process holds {memory / 2**20:.0f} MB (goal: under {MEMORY_GOAL / 2**20:.0f} MB).")
    taken = _departure(wanted)
    if wanted.json_file is not None:
        figures = report.as_data(around, findings, memory, taken, wanted.as_data())
        wanted.json_file.write_text(json.dumps(figures, indent=2))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say."""

    people: int
    tenants: int
    seconds: float
    rounds: int
    connections: int
    beside: int | None
    beside_peer: bool
    only: tuple[str, ...]
    json_file: Path | None

    def as_data(self) -> dict[str, object]:
        """The same for the file of figures."""
        told = ("people", "tenants", "seconds", "rounds", "connections", "beside", "beside_peer")
        return {name: getattr(self, name) for name in told}


def _wanted(*, quick: bool, people: int | None, seconds: float | None, rounds: int | None, **others: Any) -> Wanted:
    if others["beside"] and others["beside_peer"]:
        raise click.UsageError("A run is beside a smaller installation or beside the peer; leave one of them out.")
    return Wanted(
        people=people or (2_000 if quick else 100_000),
        seconds=seconds or (0.5 if quick else 2.0),
        rounds=rounds or (3 if quick else 5),
        **others,
    )


def _against(  # two of them are filled
    wanted: Wanted,
    dataset: Dataset,
    folder: Path,
    servers: dict[Target, Server],
    postgres: dict[Target, psutil.Process],
    running: ExitStack,
) -> list[Comparison]:
    """Start what Rollcall is held against, and say what there is to be compared."""
    if wanted.beside is not None:
        people, tenants = max(wanted.people // wanted.beside, 200), max(wanted.tenants // wanted.beside, 1)
        smaller = running.enter_context(prepared(folder / "smaller", people=people, tenants=tenants, say=click.echo))
        servers[Target.SMALLER] = running.enter_context(_rollcall(smaller))
        postgres[Target.SMALLER] = _postgres(smaller)
        return growth(dataset, smaller)
    servers[Target.FLOOR] = running.enter_context(_floor(dataset))
    postgres[Target.FLOOR] = _postgres(dataset)
    if not wanted.beside_peer:
        return comparisons(dataset)
    count = min(wanted.people, peer.MOST_PEOPLE)
    click.echo(f"Installing the peer, and creating {count:,} people in it …")
    servers[Target.PEER] = running.enter_context(peer.serving(folder / "peer"))
    theirs = peer.operations(asyncio.run(peer.fill(servers[Target.PEER], count)))
    return [*comparisons(dataset), *beside_peer(dataset, theirs)]


def _departure(wanted: Wanted) -> dict[str, float] | None:
    """Measure and tell what the whole product takes for a departure; None when that was not chosen."""
    if wanted.beside or (wanted.only and not departure.NAME.startswith(wanted.only)):
        return None
    taken = departure.measured(round(DEPARTURES_A_SECOND * wanted.seconds * wanted.rounds), wanted.connections)
    click.echo(departure.line(taken))
    return taken


def _measure(bench: Bench, chosen: list[Comparison], rounds: int) -> list[Finding]:
    findings: list[Finding] = []
    for comparison in chosen:
        findings.append(bench.compare(comparison, rounds))
        click.echo(report.line(findings[-1]))
    return findings


def _rollcall(dataset: Dataset) -> AbstractContextManager[Server]:
    port = free_port()
    command = ["-m", "rollcall", "serve", "--port", str(port)]
    return started(command, port, dataset.environment(), ready="/health/ready")


def _floor(dataset: Dataset) -> AbstractContextManager[Server]:
    port = free_port()
    return started(
        ["-m", "benchmarks.baseline", str(port)], port, dataset.environment(dataset.floor_url), ready="/live"
    )


def _postgres(dataset: Dataset) -> psutil.Process:
    return psutil.Process(dataset.engines.postgres.process.pid)


if __name__ == "__main__":
    sys.exit(main())
