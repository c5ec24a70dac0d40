"""What the worker is made of: Celery over Redis or Valkey, with queues that never wait for one another."""

import os
from collections.abc import Callable, Collection
from typing import Any, cast

import celery  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import structlog
from celery import signals  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from celery.apps import worker as celery_worker  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from celery.utils import nodenames  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from kombu.entity import Exchange, Queue

from rollcall import garbage, logging, orphans
from rollcall.broker import DELIVERY, DELIVERY_SLOW, HOUSEKEEPING, REVOCATION, SLOW_HEARTBEAT_SECONDS
from rollcall.settings import Settings
from rollcall.worker import tasks
from rollcall.worker.base import count_expired
from rollcall.worker.runtime import Runtime

log = structlog.get_logger(__name__)

PROMPT = (REVOCATION, HOUSEKEEPING)
"""The queues of a worker whose tasks are soon over."""

EVERY_SECONDS = 3600.0
"""How often housekeeping is asked for; what was not begun by then is dropped, for it is asked for again."""

WAITING = (DELIVERY, DELIVERY_SLOW)
"""The queues of a worker whose tasks mostly wait for somebody outside; no process takes from both kinds."""


_CODES: dict[str, Any] = {
    "mail codes": {
        "task": tasks.MAIL_CODES,
        "schedule": 3.0,
        "options": {"queue": DELIVERY_SLOW, "expires": 3.0},
    }
}
"""What is asked for where there is a mail server: whoever waits for a code waits at a page."""


def make_celery(settings: Settings, *, publishing: bool = False) -> Any:
    """Put Celery together: a `celery.Celery`, which ships no types.

    With *publishing*, an attempt to hand a message over gives up within about two seconds when the broker is away;
    a worker waits for its broker for as long as it takes.
    """
    app: Any = celery.Celery("rollcall", broker=settings.redis_url.get_secret_value())
    patience: dict[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.3} if publishing else {}
    app.conf.update(
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_default_queue=HOUSEKEEPING,
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in (*PROMPT, *WAITING)],
        # Early: what happens to a message is in PostgreSQL, and a killed worker's lease simply runs out there.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=patience,
        broker_heartbeat=0,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1},
        timezone="UTC",
        beat_max_loop_interval=SLOW_HEARTBEAT_SECONDS / 3,
        beat_schedule={
            "keep house": {
                "task": tasks.KEEP_HOUSE,
                "schedule": EVERY_SECONDS,
                "options": {"queue": HOUSEKEEPING, "expires": EVERY_SECONDS},
            },
            "take profiles": {"task": tasks.TAKE_PROFILES, "schedule": 300.0, "options": {"queue": HOUSEKEEPING}},
            "look at seats": {
                "task": tasks.LOOK_AT_SEATS,
                "schedule": 60.0,
                "options": {"queue": HOUSEKEEPING, "expires": 60.0},
            },
            "send mail": {
                "task": tasks.SEND_MAIL,
                "schedule": 30.0,
                "options": {"queue": DELIVERY_SLOW, "expires": 30.0},
            },
            **({} if settings.smtp_url is None else _CODES),
            "ask about payment": {
                "task": tasks.ASK_ABOUT_PAYMENT,
                "schedule": 5.0,
                "options": {"queue": DELIVERY_SLOW, "expires": 5.0},
            },
            "judge alerts": {
                "task": tasks.JUDGE_ALERTS,
                "schedule": 300.0,
                "options": {"queue": HOUSEKEEPING, "expires": 300.0},
            },
        },
    )
    tasks.register(app)
    return app


def work(settings: Settings, queues: Collection[str], *, threads: bool, at_once: int) -> int:
    """Be a worker until it is stopped, as Celery's own command is: that one's module loads what a prompt needs.

    Returns the exit code.
    """
    app, naming = make_celery(settings), cast("Any", nodenames)
    app.set_default()
    worker = app.Worker(
        hostname=naming.host_format(f"{'delivery' if threads else 'rollcall'}-{os.getpid()}@%h"),
        pool_cls="threads" if threads else "prefork",
        concurrency=at_once,
        queues=sorted(queues),
        loglevel=settings.log_level,
        quiet=True,  # no banner: every line is one of the log
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return worker.exitcode or 0


def prepare_processes(settings: Settings, *, forking: bool = True, on_ready: Callable[[], None] | None = None) -> None:
    """Give each worker process its own event loop and connections, and our logging.

    A pool that is *forking* has them in each of its processes, made after the fork; a pool of threads in the one there
    is, for which Celery sends the signals of a forked process neither at its beginning nor at its end. *on_ready* is
    called in the worker itself once it has forked.
    """

    main = os.getpid()

    def start(**_: Any) -> None:
        if os.getpid() != main:
            orphans.end_with(main)
        runtime = Runtime.start(settings)
        if forking:
            garbage.started()
        runtime.watch()

    def stop(**_: Any) -> None:
        Runtime.stop()

    def wind_down(**_: Any) -> None:
        Runtime.wind_down()

    def say_stopped(**_: Any) -> None:
        log.info("worker has stopped")

    def configure(**_: Any) -> None:
        logging.configure(environment=settings.environment, level=settings.log_level)

    def before_fork(**_: Any) -> None:
        garbage.before_fork()

    def ready(**_: Any) -> None:
        garbage.started()
        if on_ready is not None:
            on_ready()

    on: Any = signals
    begins, ends = (
        (on.worker_process_init, on.worker_process_shutdown) if forking else (on.worker_init, on.worker_shutdown)
    )
    if forking:
        on.celeryd_after_setup.connect(before_fork, weak=False)
    begins.connect(start, weak=False)
    ends.connect(stop, weak=False)
    on.worker_ready.connect(ready, weak=False)
    count_expired(on)
    on.worker_shutting_down.connect(wind_down, weak=False)
    on.worker_shutdown.connect(say_stopped, weak=False)
    on.setup_logging.connect(configure, weak=False)
    # Celery writes these words around the log, from a signal's handler, where a log could not be used.
    terminal: Any = celery_worker
    terminal.safe_say = _say_nothing


def _say_nothing(*_: object) -> None: ...
