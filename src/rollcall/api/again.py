"""Calls of the management API and of the console that others crossed, in a deadlock: undone whole, and done again.

Changes through SCIM are tried again where they are made (`provisioning`), with what was read of their bodies.
"""

from typing import cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from rollcall import db
from rollcall.retries import TRIES, before_trying_again

CROSSED = "crossed"


async def note_crossed(exception: Exception, scope: Scope) -> None:
    """Note at a call that others crossed it, before it is answered."""
    if scope["type"] == "http" and db.is_crossed(exception):
        scope["state"][CROSSED] = True


def again_where_crossed(app: ASGIApp) -> ASGIApp:
    """Have a call that others crossed begin anew with the same body, `TRIES` times in all; the last one is heard."""

    async def tried(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET" or not scope["path"].startswith(("/v1/", "/console/")):
            await app(scope, receive, send)
            return
        body = _Body(receive)
        for tries in range(1, TRIES + 1):
            attempt = cast("Scope", {**scope, "state": dict(scope.get("state") or {})})
            answer = _Answer(attempt, send, last=tries == TRIES)
            await app(attempt, body.from_the_beginning(), answer.send)
            if not answer.held_back:
                scope.update(attempt)  # pyright: ignore[reportArgumentType, reportCallIssue]  # how it was routed
                return
            await before_trying_again(tries)

    return tried


class _Body:
    """The body of a call, which can be read more than once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[Message] = []

    def from_the_beginning(self) -> Receive:
        """What has come already, and then what comes."""
        seen = 0

        async def receive() -> Message:
            nonlocal seen
            if seen == len(self._pieces):
                self._pieces.append(cast("Message", await self._receive()))
            seen += 1
            return self._pieces[seen - 1]

        return cast("Receive", receive)


class _Answer:
    """The answer of one try: held back where others crossed it, unless it is the last."""

    def __init__(self, scope: Scope, send: Send, *, last: bool) -> None:
        self.held_back = False
        self._scope = scope
        self._send = send
        self._last = last

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.held_back = not self._last and CROSSED in self._scope["state"]
        if not self.held_back:
            await self._send(message)
