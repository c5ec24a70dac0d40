"""The forecast of seats: a rate where there is one, and nothing where there is none."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rollcall.tenancy.seat_forecast import FARTHEST_WEEKS, MONTHS, Forecast, forecast
from rollcall.tenancy.usage import Usage

NOW = datetime(2026, 11, 30, tzinfo=UTC)
MONTH = timedelta(days=30)


def history(averages: Sequence[float], *, until: datetime = NOW, length: timedelta = MONTH) -> list[Usage]:
    """Months that follow each other, the newest first, each with an average."""
    return [
        Usage(
            UUID(int=1),
            "acme",
            None,
            "business",
            "2026-11",
            peak=int(average),
            average=Decimal(str(average)),
            counted_from=until - (place + 1) * length,
            counted_until=until - place * length,
        )
        for place, average in enumerate(averages)
    ]


def test_a_steady_growth() -> None:
    """Seven people more a week, 70 seats left: full in ten weeks, judged by the months there are."""
    grown = [200 - 15 - 30 * place for place in range(4)]
    assert forecast(history(grown), used=200, allowed=270, now=NOW) == Forecast(weeks=10, months=4)


def test_how_far_back() -> None:
    """What was longer ago than some months does not count."""
    long_ago = history([185, 155, 125, 95, 65, 35, 4_000, 5_000])
    assert forecast(long_ago, used=200, allowed=270, now=NOW) == Forecast(weeks=10, months=MONTHS)


def test_no_forecast() -> None:
    """There is none without a limit, when full, with little history, when it shrinks or stands still, or in years."""
    grown = history([185, 155, 125, 95])
    for found in (
        forecast(grown, used=200, allowed=None, now=NOW),
        forecast(grown, used=200, allowed=200, now=NOW),
        forecast(grown, used=210, allowed=200, now=NOW),
        forecast(grown[:2], used=200, allowed=270, now=NOW),
        forecast(history([185, 100, 20], length=timedelta(days=15)), used=200, allowed=270, now=NOW),
        forecast(history([215, 245, 275, 305]), used=200, allowed=270, now=NOW),
        forecast(history([200, 200, 200]), used=200, allowed=270, now=NOW),
        forecast(grown, used=200, allowed=10_000, now=NOW),
        forecast([], used=0, allowed=10, now=NOW),
    ):
        assert found is None


@given(st.lists(st.floats(0, 1e6, allow_nan=False), max_size=12), st.integers(0, 10**6), st.integers(0, 10**6))
def test_whatever_was_counted(averages: list[float], used: int, allowed: int) -> None:
    """Whatever was counted, a forecast is a positive number of weeks within the time it is worth saying."""
    found = forecast(history(averages), used=used, allowed=allowed, now=NOW)
    assert found is None or 1 <= found.weeks <= FARTHEST_WEEKS
