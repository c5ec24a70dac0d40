"""The measure of leaving, small: nobody is let in after the answer, and everybody is told of once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run with 300 people finds."""
    file = tmp_path_factory.mktemp("leaving") / "figures.json"
    options = ["--people", "300", "--at-once", "300", "--idle", "5", "--seconds", "2", "--json", str(file)]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.leaving", *options],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(file.read_text())


def test_nobody_is_let_in_after_the_answer(figures: dict[str, Any]) -> None:
    """Session and token are good before, and never again once the departure has been answered."""
    refusals = figures["refusals"]
    assert refusals["departures"] == 300
    assert refusals["good_before"] == 600
    assert (refusals["asked_at_once"], refusals["asked_later"]) == (600, 600)
    assert refusals["accepted_after"] == 0


def test_everybody_is_told_of_once(figures: dict[str, Any]) -> None:
    """Whether one leaves or hundreds do: the receiver hears of each once, and there is a receipt for each."""
    told = figures["telling"]
    assert [each["departures"] for each in told.values()] == [5, 100, 300]
    assert [each["told_twice"] for each in told.values()] == [0, 0, 0]
    assert all(each["slowest_receipt"] < 300 for each in told.values())
