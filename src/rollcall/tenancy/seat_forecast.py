"""When the seats will be full if things go on as they did: a straight line through the months that were counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from rollcall.tenancy.usage import Usage

MONTHS = 6
"""How far back is looked: what was a year ago says little of now."""

ENOUGH_MONTHS = 3
ENOUGH_TIME = timedelta(days=60)
"""Fewer months, or a shorter time, is no rate yet: a company that has just come adds everybody in a week."""

FARTHEST_WEEKS = 104
"""What is farther away is not worth saying."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """In about how many weeks no seat is left, and how many months that is judged by."""

    weeks: int
    months: int


def forecast(history: Sequence[Usage], *, used: int, allowed: int | None, now: datetime) -> Forecast | None:
    """The forecast, by the months the newest of which comes first; None if there is none.

    There is none without a limit or with nothing left, with too little history, and where it does not grow, or so
    slowly that the seats last for years.
    """
    months = history[:MONTHS]
    if allowed is None or used >= allowed or len(months) < ENOUGH_MONTHS:
        return None
    if now - min(each.counted_from for each in months) < ENOUGH_TIME:
        return None
    points = [(_days(_middle(each), now), float(each.average)) for each in months]
    growth = _slope([*points, (0.0, float(used))]) * 7
    if growth <= 0 or (weeks := ceil((allowed - used) / growth)) > FARTHEST_WEEKS:
        return None
    return Forecast(weeks, len(months))


def _middle(month: Usage) -> datetime:
    """The moment for which a month's average stands."""
    return month.counted_from + (month.counted_until - month.counted_from) / 2


def _days(moment: datetime, now: datetime) -> float:
    return (moment - now) / timedelta(days=1)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """How much more there is a day, by least squares; 0 where all points are of one moment."""
    number = len(points)
    mean_at, mean = sum(at for at, _ in points) / number, sum(value for _, value in points) / number
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0
