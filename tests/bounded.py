"""A bound on each test, as a plugin of pytest: what takes longer fails, and says where it was waiting.

Two minutes are far more than any test needs, on a busy machine too. Those that kill processes and wait for what comes
after say so themselves, with `@pytest.mark.bound(seconds)`. Preparing, testing and cleaning up are bounded each.
"""

import asyncio
import gc
import inspect
import signal
import traceback
from collections.abc import Generator
from types import CodeType, FrameType
from typing import Any, Final

import pytest

SECONDS: Final = 120
AGAIN_SECONDS: Final = 5
"""How long a test that was cancelled has for ending."""

Doing = Generator[None, object, object]


class TookTooLong(BaseException):
    """No Exception, as tests and generators of examples catch those."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", f"bound(seconds): how long the test may take; {SECONDS} s if it does not say")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Doing:
    """Bound what is prepared for a test."""
    return (yield from _bounded(item, "being prepared"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Doing:
    """Bound the test itself."""
    return (yield from _bounded(item, "running"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Doing:
    """Bound the cleaning up after it."""
    return (yield from _bounded(item, "being cleaned up after"))


def _bounded(item: pytest.Item, doing: str) -> Doing:
    marker = item.get_closest_marker("bound")
    seconds = float(marker.args[0]) if marker is not None else SECONDS
    code = getattr(getattr(item, "function", None), "__code__", None)
    said: list[str] = []

    def ring(_number: int, frame: FrameType | None) -> None:
        """Say once what is going on, then end it: the test's own task at first, whatever runs if that does not help."""
        own = [task for task in _tasks() if _code_of(task) is code]
        if not said:
            said.append(_waits(frame))
            for task in own:
                # From another thread, so to say: what the loop waits for would not notice otherwise.
                task.get_loop().call_soon_threadsafe(task.cancel)
            if own:
                return
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        result = yield
    except BaseException as exc:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if said:
            pytest.fail(f"after {seconds:g} s {item.nodeid} was still {doing}, and waited here:\n{said[0]}", False)
        raise exc from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return result


def _tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks(asyncio.get_running_loop())
    except RuntimeError:
        return set()


def _code_of(task: asyncio.Task[Any]) -> CodeType | None:
    return getattr(task.get_coro(), "cr_code", None)


def _waits(frame: FrameType | None) -> str:
    """Where the thread is that runs tests, and where each task of its loop is."""
    lines = traceback.format_stack(frame)[-8:]
    for task in sorted(_tasks(), key=lambda task: task.get_name()):
        lines += [f"{task.get_name()}:\n", *_chain(task.get_coro())]
    return "".join(lines)


def _chain(awaited: object) -> Generator[str]:
    """The places at which a task waits, the one it began with first."""
    while awaited is not None:
        for kind, next_one in (("cr", "cr_await"), ("ag", "ag_await"), ("gi", "gi_yieldfrom")):
            frame: FrameType | None = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}\n'
                awaited = getattr(awaited, next_one)
                break
        else:
            generators = [each for each in gc.get_referents(awaited) if inspect.isasyncgen(each)]
            if not generators:
                yield f"  {awaited!r}\n"
            awaited = generators[0] if generators else None
