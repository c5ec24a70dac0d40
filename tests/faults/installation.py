"""An installation whose processes a test may stop, kill and start one by one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import httpx
from pydantic import SecretStr
from redis import Redis

from faults.ways_in import DOMAIN
from journeys.conftest import client, eventually
from rollcall import tables
from rollcall.cli.credentials import issue_missing
from rollcall.cli.embedded import DATABASE, Engines, prepare, running
from rollcall.crypto import new_secret_key
from rollcall.engines.processes import free_port, spawn
from rollcall.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "tenants.example.toml"

LEASE_SECONDS = 3.0
CALL_SECONDS = 2.0
CLAIM_SECONDS = LEASE_SECONDS + CALL_SECONDS + 1
"""How long a delivery stays with a worker that was killed."""

RELAY, SETTLING, DELIVERY = "relay", "settling", "delivery"

PARTS: dict[str, tuple[str, ...]] = {
    RELAY: ("relay",),
    SETTLING: ("worker",),
    DELIVERY: ("worker", "--queues", "delivery,delivery-slow"),
}
"""The parts beside the web processes, each by the command that runs it."""


class Sql:
    """A connection to PostgreSQL that row-level security does not bind, for plain functions."""

    def __init__(self, url: str) -> None:
        driver: Any = asyncpg
        self._loop = asyncio.new_event_loop()
        try:
            self._connection: Any = self._loop.run_until_complete(driver.connect(url))
        except BaseException:
            self._loop.close()
            raise

    def execute(self, query: str, *arguments: object) -> None:
        """Run a statement."""
        self._loop.run_until_complete(self._connection.execute(query, *arguments))

    def executemany(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each of *rows*, in one transaction."""
        self._loop.run_until_complete(self._connection.executemany(query, rows))

    def fetch(self, query: str, *arguments: object) -> Sequence[Any]:
        """The rows of an answer."""
        return self._loop.run_until_complete(self._connection.fetch(query, *arguments))

    def fetchval(self, query: str, *arguments: object) -> Any:
        """The first column of the first row."""
        return self._loop.run_until_complete(self._connection.fetchval(query, *arguments))

    def close(self) -> None:
        """Close it; whatever it had locked is free again."""
        self._connection.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@dataclass
class Installation:
    """Engines, two web processes, and the parts that tell the outside."""

    engines: Engines
    folder: Path
    base_url: str
    environment: dict[str, str]
    operator: httpx.Client
    application_key: str
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])

    def start(self, name: str, *, like: str | None = None) -> None:
        """Start a part; with *like* it is one more of that kind."""
        self.run(name, *PARTS[like or name])

    def run(self, name: str, *arguments: str) -> None:
        """Start ``rollcall ARGUMENTS`` as *name*."""
        with (self.folder / f"{name}.log").open("ab") as output:
            self.running[name] = spawn(
                [sys.executable, "-m", "rollcall", *arguments],
                folder=self.folder,
                account=None,
                output=output,
                when_orphaned=signal.SIGTERM,
                environment=self.environment,
            )

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Send a signal to parts and all they have forked."""
        for name in names:
            os.killpg(self.running[name].pid, number)

    def kill(self, *names: str) -> None:
        """End parts, and all they have forked, in the middle of whatever they do."""
        self.signal(signal.SIGKILL, *names)
        for name in names:
            self.running.pop(name).wait(10)

    def stop(self, *names: str) -> None:
        """Ask parts to end, and wait until they have."""
        for name in names:
            self.running[name].terminate()
        for name in names:
            try:
                self.running[name].wait(20)
            except subprocess.TimeoutExpired:
                self.kill(name)
            else:
                del self.running[name]

    @contextmanager
    def sql(self) -> Generator[Sql]:
        """A connection that row-level security does not bind."""
        connection = Sql(self.engines.postgres.superuser_url.removesuffix("/postgres") + f"/{DATABASE}")
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def broker(self) -> Generator[Any]:
        """The broker, asked directly."""
        with cast("Any", Redis).from_url(self.engines.valkey.url) as broker:
            yield broker


@contextmanager
def installed(folder: Path) -> Generator[Installation]:
    """Run an installation in *folder*; its leases are short, so that what a killed process had is soon due again."""
    with running(folder / "engines", durable=False) as (postgres, valkey):
        engines = asyncio.run(prepare(postgres, valkey))
        port = free_port(None)
        base_url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")},
            **engines.environment,
            "ROLLCALL_SECRET_KEYS": new_secret_key(),
            "ROLLCALL_PUBLIC_URL": base_url,
            "ROLLCALL_ALLOW_PRIVATE_DESTINATIONS": "true",
            "ROLLCALL_PASSKEY_RP_ID": DOMAIN,
            "ROLLCALL_PASSKEY_ORIGINS": f'["https://{DOMAIN}"]',
            "ROLLCALL_OUTBOX_LEASE_SECONDS": str(LEASE_SECONDS),
            "ROLLCALL_OUTBOX_POLL_SECONDS": "0.1",
            "ROLLCALL_DELIVERY_TIMEOUT_SECONDS": str(CALL_SECONDS),
        }
        settings = Settings(
            database_url=SecretStr(engines.database_url),
            migration_database_url=SecretStr(engines.migration_database_url),
            redis_url=SecretStr(engines.valkey.url),
            secret_keys=(SecretStr(environment["ROLLCALL_SECRET_KEYS"]),),
        )
        asyncio.run(tables.migrate(settings))
        keys = asyncio.run(issue_missing(settings, folder / "credentials.json", EXAMPLE, say=lambda _: None))
        with client(base_url, keys.operator_key) as operator:
            installation = Installation(engines, folder, base_url, environment, operator, keys.application_key)
            try:
                installation.run("web", "serve", "--port", str(port), "--workers", "2")
                for name in PARTS:
                    installation.start(name)
                eventually(lambda: _answers(installation), within=60)
                yield installation
            finally:
                installation.stop(*installation.running)


def _answers(installation: Installation) -> bool:
    web = installation.running["web"]
    assert web.poll() is None, (installation.folder / "web.log").read_text()
    try:
        return installation.operator.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False
