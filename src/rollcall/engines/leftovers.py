"""What an earlier start left running in a data directory: finding it, and ending it."""

import os
import signal
import subprocess
from pathlib import Path

from rollcall.engines.processes import Steps, wait_until
from rollcall.orphans import ON_LINUX

ORPHAN_SECONDS = 2
"""How long a process that PostgreSQL has started may take to see that its leader is gone."""


def end_leftovers(program: str, mark: str, owner: int, steps: Steps) -> None:
    """End what an earlier start left: processes of *owner* with *program* and *mark* on the command line.

    The steps go to the leaders only: processes that PostgreSQL has started itself end with theirs, and take
    the same signals for something else. SIGKILL, at last, goes to all.
    """

    def left() -> dict[int, str]:
        return running(program, mark, owner)

    def leaders() -> list[int]:
        return [pid for pid, command in left().items() if not command.startswith(f"{program}:")]

    for step, patience in steps:
        for pid in leaders():
            _signal(pid, step)
            _signal(pid, signal.SIGCONT)
        wait_until(lambda: not leaders(), patience)
    if wait_until(lambda: not left(), ORPHAN_SECONDS):
        return
    for pid in left():
        _signal(pid, signal.SIGKILL)
    wait_until(lambda: not left(), ORPHAN_SECONDS)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def command_of(pid: int) -> str:
    """The command line of a running process; empty when it has ended or is not to be seen. Linux only."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def running(program: str, mark: str, owner: int) -> dict[int, str]:
    """The command lines of the processes of *owner* that name *program* and *mark*.

    `/proc/<pid>/cwd` would say whose folder it is without a mark, but root in a container may not read it.
    """
    everyone = _from_proc() if ON_LINUX else _from_ps()
    return {pid: command for pid, uid, command in everyone if uid == owner and program in command and mark in command}


def _from_proc() -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for name in os.listdir("/proc"):  # noqa: PTH208  a thousand Path objects would be for nothing
        if name.isdecimal() and (command := command_of(int(name))):
            try:
                found.append((int(name), Path("/proc", name).stat().st_uid, command))
            except FileNotFoundError:
                continue
    return found


def _from_ps() -> list[tuple[int, int, str]]:
    listing = subprocess.run(["/bin/ps", "-axwwo", "pid=,uid=,command="], capture_output=True, check=True)
    fields = [line.split(None, 2) for line in listing.stdout.decode(errors="replace").splitlines()]
    return [(int(pid), int(uid), command) for pid, uid, command in (field for field in fields if len(field) == 3)]
