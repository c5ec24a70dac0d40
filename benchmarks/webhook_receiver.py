"""A receiver of webhooks in a process of its own: takes everything, and says on request whom it was called about."""

import asyncio
import sys
import time

import orjson
import uvloop


class Receiver:
    """What was received: for each person how often, and when first, by the clock that only goes forward."""

    def __init__(self) -> None:
        self._received: dict[str, tuple[int, float]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one connection: POST names somebody, GET asks for everybody."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    _say(writer, 200, orjson.dumps(self._received))
                    continue
                now = time.monotonic()
                event = orjson.loads(await reader.readexactly(_length(head)))
                times, first = self._received.get(event["data"]["person"]["id"], (0, now))
                self._received[event["data"]["person"]["id"]] = (times + 1, first)
                _say(writer, 204, b"")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def _say(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} Received\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


def _length(head: bytes) -> int:
    lines = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(next(lines)[15:])


async def receive(port: int) -> None:
    """Listen until the process ends."""
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(receive(int(sys.argv[1])))
