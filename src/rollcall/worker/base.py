"""What every task is: a coroutine on its process's event loop, with an end to its time, counted by its outcome."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, ClassVar

import celery  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import structlog

from rollcall import metrics
from rollcall.work import SYSTEM, Fleet, RequestOrigin, TenantRef, Work, open_fleet, open_work
from rollcall.worker.runtime import Runtime, TimeIsOver

log = structlog.get_logger(__name__)

_Task: Any = celery.Task


class TryAgain(Exception):
    """Not all of a task could be done now; its message says what was not, and what was leased for it is due again."""


class TookTooLong(Exception):
    """A task was ended because its time was over; nothing of the transaction it was in is left."""


class Task(_Task):
    """A task of ours; its ``run`` is ``async def``, and is given the task first.

    Leases and the times of retries live in PostgreSQL, so Celery never repeats anything: whoever can't do it all says
    `TryAgain`, which is no failure, and the relay or beat hands it out again.
    """

    abstract = True
    seconds: ClassVar[float] = 300.0
    """After these a task is cancelled, and its transaction undone."""
    time_limit: ClassVar[float] = 330.0
    """After these a process whose loop does not even hear that is killed; a thread can't be, and gives up waiting."""

    def __call__(self, *arguments: Any, **named: Any) -> None:
        """Run to the end, or to the end of the time there is."""
        began = perf_counter()
        figures = metrics.figures()
        figures.tasks_started.labels(self.name).inc()
        outcome = "completed"
        try:
            work = self.run(*arguments, **named)
            self.runtime.run(work, seconds=self.seconds, at_most=self.time_limit + 10)
        except TryAgain as error:
            outcome = "retried"
            cause = str(error.__cause__ or "")
            log.warning("put off; it will be tried again", task=self.name, what=str(error), error=cause)
        except TimeIsOver as error:
            msg = (
                f"{self.name} was ended after {self.seconds:g} s. What it had leased is due again by itself; if this "
                "repeats, see what the database waits for: rollcall doctor, and pg_stat_activity"
            )
            raise TookTooLong(msg) from error
        finally:
            figures.task_seconds.labels(self.name).observe(perf_counter() - began)
        figures.tasks.labels(self.name, outcome).inc()

    def on_failure(self, *_: object) -> None:
        """Count what was raised, or killed: Celery says so in the process that is left."""
        metrics.figures().tasks.labels(self.name, "failed").inc()

    @property
    def runtime(self) -> Runtime:
        """The runtime of this process."""
        current = Runtime.current
        assert current is not None, "a task runs in a worker process, which has a runtime"
        return current

    @asynccontextmanager
    async def work(self, tenant: TenantRef, request_id: str) -> AsyncGenerator[Work]:
        """Open a transaction for *tenant*, by the system, on the occasion of a request."""
        async with open_work(
            await self.runtime.database(), tenant, SYSTEM, RequestOrigin(request_id=request_id)
        ) as work:
            yield work

    @asynccontextmanager
    async def fleet(self, request_id: str) -> AsyncGenerator[Fleet]:
        """Open a transaction across tenants, by the system."""
        async with open_fleet(await self.runtime.database(), SYSTEM, RequestOrigin(request_id=request_id)) as fleet:
            yield fleet


def count_expired(signals: Any) -> None:
    """Count the tasks that had waited too long to begin; they are dropped, for others were published since."""

    def drop(request: Any, *, expired: bool = False, **_: Any) -> None:
        metrics.figures().tasks.labels(request.task, "expired" if expired else "other").inc()

    signals.task_revoked.connect(drop, weak=False)
