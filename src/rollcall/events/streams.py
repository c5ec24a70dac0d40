"""What a call goes out by: head and body together, and a look at the socket that costs next to nothing."""

import select
import ssl
from contextlib import suppress
from typing import Any

import httpcore


class GatheringStream(httpcore.AsyncNetworkStream):
    """A stream that sends what was written when the answer is asked for: the whole of a call by one write.

    httpcore writes the head, then the body; each goes through locks, a cancel scope and the kernel.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._written = bytearray()
        self._socket: Any = stream.get_extra_info("socket")

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # httpcore's interface; it is given again to read
    ) -> None:
        """Keep *buffer* for the next time that something is read; calls are not larger than we word them."""
        self._written += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Send what waits, then read. Whoever takes no more of a call may have answered it all the same."""
        if self._written:
            written, self._written = bytes(self._written), bytearray()
            with suppress(httpcore.WriteError):
                await self._stream.write(written, timeout)
        return await self._stream.read(max_bytes, timeout)

    async def aclose(self) -> None:
        """Close it; what waits is not sent."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """The stream that TLS makes of it, which gathers as well."""
        return GatheringStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a stream: before each call, whether its other side has closed it."""
        if info == "is_readable" and self._socket is not None:
            return _is_readable(self._socket.fileno())
        return self._stream.get_extra_info(info)


def _is_readable(descriptor: int) -> bool:
    """Whether there is something to read, or an end; so it is for what is closed."""
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
