"""Celery's beat as a thread of another process: an installation on one machine saves a process for it."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from celery import beat  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall.settings import Settings
from rollcall.worker.app import make_celery
from rollcall.worker.heartbeats import scheduler_that_says_it_lives

log = structlog.get_logger(__name__)

ROUND_SECONDS = 1.0
"""How long beat sleeps at the most: so long its end has to be waited for."""


@contextmanager
def beating(settings: Settings, schedule: Path, *, when_ended: Callable[[], object]) -> Generator[None]:
    """Run beat until the block ends; it remembers in *schedule* what it ran when.

    *when_ended* is called, in beat's thread, if it ends by itself: then nothing is scheduled any more.
    """
    app = make_celery(settings, publishing=True)
    service_class: Any = beat.Service
    service = service_class(
        app,
        max_interval=ROUND_SECONDS,
        schedule_filename=str(schedule),
        scheduler_cls=scheduler_that_says_it_lives(settings),
    )
    leaving = threading.Event()

    def run() -> None:
        app.set_current()
        try:
            service.start()
        except Exception:
            log.exception("beat has ended", remedy=f"see that {schedule} can be written, and start again")
        if not leaving.is_set():
            when_ended()

    thread = threading.Thread(target=run, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        service._is_shutdown.set()  # what its own stop() does, which waits for ever for one that has failed
        thread.join(ROUND_SECONDS * 5)
