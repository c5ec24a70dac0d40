"""An installation's processes, started by their commands with a PostgreSQL that a test stops, starts and empties."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from journeys.conftest import eventually

PATIENCE = 100
"""Seconds that a process may take for anything; a machine may be busy with others."""


@dataclass(frozen=True)
class Running:
    """A command that runs, and what it has said."""

    process: "subprocess.Popen[bytes]"
    output: Path
    """Standard error and standard output, in one file."""

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged; anything that is no JSON object fails here."""
        return [json.loads(line) for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines with this event."""
        return [line for line in self.lines() if line["event"] == event]

    def wait_for(self, event: str) -> dict[str, Any]:
        """The first line with this event, as soon as there is one."""

        def found() -> dict[str, Any] | None:
            said = self.said(event)
            assert said or self.process.poll() is None, self.output.read_text()
            return said[0] if said else None

        return eventually(found, within=PATIENCE)

    def children(self) -> list[psutil.Process]:
        """What it has started, and what that has."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def rollcall(output: Path, environment: Mapping[str, str], *arguments: str) -> Generator[Running]:
    """``rollcall ARGUMENTS`` as a process of its own; killed at the end if it is still there."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "rollcall", *arguments],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env=surroundings | {"ROLLCALL_ENVIRONMENT": "production"} | dict(environment),
            cwd=output.parent,
        )
    try:
        yield Running(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
