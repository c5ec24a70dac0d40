"""A client that asks one thing after another over one connection: for measures that depend on what was answered."""

import asyncio
from types import TracebackType
from typing import Self


class HttpClient:
    """One HTTP/1.1 connection to a server on this machine; connects when it is entered."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send *request*, as `benchmarks.load.request` writes it; returns the answer's status and body.

        Raises:
            OSError, EOFError: the server hung up.
        """
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = 0 if status == 204 else _length(head)
        return status, await self._reader.readexactly(length) if length else b""


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0
