"""Attempts at signing in: so many from one address within a minute."""

import pytest

from rollcall.access import attempts
from rollcall.access.attempts import MOST_A_MINUTE, Attempts
from rollcall.errors import TooManyRequests


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is; can be set."""
    now = [1_000_000_020.0]
    monkeypatch.setattr("rollcall.access.attempts.time.monotonic", lambda: now[0])
    return now


def spent(source: str | None) -> Attempts:
    """Attempts, of which one source has made all it may."""
    made = Attempts()
    for _ in range(MOST_A_MINUTE):
        made.check(source)
    return made


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, None, True),
        (None, "192.0.2.1", False),
        ("not an address", "192.0.2.1", False),
    ],
)
def test_one_address(clock: list[float], one: str | None, other: str | None, alike: bool) -> None:
    """An address has its own count; of IPv6 all that one customer of a network has is one."""
    made = spent(one)

    if alike:
        with pytest.raises(TooManyRequests):
            made.check(other)
    else:
        made.check(other)


def test_the_next_minute(clock: list[float]) -> None:
    """Whoever made too many is told how many seconds to wait, and may then try again."""
    made = spent("192.0.2.1")
    with pytest.raises(TooManyRequests) as refused:
        made.check("192.0.2.1")
    assert refused.value.retry_after == 60 - int(clock[0]) % 60

    clock[0] += refused.value.retry_after
    made.check("192.0.2.1")


def test_a_crowd(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more addresses than are told apart the others count as one, so that no crowd fills the memory."""
    monkeypatch.setattr(attempts, "SOURCES", 3)
    made = Attempts()
    for number in range(3 + MOST_A_MINUTE):
        made.check(f"192.0.2.{number}")

    with pytest.raises(TooManyRequests):
        made.check("198.51.100.1")
    made.check("192.0.2.0")
