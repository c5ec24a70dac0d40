"""The peer: scim2-server with everything in memory under uvicorn, installed for one run, and its own operations.

It checks no token, and keeps neither audit nor anything else beyond the resources: what it does is the least that the
protocol asks for.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import orjson

from benchmarks.dataset import person_text
from benchmarks.http_client import HttpClient
from benchmarks.load import request
from benchmarks.operations import NUMBERS, SCIM, Operation, Target
from benchmarks.reads import PAGE
from benchmarks.servers import Server, free_port, started

MOST_PEOPLE = 10_000
"""People it begins with at the most: what it does without an index takes longer with each of them."""

LOCK = Path(__file__).parents[1] / "requirements-peer.lock"
_JSON = {"Content-Type": SCIM}


def app() -> Any:
    """The peer's application, as uvicorn loads it."""
    server = cast("Any", import_module("scim2_server.applications.asgi"))
    memory = cast("Any", import_module("scim2_server.memory"))
    utilities = cast("Any", import_module("scim2_server.utils"))
    return _with_lengths(server.ASGIApplication(memory.AsyncInMemoryStorage(), utilities.load_default_provider()))


def _with_lengths(application: Any) -> Any:
    """Say how long each answer is, which the load reads; the server would send it in chunks."""

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        started_with: dict[str, Any] = {}

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started_with.update(message)
                return
            if started_with["status"] != 204:
                length = str(len(message.get("body", b""))).encode()
                started_with["headers"] = [*started_with["headers"], (b"content-length", length)]
            await send(started_with)
            await send(message)

        await application(scope, receive, sending)

    return answering


@contextmanager
def serving(folder: Path) -> Generator[Server]:
    """Install the peer into *folder*, from the lock file alone, and run it until the block ends.

    Raises:
        CalledProcessError: pip could not install it; what it says stands above.
        NeverReady: it does not answer.
    """
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    locked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)]
    subprocess.run([*pip, "--target", str(folder), *locked], check=True)
    port = free_port()
    options = "--factory --loop uvloop --http httptools --no-access-log --log-level warning --timeout-keep-alive 600"
    command = ["-m", "uvicorn", "benchmarks.peer:app", "--port", str(port), *options.split()]
    path = os.pathsep.join([str(folder), str(LOCK.parent)])
    with started(command, port, {"PYTHONPATH": path}, ready="/v2/ServiceProviderConfig") as server:
        yield server


async def fill(server: Server, people: int) -> list[tuple[str, str]]:
    """Create people one after the other; returns their ids and userNames.

    Raises:
        RuntimeError: it refuses one.
    """
    created: list[tuple[str, str]] = []
    async with HttpClient(server.port) as client:
        for number in range(people):
            status, body = await client.ask(request("POST", "/v2/Users", _JSON, person_text(number).encode()))
            if status != 201:
                msg = f"the peer answered {status} to a new person: {body.decode()}"
                raise RuntimeError(msg)
            person = orjson.loads(body)
            created.append((person["id"], person["userName"]))
    return created


def operations(people: Sequence[tuple[str, str]]) -> list[Operation]:
    """What is measured of the peer, in the order of `benchmarks.goals.beside_peer`; those that add to it come last."""
    reads = [request("GET", f"/v2/Users/{person}", {}) for person, _ in people]
    by_name = [request("GET", "/v2/Users?filter=" + quote(f'userName eq "{name}"'), {}) for _, name in people]
    page = [request("GET", f"/v2/Users?startIndex=1&count={PAGE}", {})]
    one, total = b'"userName"', b'"totalResults"'
    return [
        Operation("the peer: read one", Target.PEER, lambda _most: reads, holds=one),
        Operation("the peer: look-up by userName", Target.PEER, lambda _most: by_name, holds=total),
        Operation("the peer: page", Target.PEER, lambda _most: page, holds=total),
        _patch("the peer: PATCH of an attribute", people, "title", lambda _number: f"Engineer {next(NUMBERS)}"),
        _patch("the peer: PATCH active", people, "active", lambda number: number % 2 == 1),
        Operation("the peer: create", Target.PEER, _creations, status=201, holds=one, again=False),
    ]


def _patch(name: str, people: Sequence[tuple[str, str]], path: str, value: Callable[[int], object]) -> Operation:
    """Two changes of each person in turn, so that whoever is deactivated is brought back by the next request."""

    def one(number: int) -> bytes:
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": path, "value": value(number)}],
        }
        return request("PATCH", f"/v2/Users/{people[number // 2 % len(people)][0]}", _JSON, orjson.dumps(body))

    def write(most: int) -> list[bytes]:
        return [one(number) for number in range(most)]

    return Operation(name, Target.PEER, write, status=204, again=False)


def _creations(most: int) -> list[bytes]:
    texts = (person_text(f"new-{next(NUMBERS)}").encode() for _ in range(most))
    return [request("POST", "/v2/Users", _JSON, text) for text in texts]
