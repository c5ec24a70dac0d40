"""What all providers have in common: what was signed is believed for five minutes, in both directions."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.billing.provider import TOLERANCE, SignatureRefused, check_moment

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("away", [-TOLERANCE, timedelta(), TOLERANCE])
def test_signed_now(away: timedelta) -> None:
    """Up to five minutes are nobody's fault: clocks differ, and networks wait."""
    check_moment(NOW + away, NOW)


@pytest.mark.parametrize(
    ("away", "said"),
    [(-TOLERANCE - SECOND, "301 seconds ago"), (TOLERANCE + SECOND, "for 301 seconds from now")],
)
def test_signed_at_another_time(away: timedelta, said: str) -> None:
    """Further away it is refused, and the reason names the clocks."""
    with pytest.raises(SignatureRefused, match=f"{said}.*clocks of both sides"):
        check_moment(NOW + away, NOW)
