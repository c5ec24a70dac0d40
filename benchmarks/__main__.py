"""``python -m benchmarks``: measure Rollcall beside its floors and say which goals it reaches."""

import json
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import click
import psutil

from benchmarks import report
from benchmarks.dataset import Dataset, engine_versions, prepared
from benchmarks.measuring import Bench, Finding, ready
from benchmarks.operations import Comparison, Target, comparisons, growth
from benchmarks.servers import Server, free_port, started

MEMORY_GOAL = 200 * 2**20


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
@click.option("--only", multiple=True, help="Measure operations whose name begins so; may be repeated.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(  # noqa: PLR0913  # one for each option
    quick: bool,
    people: int | None,
    tenants: int,
    seconds: float | None,
    rounds: int | None,
    connections: int,
    beside: int | None,
    only: tuple[str, ...],
    json_file: Path | None,
) -> None:
    """Measure Rollcall on engines of its own, beside bare floors measured in the same run."""
    people = people or (2_000 if quick else 100_000)
    seconds = seconds or (0.5 if quick else 2.0)
    rounds = rounds or (3 if quick else 5)
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as folder, ExitStack() as running:
        dataset = running.enter_context(
            prepared(Path(folder) / "dataset", people=people, tenants=tenants, say=click.echo)
        )
        rollcall = running.enter_context(_rollcall(dataset))
        servers, postgres = {Target.ROLLCALL: rollcall}, {Target.ROLLCALL: _postgres(dataset)}
        if beside is None:
            servers[Target.FLOOR] = running.enter_context(_floor(dataset))
            postgres[Target.FLOOR] = _postgres(dataset)
            wanted = comparisons(dataset)
        else:
            smaller = running.enter_context(
                prepared(
                    Path(folder) / "smaller",
                    people=max(people // beside, 200),
                    tenants=max(tenants // beside, 1),
                    say=click.echo,
                )
            )
            servers[Target.SMALLER] = running.enter_context(_rollcall(smaller))
            postgres[Target.SMALLER] = _postgres(smaller)
            wanted = growth(dataset, smaller)
        bench = running.enter_context(ready(servers, postgres, connections=connections, seconds=seconds))
        around = report.surroundings(engine_versions(dataset.engines))
        chosen = [each for each in wanted if not only or each.operation.name.startswith(only)]
        click.echo(f"{connections} connections, {rounds} rounds of {seconds:g} s, one web process; medians.")
        click.echo(report.heading(around))
        findings = _measure(bench, chosen, rounds)
        memory = rollcall.memory()
        click.echo(report.floor_lines(findings))
        click.echo(f"\nA web process holds {memory / 2**20:.0f} MB (goal: under {MEMORY_GOAL / 2**20:.0f} MB).")
        if json_file is not None:
            run = {
                "people": people,
                "tenants": tenants,
                "seconds": seconds,
                "connections": connections,
                "beside": beside,
            }
            json_file.write_text(json.dumps(report.as_data(around, findings, memory, **run), indent=2))


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
