"""``rollcall up`` with engines of its own, as a newcomer runs it: from a folder with a space in its name."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from journeys.conftest import called, client, eventually, rollcall_up, wait_for_ready_file
from rollcall.crypto import read_token
from rollcall.engines.processes import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the newcomer works; what one test leaves there the next one starts with."""
    return tmp_path_factory.mktemp("a new user")


def test_the_first_start(home: Path) -> None:
    """From nothing to a person refused, by pasting the lines of docs/try-it.md, and by ``rollcall try``, twice."""
    lines = (ROOT / "docs" / "try-it.md").read_text()
    block = re.search(r"<!-- a test runs these lines -->\n```sh\n(.*?)```", lines, re.DOTALL)
    assert block is not None
    with up(home) as (ready, _):
        pasted = pasting(home, block[1])
        answers = re.sub(r"}\s*{", "}\n{", pasted.strip()).splitlines()
        created, live, moved, left, dead = (json.loads(answer) for answer in answers)
        assert created["userName"] == "maria@juniper.example"
        assert (live["active"], live["role"]) == (True, "guest")
        assert moved["roles"] == [{"value": "dart-members"}]
        assert left["active"] is False
        assert dead == {"active": False}
        assert answers[-1] == '{"active":false}'
        said = (home / ".rollcall.out").read_text()
        for told in (
            "Starting PostgreSQL and Valkey",
            "tenants.example.toml is applied",
            "Starting web, relay, worker",
        ):
            assert told in said
        for name in ("web", "relay", "worker", "delivery"):
            assert re.search(rf"^  {name} answers after [\d.]+ s$", said, re.MULTILINE)
        shown = re.search(r"curl -s -H .*", said)
        assert shown is not None
        assert json.loads(pasting(home, shown[0]))["totalResults"] >= 1
        assert ready["tenants"]["juniper"]["plan"] == "business"
        tells_the_story(home, "reactivates her")
        change_everything(ready)


def tells_the_story(home: Path, beginning: str) -> None:
    """``rollcall try``, as the README and the start have it."""
    assert "$ .venv/bin/rollcall try\n" in (ROOT / "README.md").read_text()
    command = re.search(r"^  (\S*rollcall try.*)$", (home / ".rollcall.out").read_text(), re.MULTILINE)
    assert command is not None
    story = pasting(Path.cwd(), command[1])  # where the product was started
    assert beginning in story
    parts = ["opens a session", '"active": true', "moves to another", "She leaves", '{"active": false}', "closed_at"]
    place = 0
    for part in parts:
        place = story.find(part, place)
        assert place >= 0, (part, story)
    kept = json.loads((home / ".rollcall" / "credentials.json").read_text())
    for secret in (kept["operator_key"], kept["application_key"], "rc_ses_"):
        assert secret not in story


def change_everything(ready: dict[str, Any]) -> None:
    """A customer who came otherwise, another plan, and a tenant whose token is revoked and that has twenty others."""
    with client(ready["base_url"], ready["operator_key"]) as operator:
        terms = {"slug": "own", "name": "Own", "plan": "business"}
        assert operator.post("/v1/tenants", json=terms).status_code == 201
        assert operator.patch("/v1/tenants/kettle", json={"plan": "enterprise"}).status_code == 200
        tokens = "/v1/tenants/juniper/tokens"
        token = read_token(ready["tenants"]["juniper"]["scim_token"])
        assert token is not None
        assert operator.post(f"{tokens}/{token.id}/revoke").is_success
        for number in range(20):
            made = operator.post(tokens, json={"label": f"token {number}", "owner": None, "scopes": ["scim"]})
            assert made.status_code == 201, made.text


