"""What is said while something is waited for; that processes do wait is in `tests/cli/test_processes.py`."""

from typing import Any

import pytest

from rollcall import waiting
from rollcall.waiting import Reminder


class Log:
    """Keeps what was logged: level, event, and for how long it had been so."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, int]] = []

    def warning(self, event: str, **facts: Any) -> None:
        """A warning."""
        self.lines.append(("warning", event, facts["waited_seconds"]))

    def info(self, event: str, **facts: Any) -> None:
        """A piece of news."""
        self.lines.append(("info", event, facts["waited_seconds"]))


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that reminders look at."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def test_once_and_then_once_a_minute(clock: Clock) -> None:
    """However often it is looked, a line is there at once and then each minute, and one when it is over."""
    log = Log()
    reminder = Reminder(log, over="back")
    for _ in range(150):
        reminder.say("away", error="as always")
        clock.now += 1
    reminder.over()
    reminder.over()
    assert log.lines == [
        ("warning", "away", 0),
        ("warning", "away", 60),
        ("warning", "away", 120),
        ("info", "back", 150),
    ]


def test_something_else_is_said_at_once(clock: Clock) -> None:
    """When another thing is missing than a moment ago, nobody waits a minute to hear of it."""
    log = Log()
    reminder = Reminder(log, over="back")
    reminder.say("away")
    clock.now += 5
    reminder.say("behind")
    assert log.lines == [("warning", "away", 0), ("warning", "behind", 5)]


def test_nothing_to_say(clock: Clock) -> None:
    """What was never missing is not said to be back; what is missing again is said again."""
    log = Log()
    reminder = Reminder(log, over="back")
    reminder.over()
    reminder.say("away")
    reminder.over()
    reminder.say("away")
    assert [event for _, event, _ in log.lines] == ["away", "back", "away"]
