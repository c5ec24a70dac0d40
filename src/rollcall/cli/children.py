"""The commands that run under ``rollcall up``: forked, watched, started again, stopped."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from rollcall.cli.forking import end, fork
from rollcall.cli.loaded import FIRST_PAUSE, LONGEST_PAUSE
from rollcall.cli.main import main
from rollcall.engines import EngineFailed
from rollcall.engines.folder import Log

FAREWELL_SECONDS = 10
WATCH_SECONDS = 0.5
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Child:
    """One command that runs: how it is started, and how it has fared."""

    name: str
    arguments: tuple[str, ...]
    log: Log
    process: ForkProcess
    started: float
    pause: float = FIRST_PAUSE
    restart_at: float | None = None


class Children:
    """The processes that belong to one ``rollcall up``; leaving the block ends them."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(active_children(), FAREWELL_SECONDS)  # also one whose start a signal cut short, so that nobody knows it

    def start(self, name: str, *arguments: str) -> None:
        """Run ``rollcall ARGUMENTS`` as *name* from now on; what it prints goes to a log of that name."""
        log = Log(self._logs / f"{name}.log")
        log.rotate()
        self._children.append(Child(name, arguments, log, _start(name, arguments, log), time.monotonic()))

    @property
    def pids(self) -> Mapping[str, int]:
        """The number of each one's process, by its name."""
        return {child.name: child.process.pid for child in self._children if child.process.pid is not None}

    def errand(self, name: str, run: Callable[[], object]) -> None:
        """Have *run* done by a process that ends; what it says in vain goes where ours goes.

        Raises:
            SystemExit: it failed, and has said why.
            EngineFailed: meanwhile one of the others has ended; the log's tail says why.
        """
        errand = fork(name, run)
        while errand.is_alive():
            errand.join(LOOK_SECONDS)
            self._fail_if_ended()
        if errand.exitcode:
            sys.exit(1)

    def watch(self) -> None:
        """Start again what ends, until somebody stops us."""
        while True:
            time.sleep(WATCH_SECONDS)
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process.is_alive():
            return
        if child.restart_at is None:
            if now - child.started > LONGEST_PAUSE:
                child.pause = FIRST_PAUSE
            child.restart_at = now + child.pause
            click.secho(
                f"{child.name} ended with code {child.process.exitcode}; starting it again in {child.pause:.0f} s "
                f"(see {child.log.path})",
                fg="yellow",
                err=True,
            )
        elif now >= child.restart_at:
            child.process = _start(child.name, child.arguments, child.log)
            child.started, child.restart_at = now, None
            child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _fail_if_ended(self) -> None:
        for child in self._children:
            if not child.process.is_alive():
                raise EngineFailed(
                    f"{child.name} ended with code {child.process.exitcode}:\n{child.log.tail()}",
                    remedy="mend what its log says, and start again",
                )


def _start(name: str, arguments: tuple[str, ...], log: Log) -> ForkProcess:
    return fork(name, partial(_command, arguments), log=log)


def _command(arguments: tuple[str, ...]) -> None:
    """``rollcall ARGUMENTS``, as if it had been typed."""
    sys.argv = ["rollcall", *arguments]
    main(prog_name="rollcall")