@pytest.mark.slow
def test_a_second_start_leaves_what_was_changed(home: Path) -> None:
    """Tenants, plans and tokens are as they were; nobody gets a token but who came with the file, if there is room."""
    kept = json.loads((home / ".rollcall" / "credentials.json").read_text())
    with up(home) as (ready, process):
        assert ready["operator_key"] == kept["operator_key"]
        assert ready["tenants"].keys() == kept["tenants"].keys()
        assert ready["tenants"]["harbour"] == kept["tenants"]["harbour"]
        for name in ("credentials.json", "try.sh", "try.json", "ops.sh", "secret.key"):
            assert (home / ".rollcall" / name).stat().st_mode & 0o077 == 0
        assert (home / "ready.json").stat().st_mode & 0o077 == 0
        said = (home / ".rollcall.out").read_text()
        assert "tenants.example.toml is left alone; --apply applies it." in said
        assert "! no token for trying was issued for juniper: The tenant has 20 live tokens already" in said
        assert "Traceback" not in said
        assert ready["tenants"]["juniper"]["scim_token"] == ""
        with client(ready["base_url"], ready["operator_key"]) as operator:
            assert operator.get("/v1/tenants/kettle").json()["plan"] == "enterprise"
            assert operator.get("/v1/tenants/own").status_code == 200
        kettle = ready["tenants"]["kettle"]["scim_token"]
        assert httpx.get(f"{ready['scim_url']}/Users", headers=bearer(kettle)).status_code == 200
        free = httpx.get(f"{ready['scim_url']}/Users", headers=bearer(free_tenant(ready)))
        assert free.status_code == 403
        assert httpx.get(ready["console_url"], follow_redirects=True).status_code == 200
        assert httpx.get(f"{ready['base_url']}/v1/docs").status_code == 200

        second = subprocess.run(command(home), cwd=home, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"pid {process.pid}" in second.stderr

        valkey = next(each for each in children(process) if "valkey" in each.name())
        valkey.kill()
        ready_url = f"{ready['base_url']}/health/ready"
        eventually(lambda: httpx.get(ready_url).json()["checks"]["broker"] == "ok" and not valkey.is_running())
    assert not (home / "ready.json").exists()


@pytest.mark.slow
def test_a_crash_blocks_nothing(home: Path) -> None:
    """After a SIGKILL nothing of it runs on, and the next start works; with --apply, the file's word counts again."""
    with rollcall_up(home / ".rollcall", *options(home)) as process:
        wait_for_ready_file(process, home / "ready.json", home / ".rollcall.out")
        started = children(process)
        assert len(started) > 5
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(started, timeout=20)
        assert not alive
    with up(home, "--apply") as (ready, _):
        assert httpx.get(f"{ready['base_url']}/health/ready").json()["status"] == "ready"
        with client(ready["base_url"], ready["operator_key"]) as operator:
            assert operator.get("/v1/tenants/kettle").json()["plan"] == "business"


@pytest.mark.slow
def test_what_is_killed_comes_back(home: Path) -> None:
    """A part by itself; and all of them, when the process goes that they were forked from. Nothing runs twice.

    What does not end by itself is ended, and what was changed since the file was applied is left as it is.
    """
    with up(home, "--apply") as (ready, process):
        ready_url = f"{ready['base_url']}/health/ready"
        (relay,) = called("relay", children(process))
        relay.kill()
        eventually(lambda: [each for each in called("relay", children(process)) if each.pid != relay.pid], within=100)
        (parent,) = called("parent", children(process))
        forked = parent.children(recursive=True)
        with client(ready["base_url"], ready["operator_key"]) as operator:
            assert operator.patch("/v1/tenants/kettle", json={"plan": "enterprise"}).status_code == 200
        called("delivery", forked)[0].suspend()
        parent.kill()
        _, alive = psutil.wait_procs(forked, timeout=120)
        assert not alive
        said = home / ".rollcall.out"
        eventually(lambda: said.read_text().count("Rollcall is running.") == 2, within=150)
        assert "relay ended with code -9; starting it again in 1 s" in said.read_text()
        assert "was ended by SIGKILL; starting all of them again in 1 s." in said.read_text()
        assert "Traceback" not in said.read_text()
        assert httpx.get(ready_url).json()["status"] == "ready"
        with client(ready["base_url"], ready["operator_key"]) as operator:
            assert operator.get("/v1/tenants/kettle").json()["plan"] == "enterprise"
        assert [len(called(part, children(process))) for part in ("parent", "web", "delivery", "relay")] == [1, 2, 1, 1]


def test_to_begin_anew_takes_a_yes(home: Path) -> None:
    """Without a terminal to ask at nothing is deleted, and the error says what would be and how to say yes."""
    tried = subprocess.run(
        [*command(home), "--port", str(free_port(None)), "--fresh"],
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert tried.returncode == 1
    assert "the database with all plans, tenants, people and audit (" in tried.stdout
    assert "credentials.json" in tried.stdout
    assert tried.stderr.strip() == "Nothing was deleted. Add --yes to delete it without being asked."
    assert (home / ".rollcall" / "postgres" / "PG_VERSION").exists()


@pytest.mark.slow
def test_beginning_anew_for_everybody(home: Path) -> None:
    """With --yes it is as if there had been no start before; on all addresses, one that others can use is printed."""
    before = json.loads((home / ".rollcall" / "credentials.json").read_text())
    (home / ".rollcall" / "notes.txt").write_text("somebody's own")
    with up(home, "--fresh", "--yes", "--host", "0.0.0.0") as (ready, _):
        assert ready["operator_key"] != before["operator_key"]
        address = urlsplit(str(ready["base_url"]))
        assert address.hostname not in (None, "0.0.0.0")
        assert ready["local_url"] == f"http://127.0.0.1:{address.port}"
        for base in (ready["base_url"], ready["local_url"]):
            key = bearer(ready["operator_key"])
            assert {each["slug"] for each in listed(httpx.get(f"{base}/v1/tenants", headers=key))} == set(
                ready["tenants"]
            )
        assert "own" not in ready["tenants"]
        assert "0.0.0.0:" not in (home / ".rollcall.out").read_text().rpartition("Rollcall is running.")[2]
        tells_the_story(home, "Nobody has that name, so it creates her.")
    assert (home / ".rollcall" / "notes.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Starting PostgreSQL", "Bringing the database", "Starting web, relay, worker"])
def test_stopped_while_starting(home: Path, moment: str) -> None:
    """Ctrl-C at any moment of a start ends it and all it had started, without a traceback."""
    output = home / "stopped.out"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command(home), "--port", str(free_port(None))],
            stdout=file,
            stderr=file,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        eventually(lambda: moment in output.read_text(), within=60)
        started = children(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(10)
    said = output.read_text()
    assert said.endswith("Stopped.\n")
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_nothing_to_try(tmp_path: Path) -> None:
    """Without a product that runs, ``rollcall try`` says how to start one."""
    tried = trying(tmp_path / "nowhere")
    assert tried.returncode == 1
    assert "start 'rollcall up' (or 'make up') in another terminal" in tried.stderr
    stopped = {"local_url": f"http://127.0.0.1:{free_port(None)}", "operator_key": "o", "application_key": "a"}
    tenants = {"juniper": {"plan": "business", "scim_token": "t", "admin": ""}}
    (tmp_path / "try.json").write_text(json.dumps(stopped | {"tenants": tenants}))
    tried = trying(tmp_path)
    assert tried.returncode == 1
    assert f"Nothing answers at {stopped['local_url']}" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    """Is named, with what to do about it."""
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(full)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root, and not in every container, can make a small disk")
    try:
        tried = subprocess.run(
            [sys.executable, "-m", "rollcall", "up", "--data-dir", str(full), "--port", str(free_port(None))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        subprocess.run(["umount", "-l", full], check=True)
    assert tried.returncode == 1
    assert "No space left on device" in tried.stderr or f"The disk that holds {full} is full." in tried.stderr
    assert "Traceback" not in tried.stderr


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


@pytest.mark.slow
def test_half_of_the_addresses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own servers are used when all of them are named; the error says which are missing."""
    monkeypatch.setenv("ROLLCALL_REDIS_URL", "redis://127.0.0.1:1/0")
    tried = subprocess.run(command(home), capture_output=True, text=True, timeout=60, check=False)
    assert tried.returncode == 1
    assert "ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL" in tried.stderr


@contextmanager
def up(home: Path, *more: str) -> Generator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """A running product; Ctrl-C at the end, after which nothing of it is left."""
    (home / "ready.json").unlink(missing_ok=True)  # a crash may have left it
    (home / ".rollcall.out").unlink(missing_ok=True)
    with rollcall_up(home / ".rollcall", *options(home), *more) as process:
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


def pasting(home: Path, lines: str) -> str:
    """What a shell prints that is given these lines."""
    done = subprocess.run(["sh", "-eu", "-c", lines], cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trying(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """``rollcall try`` with this data directory."""
    command = [sys.executable, "-m", "rollcall", "try", "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def listed(answer: httpx.Response) -> list[dict[str, Any]]:
    """The list of an answer, bare or in an envelope."""
    body: Any = answer.json()
    parts = cast("list[Any]", [body] if isinstance(body, list) else list(body.values()))
    return next(cast("list[dict[str, Any]]", part) for part in parts if isinstance(part, list))


def bearer(token: str) -> dict[str, str]:
    """The header that presents a token."""
    return {"Authorization": f"Bearer {token}"}


def free_tenant(ready: dict[str, Any]) -> str:
    """The token of the tenant whose plan has no SCIM."""
    return next(access["scim_token"] for access in ready["tenants"].values() if access["plan"] == "free")
