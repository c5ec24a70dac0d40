"""Receivers of webhooks that behave as told, and write down what they heard, when, and whether they took it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

T = TypeVar("T")

Behaviour = Callable[[], Awaitable[int | None]]
"""Gives the status to answer with; ``None`` closes the connection without a word."""


@dataclass(slots=True)
class Heard:
    """One call that a receiver got."""

    at: float
    """By the clock that only goes forward."""
    headers: dict[str, str]
    body: bytes
    taken: bool = False
    """Whether it was answered with a 2xx; the caller may be dead by then."""

    @property
    def id(self) -> str:
        """Its ``webhook-id``."""
        return self.headers["webhook-id"]

    @property
    def person(self) -> str:
        """The ``userName`` of whom it is about."""
        return orjson.loads(self.body)["data"]["person"]["user_name"]


async def take() -> int:
    """Take everything."""
    return 204


def answer(status: int) -> Behaviour:
    """Answer everything with *status*."""

    async def behave() -> int:
        return status

    return behave


async def hang() -> None:
    """Take the request and say nothing."""
    await asyncio.sleep(3600)


async def hang_up() -> None:
    """Close the connection without an answer."""


@dataclass
class Receiver:
    """Somebody who listens on a port of this machine; *behave* may be changed at any time."""

    name: str
    behave: Behaviour
    secret: str = ""
    """What its calls are signed with, once it is registered."""
    port: int = 0
    heard: list[Heard] = field(default_factory=list[Heard])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/{self.name}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                _, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                call = Heard(time.monotonic(), headers, body)
                self.heard.append(call)
                status = await self.behave()
                if status is None:
                    return
                call.taken = 200 <= status < 300
                writer.write(f"HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # who called is gone
        finally:
            writer.close()


class Receivers:
    """Receivers on an event loop in a thread of their own; they listen until they are closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._talks: set[asyncio.Task[None]] = set()

    def listen(self, name: str, behave: Behaviour = take) -> Receiver:
        """Start a receiver."""
        receiver = Receiver(name, behave)
        server = self._run(self._listen(receiver))
        self._servers.append(server)
        receiver.port = server.sockets[0].getsockname()[1]
        return receiver

    def close(self) -> None:
        """Stop listening, and end what is still being said."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, receiver: Receiver) -> asyncio.Server:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(receiver.serve(reader, writer))
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)

        return await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1000)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        talks = list(self._talks)
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
