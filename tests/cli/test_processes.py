"""The processes of an installation: they wait alike, own their port, die with their parent, and log one form."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from cli.processes import PATIENCE, Running, rollcall
from journeys.conftest import eventually
from rollcall import broker, garbage, orphans, revisions, tables
from rollcall.cli.embedded import prepare
from rollcall.crypto import new_secret_key
from rollcall.engines import Postgres, Valkey
from rollcall.engines.processes import free_port
from rollcall.settings import read_settings

pytestmark = pytest.mark.slow

AWAY = "the database is away; waiting for it"
BEHIND = "the database is not migrated; waiting for it"
THERE = "the database is there"

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "serve": ("serve",),
    "relay": ("relay",),
    "worker": ("worker",),
    "delivery": ("worker", "--queues", "delivery,delivery-slow"),
    "beat": ("beat",),
}
AT_WORK = {"serve": "serving", "relay": "relaying", "beat": "beat: Starting..."}
"""What a process says when it has begun; workers say it with their name."""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Generator[Postgres]:
    """A PostgreSQL of this file's own; running, with both roles and an empty database."""
    with Postgres(tmp_path_factory.mktemp("postgres"), durable=False) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def environment(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """The settings that the commands are given."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        engines = asyncio.run(prepare(postgres, valkey))
        yield engines.environment | {"ROLLCALL_SECRET_KEYS": new_secret_key()}


@pytest.fixture
def migrated(postgres: Postgres, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings, of a database that is there and migrated."""
    postgres.start()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(tables.migrate(read_settings()))
    return environment


def arguments(name: str) -> tuple[str, ...]:
    """The command of that name; a web process gets a port of its own."""
    return (*COMMANDS[name], *(("--port", str(free_port(None))) if name == "serve" else ()))


def at_work(name: str, running: Running) -> bool:
    """Whether a process has begun what it is for."""
    if name in AT_WORK:
        return bool(running.said(AT_WORK[name]))
    return any(line["event"].endswith(" ready.") for line in running.lines())


def test_they_wait_for_the_database(
    postgres: Postgres, environment: dict[str, str], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """With the database away, then there but empty, each says so once and goes on as soon as it is migrated."""
    postgres.stop()
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(rollcall(tmp_path / f"{name}.log", environment, *arguments(name)))
            for name in COMMANDS
        }
        for each in running.values():
            line = each.wait_for(AWAY)
            assert line["level"] == "warning"
            assert line["remedy"] == "start PostgreSQL, or correct ROLLCALL_DATABASE_URL"
            assert line["error"]
        with rollcall(tmp_path / "migrate.log", environment, "migrate") as migrating:
            migrating.wait_for(AWAY)
            # Nobody has given up, and nobody repeats itself.
            assert [len(each.said(AWAY)) for each in running.values()] == [1] * len(running)
            os.kill(migrating.process.pid, signal.SIGSTOP)  # until the others have seen a database without tables
            postgres.start()
            for each in running.values():
                line = each.wait_for(BEHIND)
                assert (line["stands"], line["needs"]) == (None, revisions.newest())
                assert "rollcall migrate" in line["remedy"]
            os.kill(migrating.process.pid, signal.SIGCONT)
            assert migrating.process.wait(PATIENCE) == 0
            assert f"The database stands at {revisions.newest()}." in migrating.output.read_text()
        for name, each in running.items():
            with subtests.test(name):
                assert each.wait_for(THERE)["waited_seconds"] >= 0
                eventually(lambda: at_work(name, each), within=PATIENCE)  # noqa: B023  used in this turn only
                assert each.stop() == 0
                assert [len(each.said(event)) for event in (AWAY, BEHIND, THERE)] == [1, 1, 1]
                # One form for every line, from the first to the last: no banner, no warning, no farewell beside it.
                assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in each.lines())


@pytest.mark.parametrize(
    ("name", "number"), [("serve", signal.SIGTERM), ("relay", signal.SIGINT), ("migrate", signal.SIGTERM)]
)
def test_stopped_while_waiting(name: str, number: signal.Signals, environment: dict[str, str], tmp_path: Path) -> None:
    """Whoever is asked to end while it waits ends, with nothing wrong, and has told nobody the password."""
    nowhere = f"postgresql://nobody:secret-word@127.0.0.1:{free_port(None)}/none"
    addresses = {"ROLLCALL_DATABASE_URL": nowhere, "ROLLCALL_MIGRATION_DATABASE_URL": nowhere}
    command = ("migrate",) if name == "migrate" else arguments(name)
    with rollcall(tmp_path / "log", environment | addresses, *command) as waiting:
        waiting.wait_for(AWAY)
        assert waiting.stop(number) == 0
        assert waiting.said("stopped while waiting for the database")
        assert "secret-word" not in waiting.output.read_text()


