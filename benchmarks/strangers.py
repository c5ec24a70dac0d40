"""``python -m benchmarks.strangers``: what another tenant notices while somebody abuses connections and bodies.

One web process, as ``rollcall serve`` starts it. The other tenant reads one person twenty times a second; whoever
abuses is a process of its own, and takes processor time from the server as any neighbour on the machine does.
"""

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import orjson
import psutil

from benchmarks.dataset import Dataset, prepared
from benchmarks.http_client import HttpClient
from benchmarks.load import request
from benchmarks.neighbours import operator_key
from benchmarks.servers import Server, free_port, started

CROWD = 200
"""Connections of whoever abuses them."""

A_SECOND = 3
"""Bodies with very many members that are sent in a second."""

PAUSE = 0.05
LARGE = b"x" * 990_000
PIECE = 30_000
MANY = orjson.dumps({"userName": "a", "user_name": "a", **{f"k{number}": 1 for number in range(75_000)}})


@dataclass(frozen=True, slots=True)
class Abuse:
    """Something done to the server at *port*, with a live SCIM token or operator key where it takes one."""

    port: int
    token: str
    key: str

    async def large_bodies(self) -> None:
        """Connections without a key, each of which sends a large body in three seconds, whatever it is answered."""
        head = _head("/oauth/introspect", {}, len(LARGE))

        async def one() -> None:
            async with _connected(self.port) as (reader, writer):
                writer.write(head)
                for position in range(0, len(LARGE), PIECE):
                    writer.write(LARGE[position : position + PIECE])
                    await writer.drain()
                    await asyncio.sleep(0.1)
                await reader.read()

        await _crowd(one)

    async def silent(self) -> None:
        """Connections that send half a head and nothing else."""

        async def one() -> None:
            async with _connected(self.port) as (reader, writer):
                writer.write(b"POST /scim/v2/Users HTTP/1.1\r\n")
                await reader.read()

        await _crowd(one)

    async def held(self) -> None:
        """Connections with a live token, each of which sends half of a large body and holds the rest back."""
        head = _head("/scim/v2/Users", {"Authorization": f"Bearer {self.token}"}, len(LARGE))

        async def one() -> None:
            async with _connected(self.port) as (reader, writer):
                writer.write(head + LARGE[: len(LARGE) // 2])
                await reader.read()

        await _crowd(one)

    async def members(self) -> None:
        """Bodies of 75,000 members for SCIM, three a second."""
        await self._many("/scim/v2/Users", self.token)

    async def unknown_fields(self) -> None:
        """The same for the management API."""
        await self._many("/v1/tenants/neighbour/people", self.key)

    async def _many(self, path: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        async with HttpClient(self.port) as talker:
            while True:
                await talker.ask(request("POST", path, headers, MANY))
                await asyncio.sleep(1 / A_SECOND)


ABUSES = {
    f"{CROWD} without a key send 990 kB each": "large_bodies",
    f"{CROWD} connections with half a head": "silent",
    f"{CROWD} live callers hold half of 990 kB": "held",
    f"75,000 members for SCIM, {A_SECOND}/s": "members",
    f"75,000 fields for /v1, {A_SECOND}/s": "unknown_fields",
}


@click.command()
@click.option("--seconds", default=6.0, show_default=True, type=click.FloatRange(1, 600), help="How long each takes.")
def main(seconds: float) -> None:
    """Measure another tenant's reads while somebody abuses the server, on engines of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-strangers-") as folder,
        _served(Path(folder)) as (dataset, server),
    ):
        abuse = Abuse(server.port, dataset.neighbour.token, asyncio.run(operator_key(dataset)))
        asyncio.run(_reads(dataset, server.port, 2))
        click.echo(f"load of the machine: {', '.join(f'{each:.1f}' for each in psutil.getloadavg())}\n")
        click.echo(f"{'':<42}{'p50 ms':>8}{'p99 ms':>8}{'MB':>6}")
        _measured("nobody", dataset, server, seconds)
        for name, method in ABUSES.items():
            with _beside(abuse, method):
                _measured(name, dataset, server, seconds)
        _measured("nobody", dataset, server, seconds)


def run(abuse: Abuse, method: str) -> None:
    """Do it until somebody ends this process."""
    asyncio.run(getattr(abuse, method)())


def _measured(name: str, dataset: Dataset, server: Server, seconds: float) -> None:
    took = sorted(asyncio.run(_reads(dataset, server.port, seconds)))
    median, last = statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000
    click.echo(f"{name:<42}{median:>8.1f}{last:>8.1f}{server.memory() / 2**20:>6.0f}")


async def _reads(dataset: Dataset, port: int, seconds: float) -> list[float]:
    tenant, took = dataset.tenants[0], list[float]()
    headers = {"Authorization": f"Bearer {tenant.token}"}
    question = request("GET", f"/scim/v2/Users/{tenant.sample[0].id}", headers)
    until = time.monotonic() + seconds
    async with HttpClient(port) as talker:
        while time.monotonic() < until:
            begun = time.monotonic()
            status, _ = await talker.ask(question)
            took.append(time.monotonic() - begun)
            assert status == 200
            await asyncio.sleep(PAUSE)
    return took


@contextmanager
def _served(folder: Path) -> Generator[tuple[Dataset, Server]]:
    port = free_port()
    with prepared(folder / "dataset", people=200, tenants=1, say=click.echo) as dataset:
        command = ["-m", "rollcall", "serve", "--port", str(port)]
        environment = {**dataset.environment(), "ROLLCALL_LOG_LEVEL": "ERROR", "ROLLCALL_HEAD_SECONDS": "10"}
        with started(command, port, environment, ready="/health/ready") as server:
            yield dataset, server


@contextmanager
def _beside(abuse: Abuse, method: str) -> Generator[None]:
    process = multiprocessing.get_context("spawn").Process(target=run, args=(abuse, method), daemon=True)
    process.start()
    time.sleep(3)
    try:
        yield
        if not process.is_alive():
            raise click.ClickException(f"{method} has ended by itself")
    finally:
        process.terminate()
        process.join(10)
        time.sleep(1)


async def _crowd(one: Callable[[], Awaitable[None]]) -> None:
    async def again() -> None:
        while True:
            with suppress(OSError):
                await one()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(again() for _ in range(CROWD)))


class _connected:  # noqa: N801  # a context manager, used as a function
    """A connection to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return reader, self._writer

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()


def _head(path: str, headers: dict[str, str], length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


if __name__ == "__main__":
    main()
