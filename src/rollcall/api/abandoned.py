"""Calls whose callers have gone away: what only reads is stopped, and a Bulk is told, to begin nothing more.

A change that has begun goes on to its end, whoever hears of it.
"""

import asyncio
from time import monotonic
from typing import Any, cast

from litestar.types import ASGIApp, Receive, Scope, Send

LOOK = 0.25
"""Seconds after which it is asked whether the caller of a call is still there; most are answered by then."""

Task = asyncio.Task[Any]


Call = tuple[float, Receive, bool]
"""A call of which all has come, so that its caller's next message is that they have gone: since when, how that is
heard, and whether the call ends then by itself; else whoever carries it out asks."""


class Watch:
    """Waits until a caller goes away, and ends what nobody wants to hear any more."""

    def __init__(self, task: Task, call: Call) -> None:
        self.gone = False
        self._task = task
        _, self._receive, self._stops = call
        self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while cast("dict[str, Any]", await self._receive())["type"] != "http.disconnect":
            pass  # a request without a body has a message that says so
        self.gone = True
        if self._stops:
            self._task.cancel()

    def end(self) -> None:
        """The call is over."""
        self._waiting.cancel()


class Attendance:
    """The calls under way that are looked after, each by its task, and one timer for all of them."""

    def __init__(self) -> None:
        self.calls: dict[Task, Call] = {}
        self.watches: dict[Task, Watch] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: Task, receive: Receive, stops: bool) -> None:
        """Look after a call of which all has come."""
        self.calls[task] = (monotonic(), receive, stops)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def end(self, task: Task) -> bool:
        """A call is over; returns whether its caller had gone."""
        self.calls.pop(task, None)
        if not self.watches or (watch := self.watches.pop(task, None)) is None:
            return False
        watch.end()
        return watch.gone

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look) if self.calls else None
        before = monotonic() - LOOK
        for task, call in self.calls.items():
            if call[0] <= before and task not in self.watches:
                self.watches[task] = Watch(task, call)


def attended(app: ASGIApp) -> ASGIApp:
    """End reads and searches whose caller has gone; a Bulk finds in its state whether its caller has."""
    attendance, current_task = Attendance(), asyncio.current_task
    begin, end = attendance.begin, attendance.end

    async def with_attendance(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (task := current_task()) is None:
            await app(scope, receive, send)
            return
        if scope["method"] == "GET":  # its body, if it should have one, is read by nobody
            begin(task, receive, True)
        elif scope["path"].endswith(("/.search", "/Bulk")):
            receive = _noticing(attendance, task, receive, stops=not scope["path"].endswith("/Bulk"))
            scope.setdefault("state", {})["attendance"] = attendance
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not end(task) or task.uncancel():
                raise  # somebody else has ended the call
        finally:
            end(task)

    return with_attendance


def _noticing(attendance: Attendance, task: Task, receive: Receive, *, stops: bool) -> Receive:
    """Begin to look after a call once its body has come."""

    async def receive_and_notice() -> Any:
        if task in attendance.watches:  # there is nothing more to come, and it is waited for already
            return {"type": "http.disconnect"}
        message = cast("dict[str, Any]", await receive())
        if not message.get("more_body", False):
            attendance.begin(task, receive, stops)
        return message

    return receive_and_notice


def is_gone(scope: Scope) -> bool:
    """Whether the caller of a Bulk has gone away."""
    attendance: Attendance | None = scope["state"].get("attendance")
    task = asyncio.current_task()
    watch = None if attendance is None or task is None else attendance.watches.get(task)
    return watch is not None and watch.gone