def test_a_port_has_one_server(migrated: dict[str, str], tmp_path: Path) -> None:
    """A second server on the same port is refused, with the port and what to do; the first goes on."""
    port = free_port(None)
    with rollcall(tmp_path / "first.log", migrated, "serve", "--host", "localhost", "--port", str(port)) as first:
        serving = first.wait_for("serving")
        assert (serving["address"], serving["processes"]) == (f"http://localhost:{port}", 1)
        live = f"http://localhost:{port}/health/live"
        eventually(lambda: answers(live), within=PATIENCE)
        with rollcall(tmp_path / "second.log", migrated, "serve", "--host", "localhost", "--port", str(port)) as second:
            assert second.process.wait(PATIENCE) == 1
            refusal = f"Port {port} of localhost is taken by another process; end that, or choose another with --port."
            assert second.output.read_text().strip() == refusal
        assert answers(live)
        assert first.stop() == 0
        assert first.said("no longer serving")


def test_a_port_taken_by_somebody_else(environment: dict[str, str], tmp_path: Path) -> None:
    """It need not be one of ours, and need not be shared."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with rollcall(tmp_path / "log", environment, "serve", "--port", str(port)) as refused:
            assert refused.process.wait(PATIENCE) == 1
            assert f"Port {port} of 127.0.0.1 is taken" in refused.output.read_text()


def test_an_address_of_another_machine(environment: dict[str, str], tmp_path: Path) -> None:
    """Is refused in a sentence."""
    with rollcall(tmp_path / "log", environment, "serve", "--host", "192.0.2.1") as refused:
        assert refused.process.wait(PATIENCE) == 1
        assert refused.output.read_text().startswith("Can't listen on port 8000 of 192.0.2.1: ")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
@pytest.mark.parametrize("name", ["serve", "worker"])
def test_killed(name: str, migrated: dict[str, str], tmp_path: Path) -> None:
    """After `kill -9` of the first process none of the others goes on, and its place can be taken at once."""
    command = arguments(name)
    with rollcall(tmp_path / "log", migrated, *command, *(("--workers", "2") if name == "serve" else ())) as killed:
        if name == "serve":
            eventually(lambda: answers(f"http://127.0.0.1:{command[-1]}/health/live"), within=PATIENCE)
        eventually(lambda: at_work(name, killed) and len(killed.children()) == 2, within=PATIENCE)
        children = killed.children()
        killed.process.kill()
        killed.process.wait(PATIENCE)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
    with rollcall(tmp_path / "next.log", migrated, *command) as successor:
        eventually(lambda: at_work(name, successor), within=PATIENCE)


def test_an_orphan_ends_at_once() -> None:
    """A child whose parent was gone before it could ask for a signal ends by itself."""
    code = "import os; from rollcall import orphans; orphans.end_with(os.getppid() + 1); print('serves on')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells who holds what")
def test_who_holds_a_pipe_is_ended() -> None:
    """Even if it is not asked to, or can't act on it; who holds none of it goes on."""
    reading, writing = os.pipe()
    command = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with subprocess.Popen(command, pass_fds=[writing]) as holder, subprocess.Popen(command) as other:
        os.close(writing)
        try:
            holder.send_signal(signal.SIGSTOP)
            orphans.end_holders(reading)
            assert holder.wait(PATIENCE) == -signal.SIGKILL
            assert os.read(reading, 1) == b""
            assert other.poll() is None
        finally:
            os.close(reading)
            holder.kill()
            other.kill()


STOPPED_WHILE_FORKING = """
import os, signal, time
from contextlib import suppress
from functools import partial
from pathlib import Path
from rollcall.cli.children import Children
from rollcall.cli.interrupting import Stopped, signals_raise

os.register_at_fork(after_in_parent=partial(os.kill, os.getpid(), signal.SIGTERM))
with signals_raise(), suppress(Stopped), Children(Path()) as children:
    children.errand("errand", partial(time.sleep, 3600))
    print("nobody asked it to end")
print("ended")
"""


