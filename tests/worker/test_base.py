"""Every task has its transaction, an end to its time, and figures that say what became of it: in a real worker."""

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from factories import Callers, a_tenant
from journeys.conftest import eventually
from rollcall.broker import DELIVERY, HOUSEKEEPING, REVOCATION
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.engines.processes import free_port
from rollcall.settings import Settings
from rollcall.worker.app import make_celery

pytestmark = pytest.mark.slow

NOTED = "SELECT max(deactivated_because) FROM accounts WHERE tenant_id = $1::text::uuid"


@dataclass(frozen=True)
class Working:
    """A worker that runs."""

    celery: Any
    queue: str
    figures_at: str
    output: Path
    process: "subprocess.Popen[bytes]"

    def send(self, task: str, *arguments: object) -> None:
        """Have it do something."""
        self.celery.send_task(task, args=list(arguments), queue=self.queue)

    def figures(self, task: str) -> Mapping[str, float]:
        """What became of the task of this name so far, and how often it was begun."""
        try:
            text = httpx.get(f"http://{self.figures_at}/metrics").text
        except httpx.TransportError:  # it has not begun
            return {}
        ended = re.findall(rf'^rollcall_tasks_total{{outcome="(\w+)",task="{task}"}} (\S+)$', text, re.MULTILINE)
        begun = re.findall(rf'^rollcall_tasks_(started)_total{{task="{task}"}} (\S+)$', text, re.MULTILINE)
        return {name: float(number) for name, number in (*ended, *begun)}

    def until(self, task: str, **figures: float) -> None:
        """Wait until the figures of a task are these."""
        eventually(lambda: self.figures(task) == figures, within=60)


@contextmanager
def a_worker(engines: Engines, settings: Settings, folder: Path, queue: str) -> Generator[Working]:
    """A worker of this file's own, in a broker's database of its own, that ends with the block."""
    redis_url = f"{engines.valkey.url.rpartition('/')[0]}/9"
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    ours = engines.environment | {
        "ROLLCALL_SECRET_KEYS": settings.secret_keys[0].get_secret_value(),
        "ROLLCALL_REDIS_URL": redis_url,
    }
    address = f"127.0.0.1:{free_port(None)}"
    script = str(Path(__file__).with_name("a_worker.py"))
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, script, "worker", "--queues", queue, "--concurrency", "1", "--metrics", address],
            env=surroundings | ours,
            stdout=log,
            stderr=log,
        )
    celery = make_celery(settings.model_copy(update={"redis_url": type(settings.redis_url)(redis_url)}))
    try:
        yield Working(celery, queue, address, folder / "worker.log", process)
    finally:
        celery.close()
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def working(engines: Engines, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Generator[Working]:
    """A worker of processes."""
    with a_worker(engines, settings, tmp_path_factory.mktemp("worker"), HOUSEKEEPING) as working:
        yield working


async def test_completed(working: Working, callers: Callers, owner: Connection) -> None:
    """What a task did in its transaction stands, and it counts as begun and completed."""
    tenant = await a_tenant(callers)
    working.send("try.note", tenant.id, "Done")
    working.until("try.note", started=1, completed=1)
    assert await owner.fetchval(NOTED, tenant.id) == "Done"


def test_retried(working: Working) -> None:
    """A task that says it could not do everything now has not failed; the log says that it is tried again."""
    working.send("try.again")
    working.until("try.again", started=1, retried=1)
    assert "the moon is away" in working.output.read_text()


def test_failed(working: Working) -> None:
    """What a task raises counts as failed and is logged, also where it looks like the end of its time."""
    working.send("try.broken")
    working.until("try.broken", started=1, failed=1)
    said = working.output.read_text()
    assert "broken for good" in said
    assert "try.broken was ended" not in said


@pytest.mark.parametrize("queue", [REVOCATION, DELIVERY])
async def test_its_time_is_over(
    engines: Engines, settings: Settings, callers: Callers, owner: Connection, tmp_path: Path, queue: str
) -> None:
    """In processes and in threads a task that takes too long is cancelled and undone, and the next one runs."""
    tenant = await a_tenant(callers)
    with a_worker(engines, settings, tmp_path, queue) as working:
        working.send("try.note", tenant.id, "Too late", 600)
        working.until("try.note", started=1, failed=1)
        assert await owner.fetchval(NOTED, tenant.id) is None
        (said,) = [line for line in working.output.read_text().splitlines() if "try.note was ended after 1 s" in line]
        assert "TookTooLong" in said
        assert "Unpickleable" not in said
        working.send("try.note", tenant.id, "In time")
        working.until("try.note", started=2, failed=1, completed=1)
        assert await owner.fetchval(NOTED, tenant.id) == "In time"


async def test_a_process_that_hears_nothing(working: Working, callers: Callers, owner: Connection) -> None:
    """A task that keeps its process from hearing anything is killed with it and counted; another process goes on."""
    before = working.figures("try.note")
    working.send("try.deaf")
    working.until("try.deaf", started=1, failed=1)
    tenant = await a_tenant(callers)
    working.send("try.note", tenant.id, "After that")
    done = before["completed"] + 1
    eventually(lambda: working.figures("try.note")["completed"] == done)
    assert await owner.fetchval(NOTED, tenant.id) == "After that"
