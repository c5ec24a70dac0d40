"""Stalls of an event loop: counted, timed, and told with what ran."""

import asyncio
import gc
import time
from typing import Any

import pytest
import structlog

from rollcall import metrics, stalls

SAID = "the event loop stood still"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> metrics.Figures:
    """This test's own figures, while its loop is watched."""
    figures = metrics.Figures()
    monkeypatch.setattr(metrics, "figures", lambda: figures)
    return figures


def counted(figures: metrics.Figures) -> tuple[float, float]:
    """How many stalls there were, and their seconds together."""
    samples = {each.name: each.value for each in next(iter(figures.stall_seconds.collect())).samples if not each.labels}
    return samples["rollcall_loop_stall_seconds_count"], samples["rollcall_loop_stall_seconds_sum"]


def dawdle(seconds: float) -> None:
    """What a loop must not do."""
    time.sleep(seconds)


def work(seconds: float) -> None:
    """The same at the cost of a processor."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(1000))


async def lines_of(*stand_still: Any) -> list[Any]:
    """What is logged while the loop is held up by each in turn."""
    with structlog.testing.capture_logs() as lines:
        watch = stalls.watch()
        try:
            for each in stand_still:
                await asyncio.sleep(0.05)
                each()
            await asyncio.sleep(0.05)
        finally:
            watch.stop()
    return [line for line in lines if line["event"] == SAID]


async def test_a_stall_is_told_with_what_ran(watched: metrics.Figures) -> None:
    """Its length, what the thread took of the processor, and the function that held the loop up."""
    (line,) = await lines_of(lambda: work(0.2))
    assert 180 < line["ms"] < 5_000
    assert line["processor_ms"] > 150
    assert "test_stalls:work:" in line["doing"]
    assert line["remedy"] == stalls.OURS or line["processor_ms"] < line["ms"] / 2  # a busy machine takes part, too
    number, seconds = counted(watched)
    assert number >= 1
    assert seconds > 0.18


async def test_waiting_is_told_from_working(watched: metrics.Figures) -> None:
    """A loop that stood still without a processor says that this was so."""
    (line,) = await lines_of(lambda: dawdle(0.2))
    assert line["processor_ms"] < 100
    assert line["remedy"] == stalls.MACHINE


@pytest.mark.slow
async def test_the_collector_is_named(watched: metrics.Figures) -> None:
    """A full collection over much that lives is told as what it is."""
    much = [[each] for each in range(1_000_000)]

    def collect() -> None:
        for _ in range(5):
            gc.collect()

    (line,) = await lines_of(collect)
    assert line["collector_ms"] > line["ms"] / 2
    assert line["remedy"] == stalls.COLLECTOR
    assert len(much) == 1_000_000


async def test_many_stalls_are_one_line(watched: metrics.Figures) -> None:
    """All are counted, and a log that is full of them would say nothing more."""
    assert len(await lines_of(*(lambda: dawdle(0.08) for _ in range(4)))) == 1
    assert counted(watched)[0] >= 4


async def test_a_loop_that_comes_by_says_nothing() -> None:
    """Waiting is no stall; figures and log stay as they were."""
    watch = stalls.watch()
    try:
        assert watch not in gc.callbacks
        with structlog.testing.capture_logs() as lines:
            for _ in range(20):
                await asyncio.sleep(0.005)
        assert len([line for line in lines if line["event"] == SAID and line["ms"] < 25]) == 0
    finally:
        watch.stop()


async def test_a_watch_that_is_over_leaves_nothing() -> None:
    """The collector calls nobody, and no timer is left."""
    callbacks = list(gc.callbacks)
    watch = stalls.watch()
    assert len(gc.callbacks) == len(callbacks) + 1
    watch.stop()
    assert gc.callbacks == callbacks
