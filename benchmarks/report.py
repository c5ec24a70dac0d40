"""The findings as a table for people and as JSON for programs."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.goals import Comparison
from benchmarks.measuring import Finding, Turn
from benchmarks.operations import Target

_PACKAGES = ("litestar", "granian", "uvloop", "asyncpg")
_HEADER = (
    f"{'operation':<42} {'req/s':>7} {'ratio':>7} {'goal':>7} {'':<6}"
    f" {'by CPU':>7} {'web µs':>7} {'PG µs':>7} {'p50 ms':>7} {'p99 ms':>7} {'at 60%':>7}"
    f" {'stalls/min':>11} {'max ms':>7}"
)


def surroundings(servers: dict[str, str]) -> dict[str, str]:
    """The machine and the versions; *servers* are the engines' own words about theirs."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **servers,
        **{name: version(name) for name in _PACKAGES},
    }


def heading(around: dict[str, str]) -> str:
    """What stands above the table."""
    return "\n".join([", ".join(f"{name} {what}" for name, what in around.items()), "", _HEADER])


def lines_of_others(findings: Sequence[Finding]) -> str:
    """The floors and the peer themselves, over all rounds in which something was held against them."""
    turns: dict[str, list[Turn]] = {}
    for finding in findings:
        if _stands_alone(finding):
            turns.setdefault(finding.comparison.against.name, []).extend(pair.against for pair in finding.pairs)
    return "\n".join(
        f"{name:<42} {_middle(each, 'rate'):7,.0f} {'':>31} {_middle(each, 'web_cpu') * 1e6:7.0f}"
        f" {_middle(each, 'postgres_cpu') * 1e6:7.0f} {_middle(each, 'latency_p50') * 1e3:7.1f}"
        f" {_middle(each, 'latency_p99') * 1e3:7.1f} {'':>7} {_middle(each, 'stalls'):11.0f}"
        f" {max(turn.longest_stall for turn in each) * 1e3:7.0f}"
        for name, each in turns.items()
    )


def line(finding: Finding) -> str:
    """A row of the table."""
    tell = _share if _stands_alone(finding) else _times
    verdict = {True: "hit", False: "missed", None: ""}[finding.reached]
    return (
        f"{finding.comparison.operation.name:<42} {finding.middle(lambda turn: turn.rate):7,.0f}"
        f" {tell(finding.ratio):>7} {_goal(finding.comparison, tell):>7} {verdict:<6} {tell(finding.cpu_ratio):>7}"
        f" {finding.middle(lambda turn: turn.web_cpu) * 1e6:7.0f}"
        f" {finding.middle(lambda turn: turn.postgres_cpu) * 1e6:7.0f}"
        f" {finding.middle(lambda turn: turn.latency_p50) * 1e3:7.1f}"
        f" {finding.middle(lambda turn: turn.latency_p99) * 1e3:7.1f}"
        f" {finding.paced_p99 * 1e3:7.1f} {_stalls(finding):>11} {finding.longest_stall * 1e3:7.0f}"
    )


def as_data(
    around: dict[str, str],
    findings: Sequence[Finding],
    memory: int,
    departure: dict[str, float] | None,
    run: dict[str, object],
) -> dict[str, Any]:
    """Everything that was measured, round by round."""
    return {
        "surroundings": around,
        "run": run,
        "web_process_bytes": memory,
        "departure_processor_ms": departure,
        "findings": [
            {
                "operation": finding.comparison.operation.name,
                "against": finding.comparison.against.name,
                "goal": finding.comparison.goal,
                "rate_goal": finding.comparison.rate_goal,
                "ratio": finding.ratio,
                "cpu_ratio": finding.cpu_ratio,
                "reached": finding.reached,
                "paced_p99": finding.paced_p99,
                "rounds": [asdict(pair) for pair in finding.pairs],
            }
            for finding in findings
        ],
    }


def _goal(comparison: Comparison, tell: Callable[[float], str]) -> str:
    if comparison.rate_goal is not None:
        return f"{comparison.rate_goal:,.0f}"
    return "" if comparison.goal is None else tell(comparison.goal)


def _stands_alone(finding: Finding) -> bool:
    """Whether it is held against somebody else's server, and not against another operation of Rollcall."""
    return finding.comparison.against.target in (Target.FLOOR, Target.PEER)


def _stalls(finding: Finding) -> str:
    """Its stalls a minute, and those of what it is held against in the same rounds."""
    own, others = (read(lambda turn: turn.stalls) for read in (finding.middle, finding.middle_against))
    return f"{own:.0f} / {others:.0f}"


def _share(ratio: float) -> str:
    return f"{ratio:.0%}"


def _times(ratio: float) -> str:
    """What is held against another operation is told as so many of those."""
    return f"{1 / ratio:.1f}x"


def _middle(turns: Sequence[Turn], name: str) -> float:
    values: list[float] = sorted(getattr(turn, name) for turn in turns)
    return values[len(values) // 2]


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for entry in described.read_text().splitlines():
            if entry.startswith("model name"):
                return entry.partition(":")[2].strip()
    return platform.processor() or platform.machine()
