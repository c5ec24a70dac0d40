"""Processes forked from one that has loaded everything: they share with it what they do not change."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from multiprocessing.context import ForkProcess
from multiprocessing.process import BaseProcess

from rollcall import orphans
from rollcall.cli.interrupting import as_a_new_process, signals_wait
from rollcall.engines.folder import Log
from rollcall.engines.processes import wait_until
from rollcall.orphans import ON_LINUX

_FORKING = multiprocessing.get_context("fork")
_PR_SET_NAME = 15


def fork(name: str, run: Callable[[], object], *, log: Log | None = None) -> ForkProcess:
    """Have *run* done by a process of its own, which ends when it returns; what it prints goes to *log*, or to ours.

    Whoever forks is to have one thread, no connection and no event loop: none of these outlasts a fork. The process
    has a session of its own, so that a Ctrl-C reaches only us, and is asked to end when we end, by whatever death.
    """
    process = _FORKING.Process(target=_begin, args=(os.getpid(), name, run, log), name=name)
    with signals_wait():
        process.start()
    return process


def call_us(name: str) -> None:
    """Have ``ps`` and ``top`` call this process ``rollcall-NAME``, cut to 15 letters, where that is possible."""
    if ON_LINUX:
        orphans.c_library().prctl(_PR_SET_NAME, f"rollcall-{name}".encode())


def end(processes: Iterable[BaseProcess], seconds: float) -> None:
    """Ask *processes* to end, and end those by SIGKILL that are there after *seconds*; one that has ended is fine."""
    alive = [process for process in processes if process.is_alive()]
    for process in alive:
        process.terminate()
        os.kill(_pid(process), signal.SIGCONT)  # one that has been halted could not act on it
    wait_until(lambda: not any(process.is_alive() for process in alive), seconds)
    for process in alive:
        process.kill()
        process.join()


def _pid(process: BaseProcess) -> int:
    assert process.pid is not None, "it has been started"
    return process.pid


def _begin(parent: int, name: str, run: Callable[[], object], log: Log | None) -> None:
    os.setsid()
    as_a_new_process()
    orphans.end_with(parent, signal.SIGTERM)
    call_us(name)
    if log is not None:
        with log.open() as output:
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
    run()
