"""Whether the processes of ``rollcall up`` are at work: each is asked in its own way."""

import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import click
from redis import Redis
from redis.exceptions import RedisError

from rollcall.broker import RELAY, heartbeat
from rollcall.cli.giving_up import give_up
from rollcall.engines.folder import Log
from rollcall.settings import Settings
from rollcall.worker.app import make_celery

READY_SECONDS = 180
"""As long as a busy machine may take; an idle one takes a few seconds."""
LOOK_SECONDS = 0.1


def wait_until_ready(pids: Mapping[str, int], url: str, settings: Settings, *, logs: Path) -> None:
    """Wait until each of the processes answers, and say of each when it did; *url* is that of the web's readiness.

    One that does not answer in time ends the command, with the end of its log.
    """
    begun = time.monotonic()
    with _Asking(url, settings) as asking:
        waiting = dict(pids)
        while waiting:
            for name in asking.answering(waiting):
                click.echo(f"  {name} answers after {time.monotonic() - begun:.1f} s")
                del waiting[name]
            if waiting and time.monotonic() - begun > READY_SECONDS:
                tail = Log(logs / f"{next(iter(waiting))}.log").tail()
                give_up(
                    f"no answer within {READY_SECONDS} s from: {', '.join(waiting)}\n{tail}\n"
                    f"What to do: see the logs in {logs}, and start again"
                )
            time.sleep(LOOK_SECONDS)


class _Asking:
    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._celery = make_celery(settings)
        self._broker: Any = cast("Any", Redis).from_url(settings.redis_url.get_secret_value(), socket_timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._celery.close()
        self._broker.close()

    def answering(self, pids: Mapping[str, int]) -> Sequence[str]:
        """The names of those that answer."""
        workers = sum(name in ("worker", "delivery") for name in pids)
        at_work = self._workers(workers) if workers else frozenset[int]()
        return [name for name, pid in pids.items() if pid in at_work or self._answers(name)]

    def _answers(self, name: str) -> bool:
        if name == "web":
            return _answers(self._url)
        if name == "relay":
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
