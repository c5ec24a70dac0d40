"""A request whose body never comes: what it is answered, and whether anybody asked for the body."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Litestar


@dataclass
class Held:
    """A call as the server hands it to the application; *pieces* of its body come, and then nothing."""

    method: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pieces: tuple[bytes, ...] = ()
    gone: bool = False
    """Whether the caller goes away after the last piece, instead of being silent."""
    length: int = 990_000

    asked: int = 0
    """How often the application has asked for a piece of the body."""
    status: int | None = None
    said: dict[str, str] = field(default_factory=dict[str, str])
    text: bytes = b""

    @property
    def json(self) -> Any:
        """What the answer says."""
        return json.loads(self.text)

    async def sent_to(self, app: Litestar, *, seconds: float = 10) -> "Held":
        """Call *app*; the call itself, once it has been answered.

        Raises:
            TimeoutError: there was no answer in time.
        """
        split = urlsplit(self.address)
        headers = {"host": "rollcall.test", "content-length": str(self.length), **self.headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": split.path,
            "raw_path": split.path.encode(),
            "query_string": split.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("rollcall.test", 80),
        }
        async with asyncio.timeout(seconds):
            await cast("Any", app)(scope, self._receive, self._send)
        return self

    async def _receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked <= len(self.pieces):
            return {"type": "http.request", "body": self.pieces[self.asked - 1], "more_body": True}
        if self.gone:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.said = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"")
