"""The processes ``rollcall up`` runs beside the engines: started, watched, restarted, stopped."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import click
from redis import Redis
from redis.exceptions import RedisError

from rollcall.broker import RELAY, heartbeat
from rollcall.engines import EngineFailed
from rollcall.engines.folder import Log
from rollcall.engines.processes import end, spawn
from rollcall.settings import Settings
from rollcall.worker.app import make_celery

FAREWELL = ((signal.SIGTERM, 10),)
READY_SECONDS = 180
"""As long as a busy machine may take; an idle one takes a few seconds."""
LOOK_SECONDS = 0.1
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

    def wait_until_ready(self, url: str, settings: Settings, *, say: Callable[[str], None]) -> None:
        """Wait until every process that can be asked answers, and *say* of each when it did.

        Raises:
            EngineFailed: a process ended, or not all answered in time; the log's tail says why.
        """
        begun = time.monotonic()
        with _Asking(url, settings) as asking:
            waiting = [child for child in self._children if child.name in ("web", "relay", "worker", "delivery")]
            while waiting:
                self._fail_if_ended()
                for child in asking.answering(waiting):
                    say(f"  {child.name} answers after {time.monotonic() - begun:.1f} s")
                    waiting.remove(child)
                if waiting and time.monotonic() - begun > READY_SECONDS:
                    late = ", ".join(child.name for child in waiting)
                    raise EngineFailed(
                        f"no answer within {READY_SECONDS} s from: {late}\n{waiting[0].log.tail()}",
                        remedy=f"see the logs in {self._logs}, and start again",
                    )
                time.sleep(LOOK_SECONDS)

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


class _Asking:
    """Asks each process in its own way whether it is at work."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._celery = make_celery(settings)
        self._broker: Any = cast("Any", Redis).from_url(settings.redis_url.get_secret_value(), socket_timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._celery.close()
        self._broker.close()

    def answering(self, children: Sequence[Child]) -> Sequence[Child]:
        """Those of *children* that answer."""
        workers = [child for child in children if child.name in ("worker", "delivery")]
        pids = self._workers(len(workers)) if workers else frozenset[int]()
        return [child for child in children if child.process.pid in pids or self._answers(child)]

    def _answers(self, child: Child) -> bool:
        if child.name == "web":
            return _answers(self._url)
        if child.name == "relay":
            try:
                return bool(self._broker.exists(heartbeat(RELAY)))
            except RedisError:
                return False
        return False

    def _workers(self, wanted: int) -> frozenset[int]:
        """The process ids of workers that answer; each calls itself ``name-pid@host``."""
        try:
            replies: list[dict[str, Any]] = self._celery.control.ping(timeout=0.3, limit=wanted)
        except (RedisError, OSError):
            return frozenset()
        names = [name.partition("@")[0] for reply in replies for name in reply]
        return frozenset(int(pid) for name in names if (pid := name.rpartition("-")[2]).isdecimal())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
