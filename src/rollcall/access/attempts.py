"""Attempts at signing in to the console, which anybody can make: so many a minute from one address, and no more.

Each process counts by itself, in little memory: what is behind this door is safe without it, and it only keeps a crowd
from filling up what those who sign in share.
"""

import time
from dataclasses import dataclass, field

from rollcall.access.origins import network
from rollcall.errors import TooManyRequests

MOST_A_MINUTE = 60
"""Attempts from one address: so many people of one office, behind one address, may sign in within a minute."""

SOURCES = 10_000
"""Addresses that are told apart within a minute; the others count as one."""


@dataclass(slots=True)
class Attempts:
    """Counts attempts. One for each process."""

    _minute: int = 0
    _made: dict[str, int] = field(default_factory=dict[str, int])

    def check(self, source: str | None) -> None:
        """Count one more.

        Raises:
            TooManyRequests: too many came from there within this minute.
        """
        minute, second = divmod(int(time.monotonic()), 60)
        if minute != self._minute:
            self._minute = minute
            self._made.clear()
        name = network(source or "unknown")
        if name not in self._made and len(self._made) >= SOURCES:
            name = "others"
        self._made[name] = self._made.get(name, 0) + 1
        if self._made[name] > MOST_A_MINUTE:
            msg = "Too many attempts to sign in have come from your address; wait a minute, and try again."
            raise TooManyRequests(msg, retry_after=60 - second)
