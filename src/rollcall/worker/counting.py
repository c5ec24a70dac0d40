"""Counts and times the tasks of a worker, by Celery's signals."""

from time import perf_counter
from typing import Any

from rollcall import metrics

_OUTCOMES = {"SUCCESS": "succeeded", "FAILURE": "failed"}


def connect(signals: Any) -> None:
    """Enter each task that ends, or has waited too long to begin, into the figures of the process that had it."""
    began: dict[str, float] = {}

    def begin(task_id: str, **_: Any) -> None:
        began[task_id] = perf_counter()

    def end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
        figures, now = metrics.figures(), perf_counter()
        figures.tasks.labels(task.name, _OUTCOMES.get(state or "", "other")).inc()
        figures.task_seconds.labels(task.name).observe(now - began.pop(task_id, now))

    def drop(request: Any, *, expired: bool = False, **_: Any) -> None:
        metrics.figures().tasks.labels(request.task, "expired" if expired else "other").inc()

    signals.task_prerun.connect(begin, weak=False)
    signals.task_postrun.connect(end, weak=False)
    signals.task_revoked.connect(drop, weak=False)
