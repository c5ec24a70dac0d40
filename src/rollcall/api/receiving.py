"""How bodies are received: what of them is read, how long they may take, and what becomes of one nobody wants."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, cast

from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ASGIApp, Empty, HTTPReceiveMessage, Receive, Scope, Send

from rollcall.api.requests import header
from rollcall.db import DatabaseError
from rollcall.errors import Refusal, TooManyRequests
from rollcall.scim.reader import check_shape

DEEPEST = 32
"""Levels that the JSON of a body may nest."""

LATE = 0.25
"""Seconds without a piece of a body after which its caller's key is judged again."""

LINGER = 2.0
"""Seconds for which the rest of a body is taken and thrown away once the call has been answered."""

MOST_LINGERED = 2 * 1_048_576
"""Bytes of a body that are taken in all; then the connection is closed, whether its caller has the answer or not."""

SMALL = 65_536
"""Bytes of a body that are always taken: nearly every one has fewer."""

HELD_BY_ONE, HELD_BY_ALL = 32 * 1_048_576, 128 * 1_048_576
"""Bytes of bodies under way that a process holds for one key and for all; beyond, larger bodies are 429."""

Judge = Callable[[], Awaitable[Exception | None]]
"""Says why a caller's key is not good any more, if it is not."""


class BodyTooSlow(Refusal):
    """The body did not come within its time."""

    status = 408
    code = "too_slow"
    advice = "Send the whole body at once; the detail says how long it may take."


