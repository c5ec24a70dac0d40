"""The load: what it says of a server that is even, of one that stands still, and of requests that come at a rate."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

from benchmarks.load import Load, Outcome, request, run

SERVER = """
import asyncio, sys, time
every, pause = int(sys.argv[1]), float(sys.argv[2])
answered = 0

async def serve(reader, writer):
    global answered
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        answered += 1
        if answered % every == 0:
            time.sleep(pause)
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\n{}")

async def listen():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(listen())
"""


@contextmanager
def a_server(*, every: int = 1, pause: float = 0) -> Generator[int]:
    """The port of a server that does nothing else for *pause* seconds before each *every*th answer."""
    command = [sys.executable, "-c", SERVER, str(every), str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def load(port: int, *, arrivals: float | None = None, seconds: float = 1.0, connections: int = 4) -> Outcome:
    """What comes of a load that asks for the same again and again."""
    asked = [request("GET", "/", {})]
    return run(Load(port, asked, True, 200, b"{}", connections, seconds, arrivals))


def test_a_server_that_stands_still() -> None:
    """Each time nobody is answered for longer than 25 ms is a stall, and the longest is told."""

    with a_server(every=400, pause=0.12) as port:
        outcome = load(port)
    assert outcome.stalls >= outcome.counted // 400 - 1 > 0
    assert outcome.longest_stall >= 0.1


def test_requests_that_come_at_a_rate() -> None:
    """So many are answered as have come, whatever the server could do, and none has waited for another."""
    with a_server() as port:
        outcome = load(port, arrivals=200)
    assert 120 < outcome.rate < 230
    assert outcome.latencies[len(outcome.latencies) // 2] < 0.05


def test_waiting_counts_from_when_a_request_was_due() -> None:
    """Requests that come faster than they are answered wait, and their waiting is in what they took."""
    with a_server(pause=0.02) as port:
        outcome = load(port, arrivals=100, connections=1)
    assert outcome.latencies[-1] > 0.3
