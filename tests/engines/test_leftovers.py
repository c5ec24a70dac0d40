"""Finding processes of an earlier start."""

import os
import subprocess
from pathlib import Path

import pytest

from rollcall.engines import leftovers
from rollcall.engines.leftovers import command_of, running


def test_processes_are_found_by_their_command_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is found by program, mark and owner, the same way with /proc as with ps."""
    with subprocess.Popen(["sleep", "61.5"]) as sleeper:
        while "sleep" not in command_of(sleeper.pid):
            pass
        for owner, expected in ((os.geteuid(), [sleeper.pid]), (os.geteuid() + 1, [])):
            assert list(running("sleep", "61.5", owner)) == expected
        if Path("/bin/ps").exists():
            monkeypatch.setattr(leftovers, "ON_LINUX", False)
            assert list(running("sleep", "61.5", os.geteuid())) == [sleeper.pid]
        sleeper.kill()
