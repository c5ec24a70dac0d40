"""``rollcall serve`` towards strangers: a real server, and sockets that are silent, slow, or broken off."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from factories import Callers, Tenant, a_tenant
from rollcall.engines.processes import free_port
from rollcall.settings import Settings

SECONDS = 2
CONNECTIONS = 20
BODY = b"x" * 990_000


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[int, psutil.Process]]:
    """A server's port and first process; it waits for two seconds, and serves twenty connections at a time."""
    log = Path(tmp_path_factory.mktemp("serve")) / "log"
    chosen = free_port(None)
    key = settings.secret_keys[0].get_secret_value()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")},
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": key,
        "ROLLCALL_HEAD_SECONDS": str(SECONDS),
        "ROLLCALL_BODY_SECONDS": str(SECONDS),
        "ROLLCALL_CONNECTIONS": str(CONNECTIONS),
    }
    command = [sys.executable, "-m", "rollcall", "serve", "--port", str(chosen)]
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            until_answering(chosen, process)
            yield chosen, psutil.Process(process.pid)
            assert "Traceback" not in log.read_text(), log.read_text()
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def port(server: tuple[int, psutil.Process]) -> int:
    """The server's port."""
    return server[0]


def until_answering(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server is there."""
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        with suppress(OSError), connected(port) as client:
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            if answer(client)[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not answer")


@contextmanager
def connected(port: int) -> Generator[socket.socket]:
    """A connection to the server, on which nothing takes longer than ten seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        yield client


def answer(client: socket.socket) -> tuple[int, bytes]:
    """The status and body of the next answer, whole."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += (piece := client.recv(65_536))
        assert piece, f"closed before the answer: {came!r}"
    head, _, body = came.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None
    while len(body) < int(length[1]):
        body += (piece := client.recv(65_536))
        assert piece, "closed in the middle of the answer"
    return int(head.split()[1]), body


def seconds_until_closed(client: socket.socket) -> float:
    """How long the server leaves a connection open from now on."""
    begun = time.monotonic()
    while client.recv(65_536):
        pass
    return time.monotonic() - begun


def post(address: str, *headers: str, length: int | None = len(BODY)) -> bytes:
    """The head of a request with a body."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join([f"POST {address} HTTP/1.1", "Host: x", framing, *headers, "", ""]).encode()


@pytest_asyncio.fixture
async def scim(callers: Callers) -> tuple[Tenant, str]:
    """A tenant, and the header with its token."""
    acme = await a_tenant(callers)
    return acme, f"Authorization: Bearer {acme.token['token']}"


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"GET /health/live HTTP/1.1\r\nHost: x\r\n"],
    ids=["silent", "half a line", "half a head"],
)
def test_silent_connections(port: int, sent: bytes) -> None:
    """A connection that does not bring the whole head of a request is closed after its time."""
    with connected(port) as client:
        client.sendall(sent)
        assert seconds_until_closed(client) < SECONDS + 2


def test_idle_connections(port: int) -> None:
    """So is one that has been answered and asks no more."""
    with connected(port) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(client)[0] == 200
        assert seconds_until_closed(client) < SECONDS + 2


def test_as_many_as_are_served(port: int) -> None:
    """With as many silent connections as are served, a further one waits for their end, and is answered."""
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(port)) for _ in range(CONNECTIONS)]
        time.sleep(0.2)
        client = stack.enter_context(connected(port))
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        assert answer(client)[0] == 200
        assert all(seconds_until_closed(each) < SECONDS for each in silent)


@pytest.mark.parametrize("address", ["/oauth/introspect", "/scim/v2/Users", "/v1/tenants"])
def test_refused_while_sending(port: int, address: str) -> None:
    """Whoever is refused by the head and sends a large body all the same gets to read why."""
    for _ in range(5):
        with connected(port) as client:
            client.sendall(post(address))
            for position in range(0, len(BODY), 90_000):
                client.sendall(BODY[position : position + 90_000])
                time.sleep(0.005)
            assert answer(client)[0] == 401


