"""Ctrl-C and a polite kill as an exception, in the processes that look after others."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Somebody pressed Ctrl-C or asked the process to end; event loops and libraries let this kind through."""


@contextmanager
def signals_raise() -> Generator[None]:
    """Turn Ctrl-C and a polite kill into `Stopped`, once; what is being stopped is not interrupted again."""
    assert threading.current_thread() is threading.main_thread()

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in NUMBERS:
        signal.signal(number, stop)
    yield


@contextmanager
def signals_wait() -> Generator[None]:
    """Put signals off until the block ends: what is forked within it can make up its mind about them first."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def as_a_new_process() -> None:
    """Forget what a parent had made of its signals, in a child that was forked while they waited."""
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
