"""``python -m benchmarks.memory``: what the whole of ``rollcall up`` holds in memory, process by process.

Told is the proportional set size where the kernel knows it: what processes share is divided among them, so that the sum
is what the machine gives. Elsewhere it is the resident set size, whose sum counts what is shared once for each of them.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks.http_client import HttpClient
from benchmarks.load import request
from benchmarks.servers import family, free_port

STARTING_SECONDS = 180
CONNECTIONS = 8
MEGABYTE = 2**20


@click.command()
@click.option("--settling", default=6.0, show_default=True, type=click.FloatRange(0, 600), help="Seconds to wait.")
@click.option("--people", default=100, show_default=True, type=click.IntRange(1), help="Who join, are read and leave.")
def main(settling: float, people: int) -> None:
    """Start the whole product, and measure what each process holds: with nobody asking anything, and after calls."""
    with tempfile.TemporaryDirectory(prefix="rollcall-memory-") as folder, running(Path(folder)) as (up, ready):
        time.sleep(settling)
        _show("asked nothing so far", held(up))
        asyncio.run(ask(ready, people))
        time.sleep(settling)
        _show(f"after {people * 5} calls, {people} of them departures", held(up))


@contextmanager
def running(folder: Path) -> Generator[tuple[psutil.Process, Mapping[str, Any]]]:
    """``rollcall up`` from the moment everything answers until the block ends, and what its ready file says.

    Raises:
        ClickException: it ended, or does not answer in time.
    """
    ready, log = folder / "ready.json", folder / "up.log"
    options = ["--port", str(free_port()), "--data-dir", str(folder / "data"), "--ready-file", str(ready)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rollcall", "up", *options], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"'rollcall up' does not run:\n{log.read_text()}")
            time.sleep(0.2)
        yield psutil.Process(process.pid), json.loads(ready.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def ask(ready: Mapping[str, Any], people: int) -> None:
    """Have so many *people* join, be looked up, patched and read, and leave: five calls each.

    Raises:
        ClickException: a call was not answered with what it asks for.
    """
    token = ready["tenants"]["juniper"]["scim_token"]
    port = int(ready["local_url"].rpartition(":")[2])
    numbers = iter(range(people))
    async with HttpClient(port) as operator:
        ops = {"Authorization": f"Bearer {ready['operator_key']}", "Content-Type": "application/json"}
        unlimited = request("PATCH", "/v1/tenants/juniper", ops, b'{"rate_per_second": 0}')
        _, said = await operator.ask(unlimited)
        if json.loads(said).get("rate_per_second") != 0:
            raise click.ClickException(f"the tenant's rate limit was not lifted: {said.decode()}")

    async def over_one_connection() -> None:
        async with HttpClient(port) as client:
            for number in numbers:
                await _comes_and_leaves(_Provider(client, token), number)

    await asyncio.gather(*(over_one_connection() for _ in range(CONNECTIONS)))


@dataclass(frozen=True, slots=True)
class _Provider:
    client: HttpClient
    token: str

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        text = b"" if body is None else json.dumps(body).encode()
        status, answer = await self.client.ask(request(method, f"/scim/v2{path}", headers, text))
        if status >= 300:
            raise click.ClickException(f"{method} {path} was answered {status}: {answer.decode()}")
        return answer


async def _comes_and_leaves(provider: _Provider, number: int) -> None:
    name = f"person-{number}@juniper.example"
    new = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
    person = json.loads(await provider.call("POST", "/Users", new))["id"]
    await provider.call("GET", f"/Users?filter=userName%20eq%20%22{name}%22")
    await provider.call("PATCH", f"/Users/{person}", _patch("title", "Engineer"))
    await provider.call("GET", f"/Users/{person}")
    await provider.call("PATCH", f"/Users/{person}", _patch("active", False))


def _patch(path: str, value: object) -> Mapping[str, Any]:
    operations = [{"op": "replace", "path": path, "value": value}]
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}


def held(up: psutil.Process) -> Sequence[tuple[str, float]]:
    """Megabytes of each process of ours, by the name of its part, and of the engines together."""
    processes: list[tuple[str, float]] = []
    engines = 0.0
    for process in family(up):
        size = _size(process) / MEGABYTE
        if "rollcall" in (name := process.name()) or "python" in name:
            processes.append((name if process != up else "rollcall up", size))
        else:
            engines += size
    return [*processes, ("PostgreSQL and Valkey", engines)]


def _show(when: str, sizes: Sequence[tuple[str, float]]) -> None:
    click.echo(f"{when}:")
    for name, size in sizes:
        click.echo(f"{size:7.0f} MB  {name}")
    click.echo(f"{sum(size for _, size in sizes):7.0f} MB  altogether\n")


def _size(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return getattr(memory, "pss", memory.rss)


if __name__ == "__main__":
    sys.exit(main())
