"""``python -m benchmarks.leaving``: from the answer to "they left" until nobody lets them in and everybody knows."""

import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click
import uvloop

from benchmarks.dataset import engine_versions, prepared
from benchmarks.leaving import notices, refusals
from benchmarks.leaving.installation import installed
from benchmarks.report import surroundings


@click.command()
@click.option(
    "--people",
    default=10_000,
    show_default=True,
    type=click.IntRange(20, 1_000_000),
    help="Who leave and are asked about.",
)
@click.option(
    "--at-once",
    default=10_000,
    show_default=True,
    type=click.IntRange(2, 1_000_000),
    help="Who leave as fast as they can.",
)
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1, 256), help="Busy at a time.")
@click.option("--idle", default=60, show_default=True, type=click.IntRange(2, 10_000), help="Who leave one by one.")
@click.option(
    "--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 600), help=f"At {notices.PACE} a second."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(people: int, at_once: int, connections: int, idle: int, seconds: float, json_file: Path | None) -> None:
    """Have people leave, and measure what follows, on engines and processes of its own."""
    with tempfile.TemporaryDirectory(prefix="rollcall-leaving-") as folder, ExitStack() as running:
        dataset = running.enter_context(prepared(Path(folder) / "dataset", people=200, tenants=1, say=click.echo))
        installation = running.enter_context(installed(dataset, Path(folder)))
        around = surroundings(engine_versions(dataset.engines))
        click.echo("\n".join(["", *(f"{name:<12} {what}" for name, what in around.items()), ""]))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(notices.warm_up(installation))
            alone = notices.one_by_one(loop, installation, idle)
            paced = notices.at_pace(loop, installation, round(notices.PACE * seconds))
            flood = notices.at_once(loop, installation, at_once, connections)
            leavers = installation.leavers(people)
            found = loop.run(refusals.refuse(installation, leavers, connections))
            click.echo(refusals.summary(found, connections))
        if json_file is not None:
            tellings = {"one by one": alone, f"{notices.PACE} a second": paced, "as fast as they go": flood}
            figures = {
                "surroundings": around,
                "connections": connections,
                "refusals": asdict(found),
                "telling": {name: asdict(telling) for name, telling in tellings.items()},
            }
            json_file.write_text(json.dumps(figures, indent=2))
    if found.accepted_after:
        sys.exit("A credential was called good after its person's departure had been answered.")


if __name__ == "__main__":
    sys.exit(main())
