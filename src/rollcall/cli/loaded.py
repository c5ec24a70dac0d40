"""The process that has loaded the application, as ``rollcall up`` sees it: started, given its order, watched, ended."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from rollcall import orphans
from rollcall.cli.interrupting import Stopped
from rollcall.cli.wanted import Order
from rollcall.engines import EngineFailed
from rollcall.engines.processes import end, spawn

FAREWELL = ((signal.SIGTERM, 20),)
"""It gives its own children ten seconds."""
WATCH_SECONDS = 0.5
ORPHANS_SECONDS = 30
"""As long as what it has left behind may take to end; a web process lets calls end that are under way."""
KILLED_SECONDS = 10
"""How long what was ended by SIGKILL may take to be gone."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Before what has ended is started again; each is twice as long as the last, until something has run for longer."""
_PROGRAM = """
from rollcall.loading import loading
with loading():
    from rollcall.cli.parent import look_after
look_after()
"""


@dataclass(frozen=True, slots=True)
class _Parent:
    process: subprocess.Popen[bytes]
    order: int
    """What is written here it reads on its standard input."""
    descendants: int
    """Ends when it and all that it has forked have ended: each of them holds the other end, and nobody writes."""
    started: float

    def leaves_nothing(self, seconds: float) -> bool:
        """Whether it and all that it has forked end within so many *seconds*."""
        ended, _, _ = select.select([self.descendants], [], [], seconds)
        return bool(ended)


class Loaded:
    """One process that loads while the block does what else there is to do; leaving the block ends it."""

    def __enter__(self) -> Self:
        self._parent = _start()
        self._pause = FIRST_PAUSE
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self._parent.process, FAREWELL)

    def watch(self, order: Order, revive_engines: Callable[[], None]) -> None:
        """Give it its *order*, and start it again if it is killed, until somebody stops us; it has ended afterwards.

        Raises:
            Stopped: somebody asked it to end.
            SystemExit: it gave up, and has said why.
            EngineFailed: one of the engines has ended and does not start again.
        """
        try:
            self._give(order)
            while True:
                time.sleep(WATCH_SECONDS)
                revive_engines()
                if (code := self._parent.process.poll()) is None:
                    continue
                if code == 0:
                    raise Stopped
                if code > 0:
                    sys.exit(code)
                self._replace(signal.Signals(-code).name)
                self._give(order.again())
        finally:
            end(self._parent.process, FAREWELL)  # before the engines end

    def _give(self, order: Order) -> None:
        with suppress(BrokenPipeError), os.fdopen(self._parent.order, "w") as pipe:  # it has ended: `watch` sees that
            pipe.write(f"{order.written()}\n")

    def _replace(self, killed_by: str) -> None:
        if time.monotonic() - self._parent.started > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        click.secho(
            f"The process that all others are forked from was ended by {killed_by}; starting all of them again in "
            f"{self._pause:.0f} s.",
            fg="yellow",
            err=True,
        )
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if not self._parent.leaves_nothing(ORPHANS_SECONDS):
            orphans.end_holders(self._parent.descendants)
            if not self._parent.leaves_nothing(KILLED_SECONDS):
                raise EngineFailed(
                    f"what it had forked has not ended within {ORPHANS_SECONDS} s",
                    remedy="end the processes called rollcall-web, -worker, -delivery and -relay, and start again",
                )
        os.close(self._parent.descendants)
        self._parent = _start()


def _start() -> _Parent:
    reading, order = os.pipe()
    descendants, held = os.pipe()
    try:
        process = spawn(
            [sys.executable, "-c", _PROGRAM],
            folder=Path.cwd(),
            account=None,
            output=None,
            when_orphaned=signal.SIGTERM,
            stdin=reading,
            pass_fds=[held],
            environment=os.environ,
        )
    finally:
        os.close(reading)
        os.close(held)
    return _Parent(process, order, descendants, time.monotonic())
