"""Watching an event loop: how often it stands still, for how long, and what runs meanwhile.

A timer of the loop says how late it comes. A thread beside it, which wakes twenty times a second, looks what the loop's
thread is doing when the timer is overdue; the collector holds that thread up as well, and says for itself how long it
took. Together they take half a hundredth of a processor.
"""

import asyncio
import gc
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter, thread_time
from types import FrameType

import structlog

from rollcall import metrics

log = structlog.get_logger(__name__)

STALL_SECONDS = 0.025
"""From here on a loop that does not come back is a stall."""
LONG_SECONDS = 0.25
"""From here on a line about a stall is a warning; shorter ones happen wherever a machine is busy."""
LOOK_SECONDS = 0.02
"""How often the loop is to come by; of a stall up to so much may go unseen."""
ASIDE_SECONDS = 0.05
"""How often the thread looks; of a stall shorter than that it may not see what runs."""
QUIET_SECONDS = 10.0
"""After a line about a stall, others are only counted for so long."""
FRAMES = 4

COLLECTOR = "the garbage collector took it: see how much this process holds in memory, and start it again if that grows"
MACHINE = "this process had no processor meanwhile, or waited for something: look at the load of the machine"
OURS = "what 'doing' names took too long: report it, with this line"


def watch() -> "Watch":
    """Watch the running loop from now on."""
    return Watch(asyncio.get_running_loop())


@dataclass(frozen=True, slots=True)
class Stall:
    """One time the loop stood still. Seconds."""

    lasted: float
    processor: float
    """What the loop's thread took of a processor meanwhile."""
    collector: float
    doing: str
    """Where in the code the loop's thread was seen, innermost first; empty if nobody could look."""

    @property
    def remedy(self) -> str:
        """What to do, going by what took most of the time."""
        if self.collector > self.lasted / 2:
            return COLLECTOR
        return MACHINE if self.processor < self.lasted / 2 else OURS

    def said(self) -> Mapping[str, object]:
        """What a line of the log tells."""
        return {
            "ms": round(self.lasted * 1000, 1),
            "processor_ms": round(self.processor * 1000, 1),
            "collector_ms": round(self.collector * 1000, 1),
            "doing": self.doing,
            "remedy": self.remedy,
        }


class Watch:
    """The watch over one loop; made in that loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._processor = thread_time()
        self._collecting_since = self._collected = 0.0
        self._doing = ""
        self._said_at, self._unsaid = -QUIET_SECONDS, 0
        self._over = threading.Event()
        gc.callbacks.append(self._collecting)
        self._due = perf_counter() + LOOK_SECONDS
        self._timer = loop.call_later(LOOK_SECONDS, self._come_by)
        threading.Thread(target=self._look, name="watch over the loop", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._timer.cancel()
        gc.callbacks.remove(self._collecting)

    def _come_by(self) -> None:
        now, processor = perf_counter(), thread_time()
        late = now - self._due
        if late >= STALL_SECONDS:
            self._count(Stall(late, processor - self._processor, self._collected, self._doing), now)
        self._processor, self._collected, self._doing = processor, 0.0, ""
        self._due = now + LOOK_SECONDS
        self._timer = self._loop.call_later(LOOK_SECONDS, self._come_by)

    def _count(self, stall: Stall, now: float) -> None:
        metrics.figures().stall_seconds.observe(stall.lasted)
        if now - self._said_at < QUIET_SECONDS:
            self._unsaid += 1
            return
        say = log.warning if stall.lasted >= LONG_SECONDS else log.info
        say("the event loop stood still", **stall.said(), others_since_the_last_line=self._unsaid)
        self._said_at, self._unsaid = now, 0

    def _collecting(self, phase: str, _information: Mapping[str, int]) -> None:
        if phase == "start":
            self._collecting_since = perf_counter()
        else:
            self._collected += perf_counter() - self._collecting_since

    def _look(self) -> None:
        while not self._over.wait(ASIDE_SECONDS):
            if not self._doing and perf_counter() - self._due > STALL_SECONDS:
                frame = sys._current_frames().get(self._thread_id)  # pyright: ignore[reportPrivateUsage]  # the one way
                self._doing = _where(frame)


def _where(frame: FrameType | None) -> str:
    """The innermost functions of a thread, as ``module:function:line``."""
    named: list[str] = []
    while frame is not None and len(named) < FRAMES:
        named.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(named)