def test_stopped_while_it_forks() -> None:
    """Whoever is asked to end in the moment of a fork ends the child too, and waits for nobody."""
    command = [sys.executable, "-c", STOPPED_WHILE_FORKING]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr


def test_a_web_process_that_dies_in_an_outage(postgres: Postgres, migrated: dict[str, str], tmp_path: Path) -> None:
    """Is started again while the database is away, says that it can't serve, and serves when it is back."""
    port = free_port(None)
    ready = f"http://127.0.0.1:{port}/health/ready"
    with rollcall(tmp_path / "log", migrated, "serve", "--port", str(port)) as serving:
        eventually(lambda: answers(ready), within=PATIENCE)
        postgres.stop()
        (web,) = serving.children()
        web.kill()
        eventually(lambda: status(ready) == 503 and web.pid not in {each.pid for each in serving.children()}, within=60)
        postgres.start()
        eventually(lambda: answers(ready), within=PATIENCE)
        assert any("Unexpected exit" in line["event"] for line in serving.lines())
        assert serving.stop() == 0


def test_a_relay_without_its_broker(migrated: dict[str, str], tmp_path: Path) -> None:
    """Says so once and not with every look, and what to do."""
    nowhere = {"ROLLCALL_REDIS_URL": f"redis://127.0.0.1:{free_port(None)}/0", "ROLLCALL_OUTBOX_POLL_SECONDS": "0.05"}
    away = "the broker is away; what is due waits"
    with rollcall(tmp_path / "log", migrated | nowhere, "relay") as relaying:
        assert relaying.wait_for(away)["remedy"] == "start Redis or Valkey, or correct ROLLCALL_REDIS_URL"
        time.sleep(2)  # for which it looks some forty times
        assert len(relaying.said(away)) == 1
        assert relaying.stop() == 0


FROZEN = "start-up is frozen"


@pytest.mark.parametrize(
    ("name", "processes"), [("serve", 2), ("worker", 3), ("delivery", 1), ("relay", 1), ("beat", 1)]
)
def test_what_start_up_left_is_frozen(name: str, processes: int, migrated: dict[str, str], tmp_path: Path) -> None:
    """In each process of each command; those that were forked have their parent's, too."""
    command = (*arguments(name), *(("--workers", "2") if name == "serve" else ()))
    with rollcall(tmp_path / "log", migrated | {"ROLLCALL_LOG_LEVEL": "DEBUG"}, *command) as running:
        running.wait_for(FROZEN)
        eventually(lambda: len(running.said(FROZEN)) == processes, within=PATIENCE)
        for line in running.said(FROZEN):
            assert line["objects"] > 100_000
            assert line["thresholds"] == list(garbage.THRESHOLDS)
        eventually(lambda: at_work(name, running), within=PATIENCE)
        assert running.stop() == 0


def test_a_relay_with_beat(migrated: dict[str, str], tmp_path: Path) -> None:
    """Beat says in the same process that it lives, keeps its schedule, and ends with the relay."""
    schedule = tmp_path / "schedule"
    with (
        broker.connect_blocking(read_settings()) as redis,
        rollcall(tmp_path / "log", migrated, "relay", "--beat-schedule", str(schedule)) as relaying,
    ):
        redis.delete(broker.heartbeat(broker.BEAT))
        relaying.wait_for("relaying")
        relaying.wait_for("beat: Starting...")
        eventually(lambda: redis.exists(broker.heartbeat(broker.BEAT)), within=PATIENCE)
        assert len(relaying.children()) == 0
        assert relaying.stop() == 0
        assert list(tmp_path.glob("schedule*"))


def test_a_relay_whose_beat_fails(migrated: dict[str, str], tmp_path: Path) -> None:
    """Ends, so that whoever looks after it starts it again, and says why."""
    nowhere = tmp_path / "no such folder" / "schedule"
    with rollcall(tmp_path / "log", migrated, "relay", "--beat-schedule", str(nowhere)) as relaying:
        assert str(nowhere) in relaying.wait_for("beat has ended")["remedy"]
        assert relaying.process.wait(PATIENCE) == 0


def answers(url: str) -> bool:
    """Whether a server answers well."""
    return status(url) == 200


def status(url: str) -> int | None:
    """The status of an answer; None if there is none."""
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return None
