"""The processes ``rollcall up`` runs beside the engines: started, watched, restarted, stopped."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from rollcall.engines import EngineFailed
from rollcall.engines.folder import Log
from rollcall.engines.processes import end, spawn
from rollcall.settings import Settings
from rollcall.worker.app import make_celery

FAREWELL = ((signal.SIGTERM, 10),)
READY_SECONDS = 60
WATCH_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(slots=True)
class Child:
    """One process: how it is started, and how it has fared."""

    name: str
    arguments: tuple[str, ...]
    log: Log
    process: subprocess.Popen[bytes]
    started: float
    pause: float = FIRST_PAUSE
    restart_at: float | None = None


class Children:
    """The processes that belong to one ``rollcall up``; leaving the block ends them."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._children:
            with ThreadPoolExecutor(len(self._children)) as pool:
                for child in self._children:
                    pool.submit(end, child.process, FAREWELL)

    def start(self, name: str, *arguments: str) -> None:
        """Start ``rollcall ARGUMENTS`` as *name*; what it prints goes to a log of that name."""
        log = Log(self._logs / f"{name}.log")
        log.rotate()
        process = self._spawn(arguments, log)
        self._children.append(Child(name, arguments, log, process, time.monotonic()))

    def wait_until_ready(self, url: str, settings: Settings, *, workers: int) -> None:
        """Wait until the web process and so many workers answer.

        Raises:
            EngineFailed: a process ended, or not all answered in time; the log's tail says why.
        """
        deadline = time.monotonic() + READY_SECONDS
        celery = make_celery(settings)
        web = worker = False
        while not (web and worker):
            self._fail_if_ended()
            if time.monotonic() > deadline:
                late = "the web process" if not web else "a worker"
                raise EngineFailed(f"{late} did not answer within {READY_SECONDS} s", remedy=f"see {self._logs}")
            web = web or _answers(url)
            worker = worker or len(celery.control.ping(timeout=0.5, limit=workers)) >= workers
        celery.close()

    def watch(self, revive_engines: Callable[[], None]) -> None:
        """Restart what ends, until somebody stops us.

        Raises:
            EngineFailed: one of the engines has ended and does not start again.
        """
        while True:
            time.sleep(WATCH_SECONDS)
            revive_engines()
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process.poll() is None:
            return
        if child.restart_at is None:
            if now - child.started > LONGEST_PAUSE:
                child.pause = FIRST_PAUSE
            child.restart_at = now + child.pause
            click.secho(
                f"{child.name} ended with code {child.process.returncode}; starting it again in {child.pause:.0f} s "
                f"(see {child.log.path})",
                fg="yellow",
                err=True,
            )
        elif now >= child.restart_at:
            child.process = self._spawn(child.arguments, child.log)
            child.started, child.restart_at = now, None
            child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _spawn(self, arguments: tuple[str, ...], log: Log) -> subprocess.Popen[bytes]:
        with log.open() as output:
            return spawn(
                [sys.executable, "-m", "rollcall", *arguments],
                folder=Path.cwd(),
                account=None,
                output=output,
                when_orphaned=signal.SIGTERM,
                environment=self._environment,
            )

    def _fail_if_ended(self) -> None:
        for child in self._children:
            if child.process.poll() is not None:
                raise EngineFailed(
                    f"{child.name} ended with code {child.process.returncode}:\n{child.log.tail()}",
                    remedy="mend what its log says, and start again",
                )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
