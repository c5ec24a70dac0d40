"""Python's garbage collector in the processes that stay: one function for each moment of a process's life.

What start-up leaves lives as long as the process, some 220,000 objects. A full collection looks at each of them, which
stops everything for 150 ms. So they are frozen, which takes them out of every collection; what requests leave is
collected as ever, only less often. A parent freezes before it forks, or its children's collections write into memory
that they share with it, and so have a copy each.
"""

import gc
import os

import structlog

log = structlog.get_logger(__name__)

THRESHOLDS = (50_000, 20, 100)
"""Objects more than before until the youngest are collected; how many such collections make one of the middle, and of
those one of all that is not frozen."""


def before_fork() -> None:
    """Freeze what is loaded, in a process that is about to fork; each child calls `started` when it has begun.

    Until it has forked nothing is collected here.
    """
    gc.collect()
    gc.disable()
    gc.freeze()
    os.register_at_fork(after_in_parent=_collect_seldom)


def started() -> None:
    """Freeze what is there, in a process that has begun what it is for and forks no more."""
    gc.collect()
    gc.freeze()
    _collect_seldom()
    log.debug("start-up is frozen", objects=gc.get_freeze_count(), thresholds=THRESHOLDS)


def _collect_seldom() -> None:
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
