"""The load: a small HTTP/1.1 client in a process of its own that keeps a number of connections busy.

It sends requests that were written out beforehand and looks at no more of an answer than its status, its length and
its first bytes, so that it takes a tenth of what the server it measures takes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

import uvloop

WARMING_SECONDS = 0.15
"""Answers that come this soon are not counted: connections open, statements are planned, caches fill."""


STALL_SECONDS = 0.025
"""Without an answer for so long, with connections that wait for one, a server stands still."""

PACE_SECONDS = 0.001
"""How often requests that arrive at a rate are looked after: what they are late by at the most."""


class UnexpectedAnswer(RuntimeError):
    """A server answered something else than what is being measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests for one server: each is sent once, or all of them *again and again*, until the time is over."""

    port: int
    requests: Sequence[bytes]
    again: bool
    status: int
    holds: bytes
    """What the first bytes of every answer's body contain."""
    connections: int
    seconds: float
    arrivals: float | None = None
    """Requests a second that arrive whether or not earlier ones were answered; None sends the next one when the last
    one has been answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load. Counted is what was answered after warming up; *sent* is everything."""

    sent: int
    counted: int
    seconds: float
    latencies: Sequence[float]
    """From the moment a request was sent or, of those that arrive at a rate, was due."""
    stalls: int
    """How often nothing was answered for longer than `STALL_SECONDS`."""
    longest_stall: float
    """The longest time in which nothing was answered, in seconds."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.counted / self.seconds


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def run(load: Load) -> Outcome:
    """Put *load* on its server. Meant for a process of its own.

    Raises:
        UnexpectedAnswer: an answer has another status or content.
        OSError: the server can't be reached or hangs up.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(load))


async def _run(load: Load) -> Outcome:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    tally = _Tally(load, over) if load.arrivals is None else _Arrivals(load, over, load.arrivals)
    opened = [
        await loop.create_connection(lambda: _Connection(tally), "127.0.0.1", load.port)
        for _ in range(load.connections)
    ]
    tally.begin()
    for _, connection in opened:
        connection.send_next()
    try:
        async with asyncio.timeout(load.seconds + 30):
            await tally.send_what_is_due()
            await over
    finally:
        for transport, _ in opened:
            transport.close()
    return tally.outcome()


class _Tally:
    """What all connections share: the requests still to be sent, and what came back."""

    def __init__(self, load: Load, over: asyncio.Future[None]) -> None:
        self.load = load
        self.over = over
        self._requests: Iterator[bytes] = cycle(load.requests) if load.again else iter(load.requests)
        self._open = 0
        self._sent = 0
        self._latencies: list[float] = []
        self._from = self._until = self._last = 0.0
        self._stalls = 0
        self._longest = 0.0

    def begin(self) -> None:
        self._from = self._last = time.perf_counter() + WARMING_SECONDS
        self._until = self._from + self.load.seconds

    async def send_what_is_due(self) -> None:
        """Send what does not wait for an answer: nothing, here."""

    def next_request(self, connection: "_Connection") -> tuple[float, bytes] | None:
        """When the request to send now was due, and the request; ``None`` when there is none for *connection*."""
        due = self._due(connection)
        if due is not None and (following := next(self._requests, None)) is not None:
            self._open += 1
            self._sent += 1
            return due, following
        if self._open == 0 and self._nothing_to_come() and not self.over.done():
            self.over.set_result(None)
        return None

    def _due(self, _connection: "_Connection") -> float | None:
        now = time.perf_counter()
        return now if now < self._until else None

    def _nothing_to_come(self) -> bool:
        return True

    def answered(self, began: float) -> None:
        now = time.perf_counter()
        self._open -= 1
        if now >= self._from:
            silent = now - self._last
            self._stalls += silent > STALL_SECONDS
            self._longest = max(self._longest, silent)
            self._latencies.append(now - began)
            self._last = now

    def fail(self, failure: Exception) -> None:
        if not self.over.done():
            self.over.set_exception(failure)

    def outcome(self) -> Outcome:
        seconds = max(self._last - self._from, 1e-6)
        return Outcome(self._sent, len(self._latencies), seconds, sorted(self._latencies), self._stalls, self._longest)


class _Arrivals(_Tally):
    """Requests that arrive at a rate; what finds no free connection waits, and its waiting counts."""

    def __init__(self, load: Load, over: asyncio.Future[None], rate: float) -> None:
        super().__init__(load, over)
        self._rate = rate
        self._waiting: deque[float] = deque()
        self._free: deque[_Connection] = deque()
        self._arriving = True

    async def send_what_is_due(self) -> None:
        begun, arrived = time.perf_counter(), 0
        while (now := time.perf_counter()) < self._until and not self.over.done():
            while (due := begun + arrived / self._rate) <= now:
                arrived += 1
                self._waiting.append(due)
                if self._free:
                    self._free.popleft().send_next()
            await asyncio.sleep(PACE_SECONDS)
        self._arriving = False
        if self._free:
            self._free.popleft().send_next()  # which finds that all is over, if it is

    def _due(self, connection: "_Connection") -> float | None:
        if self._waiting:
            return self._waiting.popleft()
        self._free.append(connection)
        return None

    def _nothing_to_come(self) -> bool:
        return not (self._arriving or self._waiting)


class _Connection(asyncio.Protocol):
    """One connection: the next request goes out when the last one has been answered."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._began = 0.0
        self._head = b""
        self._missing = 0
        self._unseen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.fail(exc or ConnectionResetError("the server hung up"))

    def send_next(self) -> None:
        following = self._tally.next_request(self)
        if following is not None:
            self._began, request = following
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            if self._missing:
                self._missing -= len(data)
            elif not self._read_head(data):
                return
            if self._unseen:
                self._look_at(data)
        except (UnexpectedAnswer, ValueError) as failure:
            self._tally.fail(failure)
            return
        if self._missing == 0:
            self._tally.answered(self._began)
            self.send_next()

    def _read_head(self, data: bytes) -> bool:
        """Learn how long the answer is; false while its head is not complete."""
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return False
        if int(head[9:12]) != self._tally.load.status:
            raise UnexpectedAnswer(f"expected {self._tally.load.status}, got {self._head[:600]!r}")
        self._missing = 0 if head[9:12] == b"204" else _length(head) - len(body)
        self._unseen = bool(self._tally.load.holds)
        self._head = b""
        return True

    def _look_at(self, data: bytes) -> None:
        """Look for what the answer has to hold in the first of it that is more than the head."""
        if data.endswith(b"\r\n\r\n") and self._missing:
            return
        if self._tally.load.holds not in data:
            raise UnexpectedAnswer(f"expected {self._tally.load.holds!r} in {data[:600]!r}")
        self._unseen = False


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    raise UnexpectedAnswer(f"an answer without a length: {head!r}")
