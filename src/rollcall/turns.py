"""Turns: how many of a process's connections one tenant may hold, and who is next when one is free.

Nothing here knows a connection: a pool asks for a turn before it lends one, and ends the turn when it has it back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LONGEST_WAIT = 5.0
"""Seconds that a call waits for its turn; then it is refused, and may be sent again."""

MOST_WAITING = 100
"""Calls of one tenant that wait at the same time, unless an operator says otherwise."""

_MOST_LINES = 1_000
"""Lines that are kept without anybody in them."""


class Crowded(TimeoutError):
    """A tenant's calls fill its share of the connections and its line, so PostgreSQL was asked nothing."""


@dataclass(slots=True, eq=False)
class Line:
    """The calls of one tenant: how many are at work, and those that wait, in the order they came."""

    share: int
    held: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])


class Turns:
    """Lets *size* calls at a time, and *share* of one tenant; who waits is let in tenant after tenant.

    A call of nobody's (None) is Rollcall's own: the share does not bind those, the size does.
    """

    def __init__(
        self,
        size: int,
        share: int | None = None,
        *,
        most_waiting: int | None = MOST_WAITING,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        self._size = size
        # One is left for the others, where there is more than one.
        self._share = size if share is None else min(share, max(1, size - 1))
        self._most_waiting = most_waiting
        self._on_wait = on_wait
        self._taken = 0
        self._lines: dict[Hashable, Line] = {None: Line(size)}
        self._next: dict[Line, None] = {}

    @asynccontextmanager
    async def turn(self, of: Hashable) -> AsyncGenerator[None]:
        """Wait for a turn, and end it with the block.

        Raises:
            Crowded: as for `wait`.
        """
        line = self.take(of) or await self.wait(of)
        try:
            yield
        finally:
            self.end(line)

    def take(self, of: Hashable) -> Line | None:
        """A turn, if there is one at once; it has to be ended."""
        line = self._lines.get(of)
        if line is None:
            line = self._new_line(of)
        # Whoever is let in so overtakes nobody: those who wait beside a free place have their whole share.
        if self._taken >= self._size or line.held >= line.share:
            return None
        line.held += 1
        self._taken += 1
        return line

    async def wait(self, of: Hashable) -> Line:
        """A turn as soon as there is one; it has to be ended.

        Raises:
            Crowded: too many of the tenant's calls wait already, or this one has waited `LONGEST_WAIT`.
        """
        line = self._lines.get(of) or self._new_line(of)
        if self._most_waiting is not None and len(line.waiting) >= self._most_waiting:
            msg = f"{line.held} calls of this tenant are at work and {len(line.waiting)} wait already"
            raise Crowded(msg)
        loop = asyncio.get_running_loop()
        began, place = loop.time(), loop.create_future()
        line.waiting.append(place)
        self._next.setdefault(line)
        giving_up = loop.call_later(LONGEST_WAIT, self._give_up, line, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.end(line)  # it was let in at the same moment
            else:
                self._leave(line, place)
            raise
        finally:
            giving_up.cancel()
            if self._on_wait is not None:
                self._on_wait(loop.time() - began)
        return line

    def end(self, line: Line) -> None:
        """End a turn; who is next has it."""
        line.held -= 1
        self._taken -= 1
        if self._next:
            self._let_in()

    def _let_in(self) -> None:
        """Give a free place to the next line whose tenant has not its share."""
        while line := next((each for each in self._next if each.held < each.share), None):
            del self._next[line]
            place = line.waiting.popleft()
            if line.waiting:
                self._next[line] = None  # behind the others
            if not place.done():  # or whoever waited has just been cancelled
                line.held += 1
                self._taken += 1
                place.set_result(None)
                return

    def _give_up(self, line: Line, place: asyncio.Future[None]) -> None:
        if not place.done():
            self._leave(line, place)
            place.set_exception(Crowded(f"waited {LONGEST_WAIT:g} s behind other calls of the same tenant"))

    def _leave(self, line: Line, place: asyncio.Future[None]) -> None:
        if place in line.waiting:
            line.waiting.remove(place)
        if not line.waiting:
            self._next.pop(line, None)

    def _new_line(self, of: Hashable) -> Line:
        if len(self._lines) >= _MOST_LINES:
            self._lines = {key: line for key, line in self._lines.items() if key is None or line.held or line.waiting}
        line = self._lines[of] = Line(self._share)
        return line
