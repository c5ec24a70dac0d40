"""What the whole product takes of the processor for a departure: web, PostgreSQL, relay and both workers.

People leave as fast as they are answered, from an installation of its own, whose backlog is empty; counted is until the
last of them is told to one destination and has a signed receipt.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

import uvloop

from benchmarks.dataset import prepared
from benchmarks.goals import DEPARTURE_GOAL
from benchmarks.leaving import notices
from benchmarks.leaving.installation import installed

NAME = "departure, the whole product"
LOAD = "receiver"
"""The part that is none of the product."""


def measured(count: int, connections: int) -> dict[str, float]:
    """Milliseconds of processor time that each part took for one of *count* departures."""
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-departure-") as folder,
        prepared(Path(folder) / "dataset", people=200, tenants=1, say=lambda _: None) as dataset,
        installed(dataset, Path(folder)) as installation,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
    ):
        loop.run(notices.warm_up(installation))
        told = notices.at_once(loop, installation, count, connections, say=lambda _: None)
    return {part: taken for part, taken in told.processor.items() if part != LOAD}


def line(taken: Mapping[str, float]) -> str:
    """The findings in a sentence."""
    whole = sum(taken.values())
    parts = ", ".join(f"{part} {milliseconds:.2f}" for part, milliseconds in taken.items())
    verdict = "hit" if whole < DEPARTURE_GOAL else "missed"
    return f"{NAME}: {whole:.2f} ms of processor time ({parts}); goal: under {DEPARTURE_GOAL} ms, {verdict}."
