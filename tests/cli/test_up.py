"""``rollcall up`` with engines of its own, as a newcomer runs it: from a folder with a space in its name."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from journeys.conftest import eventually, rollcall_up, wait_for_ready_file
from rollcall.engines.processes import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the newcomer works; what one test leaves there the next one starts with."""
    return tmp_path_factory.mktemp("a new user")


def test_the_readme_runs(home: Path) -> None:
    """From nothing to a person created, given a role, deactivated and refused, by pasting the README's lines."""
    block = re.search(r"<!-- a test runs these lines -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    with up(home) as (ready, _):
        pasted = subprocess.run(
            ["sh", "-eu", "-c", block[1]], cwd=home, capture_output=True, text=True, timeout=60, check=True
        )
        answers = re.sub(r"}\s*{", "}\n{", pasted.stdout.strip()).splitlines()
        created, live, moved, left, dead = (json.loads(answer) for answer in answers)
        assert created["userName"] == "maria@juniper.example"
        assert (live["active"], live["role"]) == (True, "guest")
        assert moved["roles"] == [{"value": "dart-members"}]
        assert left["active"] is False
        assert dead == {"active": False}
        assert answers[-1] == '{"active":false}'
        shown = re.search(r"curl -s -H .*", (home / ".rollcall.out").read_text())
        assert shown is not None
        printed = subprocess.run(["sh", "-c", shown[0]], capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(printed.stdout)["totalResults"] >= 1
        assert ready["tenants"]["juniper"]["plan"] == "business"


def test_a_second_start_knows_everything(home: Path) -> None:
    """The same keys and tokens open the same data, and only their owner can read the files that hold them."""
    kept = json.loads((home / ".rollcall" / "credentials.json").read_text())
    with up(home) as (ready, process):
        assert ready["operator_key"] == kept["operator_key"]
        assert ready["tenants"] == kept["tenants"]
        for name in ("credentials.json", "try.sh", "ops.sh", "secret.key"):
            assert (home / ".rollcall" / name).stat().st_mode & 0o077 == 0
        assert (home / "ready.json").stat().st_mode & 0o077 == 0
        answer = httpx.get(f"{ready['scim_url']}/Users", headers=bearer(ready["tenants"]["juniper"]["scim_token"]))
        assert "maria@juniper.example" in answer.text
        free = httpx.get(f"{ready['scim_url']}/Users", headers=bearer(free_tenant(ready)))
        assert free.status_code == 403
        assert httpx.get(ready["console_url"]).status_code == 200
        assert httpx.get(f"{ready['base_url']}/v1/docs").status_code == 200

        second = subprocess.run(command(home), cwd=home, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"pid {process.pid}" in second.stderr

        valkey = next(each for each in children(process) if "valkey" in each.name())
        valkey.kill()
        ready_url = f"{ready['base_url']}/health/ready"
        eventually(lambda: httpx.get(ready_url).json()["checks"]["broker"] == "ok" and not valkey.is_running())
    assert not (home / "ready.json").exists()


def test_a_crash_blocks_nothing(home: Path) -> None:
    """After a SIGKILL nothing of it runs on, and the next start works."""
    with rollcall_up(home / ".rollcall", *options(home)) as process:
        wait_for_ready_file(process, home / "ready.json", home / ".rollcall.out")
        started = children(process)
        assert len(started) > 5
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(started, timeout=20)
        assert not alive
    with up(home) as (ready, _):
        assert httpx.get(f"{ready['base_url']}/health/ready").json()["status"] == "ready"


def test_a_port_that_is_taken(home: Path) -> None:
    """The error names the port and the option that chooses another one, and nothing is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tried = subprocess.run(
            [*command(home), "--port", str(port)], capture_output=True, text=True, timeout=60, check=False
        )
    assert tried.returncode == 1
    assert f"Port {port}" in tried.stderr
    assert "--port" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_half_of_the_addresses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own servers are used when all of them are named; the error says which are missing."""
    monkeypatch.setenv("ROLLCALL_REDIS_URL", "redis://127.0.0.1:1/0")
    tried = subprocess.run(command(home), capture_output=True, text=True, timeout=60, check=False)
    assert tried.returncode == 1
    assert "ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL" in tried.stderr


@contextmanager
def up(home: Path) -> Generator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """A running product; Ctrl-C at the end, after which nothing of it is left."""
    (home / "ready.json").unlink(missing_ok=True)  # a crash may have left it
    with rollcall_up(home / ".rollcall", *options(home)) as process:
        ready = wait_for_ready_file(process, home / "ready.json", home / ".rollcall.out")
        started = children(process)
        yield ready, process
    assert process.returncode == 0
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


def options(home: Path) -> tuple[str, ...]:
    """A port of its own and a ready file."""
    return ("--port", str(free_port(None)), "--ready-file", str(home / "ready.json"))


def command(home: Path) -> list[str]:
    """The command itself, for starts that fail."""
    return [sys.executable, "-m", "rollcall", "up", "--data-dir", str(home / ".rollcall")]


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Everything a process started, and what that started."""
    return psutil.Process(process.pid).children(recursive=True)


def bearer(token: str) -> dict[str, str]:
    """The header that presents a token."""
    return {"Authorization": f"Bearer {token}"}


def free_tenant(ready: dict[str, Any]) -> str:
    """The token of the tenant whose plan has no SCIM."""
    return next(access["scim_token"] for access in ready["tenants"].values() if access["plan"] == "free")
