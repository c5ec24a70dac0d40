"""How refusals are counted: ten singly, the rest as one, in bounded memory, and nothing lost on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.journal import refusals
from rollcall.journal.refusals import SINGLY, RefusalTally

START = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)


class Clock:
    """What time it is; can be moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now.replace(second=0, microsecond=0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that tallies go by."""
    clock = Clock()
    monkeypatch.setattr(refusals, "_this_minute", clock)
    return clock


def test_ten_and_the_rest(clock: Clock) -> None:
    """Ten of a kind are kept singly, and the others are one count, due when the minute is over."""
    tally = RefusalTally[str]()

    kept = [tally.is_single("key", f"call {number}") for number in range(100)]

    assert kept == [True] * SINGLY + [False] * 90
    assert tally.due() == []
    clock.now += timedelta(minutes=1)
    ((key, count),) = tally.due()
    assert (key, count.calls, count.last, count.minute) == ("key", 90, "call 99", START.replace(second=0))
    assert tally.due() == []
    assert tally.is_single("key", "the next minute")


def test_each_of_its_own(clock: Clock) -> None:
    """One key's flood takes nothing away from another's."""
    tally = RefusalTally[str]()
    for _ in range(100):
        tally.is_single("loud", "")

    assert tally.is_used_up("loud")
    assert not tally.is_used_up("quiet")
    assert tally.is_single("quiet", "")


def test_only_counted(clock: Clock) -> None:
    """What may not be kept singly is counted, and uses up none of the ten."""
    tally = RefusalTally[str]()

    assert not tally.is_single("key", "", may_be=False)
    assert tally.is_single("key", "")


def test_a_crowd(clock: Clock) -> None:
    """Of more keys than are told apart the others are one count, so that no crowd fills the memory or the disk."""
    tally = RefusalTally[str](most=5)

    kept = sum(tally.is_single(number, "") for number in range(1000))

    assert kept == 5
    counts = tally.due(everything=True)
    assert sum(count.calls for _, count in counts) == 995
    assert len(counts) <= 6
    assert [count.last for key, count in counts if key is None] == [None]


def test_put_back(clock: Clock) -> None:
    """Counts that could not be written down are kept, with what came meanwhile, and stay bounded."""
    tally = RefusalTally[str](most=3)
    for _ in range(30):
        for key in range(3):
            tally.is_single(key, "")
    taken = tally.due(everything=True)
    for minute in range(1, 50):
        clock.now = START + timedelta(minutes=minute)
        for _ in range(20):
            for key in range(3):
                tally.is_single(key, "")
        tally.put_back(taken)
        taken = tally.due(everything=True)
        assert len(taken) <= 3 + minute + 1

    assert sum(count.calls for _, count in taken) == 60 + 49 * 30
