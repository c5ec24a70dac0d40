"""A tiny run of the benchmark: that it works, not how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a run of a moment prints, and the figures it writes."""
    figures = tmp_path_factory.mktemp("bench") / "figures.json"
    options = "--people 200 --tenants 2 --seconds 0.1 --rounds 1 --connections 4"
    for name in ("introspection", "create,", "creation"):
        options += f" --only {name}"
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options.split(), "--json", str(figures)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout, json.loads(figures.read_text())


def test_every_operation_is_measured_beside_its_floor(run: tuple[str, dict[str, Any]]) -> None:
    """Each chosen operation and its floor get answers, at a cost that is known."""
    findings = run[1]["findings"]
    assert [(each["operation"], each["against"]) for each in findings] == [
        ("introspection", "floor R"),
        ("create, two tenants at once", "floor W"),
        ("creation with seats", "creation without seats"),
        ("creation at the last seats", "creation without seats"),
        ("creation at the last seats, one tenant", "creation without seats, one tenant"),
        ("creation in grace", "creation without seats"),
    ]
    for finding in findings:
        for turn in (finding["rounds"][0]["operation"], finding["rounds"][0]["against"]):
            assert turn["answered"] > 0
            assert turn["rate"] > 0
            assert turn["web_cpu"] > 0
            assert turn["stalls"] >= 0
            assert turn["longest_stall"] > 0
        assert finding["paced_p99"] > 0


def test_the_table_says_where_each_operation_stands(run: tuple[str, dict[str, Any]]) -> None:
    """A row has the operation, its goal and whether that was reached."""
    rows = {line[:42].strip(): line[42:].split() for line in run[0].splitlines()}
    assert rows["introspection"][2] == "70%"
    assert rows["introspection"][3] in {"hit", "missed"}
    assert "floor R" in rows
    assert "/" in rows["introspection"]
