"""What ``rollcall up`` holds in memory, measured as ``python -m benchmarks.memory`` does."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import memory
from rollcall.orphans import ON_LINUX

GOAL = 500
"""Megabytes of the whole."""


@pytest.mark.slow
@pytest.mark.skipif(not ON_LINUX, reason="elsewhere nobody says what processes share")
def test_the_whole_of_up(tmp_path: Path) -> None:
    """Stays under its goal, asked nothing and after people have come and left; every part has been counted."""
    with memory.running(tmp_path) as (up, ready):
        for people in (0, 30):
            asyncio.run(memory.ask(ready, people))
            sizes = memory.held(up)
            parts = [name for name, _ in sizes]
            assert len(parts) == 10, parts
            assert sum(size for _, size in sizes) < GOAL, sizes