def test_many_refused_while_sending(port: int) -> None:
    """A crowd without keys, each with a large body, is answered and gone; nobody else is kept from an answer."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(port)) for _ in range(CONNECTIONS)]
        for client in crowd:
            client.sendall(post("/oauth/introspect") + BODY[:200_000])
        assert [answer(client)[0] for client in crowd] == [401] * CONNECTIONS
        begun = time.monotonic()
        other = stack.enter_context(connected(port))
        other.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(other)[0] == 200
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("attempt", range(5))
def test_held_without_a_key(port: int, attempt: int) -> None:
    """Whoever has no key and holds the body back is answered without it, and closed soon after."""
    with connected(port) as client:
        begun = time.monotonic()
        client.sendall(post("/oauth/introspect") + b"token")
        assert answer(client)[0] == 401
        assert time.monotonic() - begun < 1.5
        assert seconds_until_closed(client) < 4


@pytest.mark.parametrize("attempt", range(5))
def test_held_with_a_key(port: int, scim: tuple[Tenant, str], attempt: int) -> None:
    """A live caller whose body does not come is answered 408 in time, and closed soon after."""
    with connected(port) as client:
        client.sendall(post("/scim/v2/Users", scim[1]) + b'{"use')
        status, body = answer(client)
        assert (status, b'"status":"408"' in body) == (408, True), body
        assert seconds_until_closed(client) < 4


@pytest.mark.parametrize("broken", ["chunk", "end"])
async def test_broken_bodies(port: int, scim: tuple[Tenant, str], broken: str) -> None:
    """A chunk that is none, and an end before the length, are 400 with a body, and stand in the audit."""
    acme, key = scim
    with connected(port) as client:
        if broken == "chunk":
            client.sendall(post("/scim/v2/Users", key, length=None) + b"5\r\n{    \r\nZZ\r\n}")
        else:
            client.sendall(post("/scim/v2/Users", key) + b'{"use')
            client.shutdown(socket.SHUT_WR)
        status, body = answer(client)
    assert status == 400, body
    assert b"broke off" in body
    assert [entry["status"] for entry in await acme.audit(outcome="refused")] == [400]


async def test_gone_in_the_middle(port: int, scim: tuple[Tenant, str]) -> None:
    """Whoever goes away in the middle of a body leaves a refusal in the audit, and the server goes on."""
    acme, key = scim
    with connected(port) as client:
        client.sendall(post("/scim/v2/Users", key) + b'{"use')
        await asyncio.sleep(0.3)
    async with asyncio.timeout(10):
        while not (entries := await acme.audit(outcome="refused")):
            await asyncio.sleep(0.1)
    assert [entry["status"] for entry in entries] == [400]


def test_told_before_sending(port: int) -> None:
    """A caller that asks whether to send its body is refused without sending it."""
    with connected(port) as client:
        client.sendall(post("/scim/v2/Users", "Expect: 100-continue"))
        assert answer(client)[0] == 401


MIXED = 700
"""Calls of each sort, after which memory is looked at."""
GROWTH = 12 * 2**20
"""Bytes that a process may hold more after as many calls as it had before; what each leaves for good would be more."""


@pytest.mark.slow
async def test_memory_is_flat(server: tuple[int, psutil.Process], scim: tuple[Tenant, str]) -> None:
    """With the collector coming seldom, reads, changes and refusals leave nothing behind for good."""
    port, process = server
    (web,) = process.children()
    _, bearer = scim
    json = "Content-Type: application/scim+json"

    def call(client: socket.socket, method: str, address: str, body: bytes = b"", *, known: bool = True) -> int:
        headers = [f"{method} {address} HTTP/1.1", "Host: x", json, f"Content-Length: {len(body)}"]
        client.sendall("\r\n".join([*headers, *([bearer] if known else []), "", ""]).encode() + body)
        return answer(client)[0]

    def mixed(beginning: int) -> None:
        with connected(port) as client:
            for number in range(beginning, beginning + MIXED):
                person = (
                    b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "person-%d"}' % number
                )
                assert call(client, "POST", "/scim/v2/Users", person) == 201
                assert call(client, "GET", "/scim/v2/Users?count=5") == 200
                assert call(client, "GET", "/scim/v2/Users?filter=nothing") == 400
                assert call(client, "GET", "/scim/v2/Users", known=False) == 401

    await asyncio.to_thread(mixed, 0)
    before = web.memory_info().rss
    await asyncio.to_thread(mixed, MIXED)
    assert web.memory_info().rss - before < GROWTH