class BodyBrokenOff(Refusal):
    """The body ended in the middle, or was not sent as HTTP says."""

    code = "broken_off"
    advice = "Send it again, with a right Content-Length or whole chunks; see what is between you and this server."

    def __init__(self) -> None:
        super().__init__(
            "The body broke off: the connection was closed before its Content-Length, or a chunk was not one. "
            "Nothing was done; send the request again."
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a body may take: so many seconds, and one more for each *bytes_per_second* that have come."""

    seconds: float
    bytes_per_second: int

    def refusal(self) -> BodyTooSlow:
        """What is said of a body that takes longer."""
        return BodyTooSlow(
            f"The body came too slowly: it may take {self.seconds:g} seconds, and one more for each "
            f"{self.bytes_per_second} bytes that have come. Nothing was done; send the request again."
        )


class CarefulRequest(Request[Any, Any, Any]):
    """A request whose JSON is judged by its shape first: one with tens of thousands of members is never decoded.

    Its body is put together without the framework's stream, which takes longer than to read it; the bound is the same.
    """

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            RequestEntityTooLarge: it is, or says that it is, longer than its handler takes.
            BodyTooSlow, BodyBrokenOff, TooManyRequests: as for `Incoming.receive`.
        """
        if self._body is Empty:
            self._body = self._connection_state.body
        if self._body is Empty:
            most = self.route_handler.resolve_request_max_body_size() or inf
            if _announced_length(self.scope) > most:
                raise RequestEntityTooLarge
            pieces: list[bytes] = []
            length, more = 0, True
            while more:
                message = cast("dict[str, Any]", await self.receive())
                if message["type"] == "http.disconnect":
                    raise BodyBrokenOff
                pieces.append(message["body"])
                length, more = length + len(message["body"]), message.get("more_body", False)
                if length > most:
                    raise RequestEntityTooLarge
            self._body = self._connection_state.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    async def json(self) -> Any:
        """The JSON that the body is.

        Raises:
            InvalidSyntax: an object or list has too many members, or it nests too deeply.
        """
        check_shape(await self.body(), depth=DEEPEST, lists=True)
        return await super().json()


class Holding:
    """How many bytes of bodies a process holds, of calls that have not been answered."""

    def __init__(self) -> None:
        self._all = 0
        self._by_key: Counter[str] = Counter()

    def add(self, key: str, count: int) -> bool:
        """Count what has come with a key; returns whether there is room for it."""
        self._all += count
        self._by_key[key] += count
        return self._all <= HELD_BY_ALL and self._by_key[key] <= HELD_BY_ONE

    def release(self, key: str, count: int) -> None:
        """Count what is held no more."""
        self._all -= count
        self._by_key[key] -= count
        if not self._by_key[key]:
            del self._by_key[key]


class Waiting:
    """The bodies of a process that somebody waits for, and one timer for all of them."""

    def __init__(self) -> None:
        self._bodies: set[Incoming] = set()
        self._judging: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, body: "Incoming") -> None:
        """Begin to wait for a piece of a body."""
        self._bodies.add(body)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LATE, self._look)

    def discard(self, body: "Incoming") -> None:
        """It came, or will not."""
        self._bodies.discard(body)

    def _look(self) -> None:
        """End the wait for those whose time is over, and have the keys judged behind those that are late."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LATE, self._look) if self._bodies else None
        for body in tuple(self._bodies):
            if loop.time() >= body.deadline:
                body.end(body.too_slow())
            elif body.is_late(loop.time()):
                judging = loop.create_task(body.judge_again())
                self._judging.add(judging)
                judging.add_done_callback(self._judging.discard)


class Incoming:
    """The body of one request, as it comes in. Its time begins when it is first asked for: keys are judged before.

    It has the server's two ends of the call, until that is over. The server closes a connection whose body nobody takes
    any more once both are forgotten; what the application leaves behind, an exception with its frames, would remember
    them until the next garbage collection.
    """

    def __init__(self, receive: Receive, send: Send, pace: Pace, holding: Holding, key: str, waiting: Waiting) -> None:
        self._receive = receive
        self._send = send
        self._pace = pace
        self._holding = holding
        self._key = key
        self._waiting = waiting
        self._begun: float | None = None
        self._since = 0.0
        self._judged = False
        self._received = 0
        self._over = self._whole = False
        self._task: asyncio.Task[Any] | None = None
        self._ended: Exception | None = None
        self.judge: Judge | None = None
        """Asked when the body is late, where the key has not been judged by its head, or not lately."""

    @property
    def deadline(self) -> float:
        """When the body's time is over, by the loop's clock."""
        assert self._begun is not None, "somebody has asked for it"
        return self._begun + self._pace.seconds + self._received / self._pace.bytes_per_second

    def too_slow(self) -> BodyTooSlow:
        """What is said of it then."""
        return self._pace.refusal()

    @property
    def is_whole(self) -> bool:
        """Whether nothing more of it comes."""
        return self._whole

    def is_late(self, now: float) -> bool:
        """Whether a piece is late, and the key behind it has not been judged since."""
        return self.judge is not None and not self._judged and now - self._since >= LATE

    async def receive(self) -> HTTPReceiveMessage:
        """The next piece.

        Raises:
            BodyTooSlow: it did not come in time.
            BodyBrokenOff: there will be none, and there should have been.
            TooManyRequests: the process holds so much of other bodies that a large one has no room.
        """
        if self._over:
            return cast("HTTPReceiveMessage", await self._receive())
        self._since, self._judged = asyncio.get_running_loop().time(), False
        if self._begun is None:
            self._begun = self._since
        self._task = asyncio.current_task()
        self._waiting.add(self)
        try:
            message = cast("HTTPReceiveMessage", await self._receive())
        except asyncio.CancelledError:
            if self._ended is None or self._task is None or self._task.uncancel():
                raise  # somebody else has ended the call
            raise self._ended from None
        finally:
            self._waiting.discard(self)
            self._task = None
        if message["type"] == "http.disconnect":
            self._over = self._whole = True
            raise BodyBrokenOff
        self._over = self._whole = not message["more_body"]
        self._take(len(message["body"]))
        return message

    def end(self, refusal: Exception) -> None:
        """End the wait for the next piece: whoever waits is refused."""
        if self._task is not None and self._ended is None:
            self._over, self._ended = True, refusal
            self._task.cancel()

    async def judge_again(self) -> None:
        """End the wait if the key behind it has ended; while the database is away nobody knows."""
        self._judged = True
        refusal: Exception | None = None
        with suppress(OSError, TimeoutError, *DatabaseError):
            refusal = None if self.judge is None else await self.judge()
        if refusal is not None:
            self.end(refusal)

    def _take(self, count: int) -> None:
        self._received += count
        if not self._holding.add(self._key, count) and self._received > SMALL:
            msg = "So many large bodies are under way that this one has no room; send it again in some seconds."
            raise TooManyRequests(msg, retry_after=5)

    async def send(self, message: Any) -> None:
        """A part of the answer."""
        await self._send(message)

    async def linger(self) -> None:
        """Take the rest of the body, for a while, so that whoever sends it gets to read the answer.

        A connection that is closed while data arrives is reset, and what was sent last goes with it.
        """
        taken = self._received
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self._whole and taken < MOST_LINGERED:
                    message = cast("dict[str, Any]", await self._receive())
                    taken += len(message.get("body", b""))
                    self._whole = not message.get("more_body", False)

    def end_of_call(self) -> None:
        """The call is over: what has come is held no more, and the server's ends are forgotten."""
        self._holding.release(self._key, self._received)
        self._receive, self._send = _gone, _nothing


async def _gone() -> Any:
    return {"type": "http.disconnect"}


async def _nothing(message: Any) -> None:
    """No part of an answer is sent once its call is over."""


def incoming(scope: Scope) -> Incoming | None:
    """The body of a request, while it comes in; None where it has none."""
    return scope["state"].get("incoming")


def in_good_time(app: ASGIApp, pace: Pace, *, lingers: bool) -> ASGIApp:
    """Refuse bodies that come too slowly or break off, or for which there is no room.

    On a real server it *lingers*: what still comes after the answer is taken for a while. Who waits to be told to send
    a body (``Expect``) has nothing to take.
    """
    holding, waiting = Holding(), Waiting()

    async def received(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await app(scope, receive, send)
            return
        body = Incoming(receive, send, pace, holding, header(scope, b"authorization") or "", waiting)
        scope.setdefault("state", {})["incoming"] = body
        try:
            await app(scope, body.receive, body.send)
            if lingers and not body.is_whole and header(scope, b"expect") is None:
                await body.linger()
        finally:
            body.end_of_call()

    return received


def _announced_length(scope: Scope) -> int:
    """The length that a body has by its head; 0 where that does not say, or says what is no length."""
    said = header(scope, b"content-length") or "0"
    return int(said) if said.isdecimal() else 0


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False
