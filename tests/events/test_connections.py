"""Connections to receivers: used again while that is possible, and closed when nobody needs them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from events.conftest import CALL_SECONDS, INSIDE
from rollcall.events import connections
from rollcall.events.outgoing import Outgoing
from rollcall.events.sending import Sender


@dataclass
class Host:
    """Counts its connections, and says what it is told to say."""

    says: bytes = b"HTTP/1.1 204 Taken\r\n\r\n"
    hangs_up: bool = False
    opened: int = 0
    open: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one connection until its other side closes it."""
        self.opened += 1
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n") and self.says:
                writer.write(self.says)
                await writer.drain()
                if self.hangs_up:
                    return
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def idle(self) -> None:
        """Wait until nobody is connected."""
        async with asyncio.timeout(60):
            while self.open:
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def hosts() -> AsyncGenerator[tuple[Host, Host]]:
    """Two of them."""
    async with AsyncExitStack() as stack:
        two = Host(), Host()
        for host in two:
            server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
            host.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        yield two


@pytest_asyncio.fixture
async def sender() -> AsyncGenerator[Sender]:
    """What makes calls."""
    sender = Sender(INSIDE, seconds=CALL_SECONDS)
    yield sender
    await sender.close()


async def call(sender: Sender, host: Host) -> int | None:
    """Make a call; returns the status of its answer."""
    return (await sender.post(Outgoing(f"http://127.0.0.1:{host.port}/", {}, b""))).status


async def test_used_again(hosts: tuple[Host, Host], sender: Sender) -> None:
    """Calls one after the other share a connection, those at the same moment have one each, and hosts share none."""
    one, other = hosts
    for _ in range(5):
        assert await call(sender, one) == await call(sender, other) == 204
    assert (one.opened, other.opened) == (1, 1)
    assert await asyncio.gather(*(call(sender, one) for _ in range(3))) == [204] * 3
    assert one.opened == 3


async def test_one_write(sender: Sender) -> None:
    """Head and body of a call come together, however the library below writes them."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100_000):
            came.append(piece)
            writer.write(b"HTTP/1.1 204 Taken\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for body in (b"first", b"second"):
            answer = await sender.post(Outgoing(f"http://127.0.0.1:{port}/", {}, body))
            assert answer.status == 204
        await sender.close()
    assert [each.rpartition(b"\r\n\r\n")[2] for each in came] == [b"first", b"second"]


async def test_hung_up(hosts: tuple[Host, Host], sender: Sender) -> None:
    """A connection that the receiver has closed, or did not answer on, is not used again."""
    host, _ = hosts
    host.hangs_up = True
    for number in range(1, 4):
        assert await call(sender, host) == 204
        await host.idle()
        assert host.opened == number
    host.says, host.hangs_up = b"", False
    assert await call(sender, host) is None
    await host.idle()
    host.says = b"HTTP/1.1 204 Taken\r\n\r\n"
    assert await call(sender, host) == 204


async def test_not_kept_for_long(hosts: tuple[Host, Host], sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for some seconds is closed as soon as anybody is called, and everything when all is over."""
    monkeypatch.setattr(connections, "KEPT_SECONDS", 0.05)
    one, other = hosts
    assert await call(sender, one) == 204
    await asyncio.sleep(0.1)
    assert one.open == 1
    assert await call(sender, other) == 204
    await one.idle()
    await sender.close()
    await other.idle()


async def test_no_more_than_is_useful(
    hosts: tuple[Host, Host], sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many calls at the same moment a few connections are kept, fewer when many hosts have some."""
    monkeypatch.setattr(connections, "KEPT_FOR_A_HOST", 4)
    monkeypatch.setattr(connections, "KEPT_AT_MOST", 6)
    one, other = hosts
    for host, kept in ((one, 4), (other, 2)):
        assert await asyncio.gather(*(call(sender, host) for _ in range(8))) == [204] * 8
        async with asyncio.timeout(60):
            while host.open != kept:
                await asyncio.sleep(0.01)
