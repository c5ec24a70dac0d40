"""What both engines promise: how they start, stop, start again, and what a crash leaves."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rollcall import engines
from rollcall.engines import EngineFailed, Postgres, Valkey
from rollcall.engines.engine import Engine
from rollcall.engines.leftovers import command_of
from rollcall.engines.processes import free_port

SOURCES = str(Path(engines.__file__).parents[2])

SUPERVISOR = """
import sys, time
from pathlib import Path
from rollcall.engines import Postgres, Valkey, lock

with lock(Path(sys.argv[1])):
    started = Postgres(Path(sys.argv[1]), durable=False), Valkey(Path(sys.argv[1]))
    for engine in started:
        engine.start()
    print(*(engine.process.pid for engine in started), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
    for engine in started:
        engine.stop()
"""


def listener(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def came_true(holds: Callable[[], bool], *, within: float = 60) -> bool:
    deadline = time.monotonic() + within
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_second_start_keeps_port_and_password(engine: Engine) -> None:
    """An address that was handed out is good after a stop and a start too, by the same object or another."""
    engine.start()
    address = engine.port, engine.password
    engine.restart()
    assert (engine.port, engine.password) == address
    engine.stop()
    again = type(engine)(engine.data_dir)
    with again:
        assert (again.port, again.password) == address


def test_starting_and_stopping_twice(engine: Engine) -> None:
    """A start while it runs and a stop while it does not change nothing."""
    engine.stop()
    engine.start()
    pid = engine.process.pid
    engine.start()
    assert engine.process.pid == pid
    engine.stop()
    engine.stop()
    assert not engine.running
    assert engine.process.returncode == 0


def test_a_taken_port_is_replaced(engine: Engine) -> None:
    """When someone else listens on the port of before, another one is used."""
    engine.start()
    before = engine.port
    engine.stop()
    with listener(before):
        engine.start()
    assert engine.running
    assert engine.port != before


def test_a_port_taken_at_the_last_moment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that someone takes between our choice and the engine's use of it is given up for another."""
    ports = [free_port(None), free_port(None)]
    choices = iter(ports)

    def choose(preferred: int | None) -> int:
        return next(choices)

    monkeypatch.setattr("rollcall.engines.engine.free_port", choose)
    with listener(ports[0]):
        engine.start()
    assert engine.port == ports[1]


def test_an_engine_that_was_killed(engine: Engine) -> None:
    """Its death is noticed and told with the end of its log, and it can be started again at once."""
    engine.start()
    engine.check()
    engine.process.kill()
    engine.process.wait()
    with pytest.raises(EngineFailed, match=r"has ended \(status -9\)(?s:.+)\| (?s:.+)ROLLCALL_REDIS_URL"):
        engine.check()
    engine.start()
    engine.check()


def test_a_halted_engine_is_stopped(engine: Engine) -> None:
    """An engine that was halted by a signal still ends in good order."""
    engine.start()
    engine.process.send_signal(signal.SIGSTOP)
    engine.stop()
    assert engine.process.returncode == 0


def test_what_an_earlier_start_left_is_ended(engine: Engine) -> None:
    """A server that still runs in the directory is stopped before another is started there."""
    engine.start()
    with type(engine)(engine.data_dir) as successor:
        assert engine.process.wait(5) == 0
        successor.check()


def test_the_thread_that_starts_may_end(engine: Engine) -> None:
    """An engine started from a thread lives on when that thread has ended."""
    thread = threading.Thread(target=engine.start)
    thread.start()
    thread.join()
    time.sleep(0.3)
    engine.check()


def test_secrets_are_for_the_owner(engine: Engine) -> None:
    """The password is in a file only the owner can read, and in no log and on no command line."""
    engine.start()
    [kept] = engine.data_dir.glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert engine.data_dir.stat().st_mode & 0o777 == 0o700
    assert engine.password not in command_of(engine.process.pid)
    assert engine.password not in engine.log.path.read_text()


def test_the_log_of_the_start_before_is_kept(engine: Engine) -> None:
    """Each start has a log of its own, and the one before stays beside it."""
    engine.start()
    engine.restart()
    engine.stop()
    first, second = (
        path.read_text() for path in (engine.log.path.with_name(f"{engine.log.path.name}.1"), engine.log.path)
    )
    assert first
    assert second
    assert first != second


def test_a_link_in_place_of_the_folder(engine: Engine, tmp_path: Path) -> None:
    """An engine's folder that is a link is refused, and where it leads stays as it was."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    before = elsewhere.stat()
    engine.data_dir.mkdir()
    (engine.data_dir / engine.name).symlink_to(elsewhere)
    with pytest.raises(EngineFailed):
        engine.start()
    assert (elsewhere.stat().st_mode, elsewhere.stat().st_uid) == (before.st_mode, before.st_uid)


def test_not_started_yet(engine: Engine) -> None:
    """Before the first start there is no address to give, and the error says so."""
    with pytest.raises(EngineFailed, match="has not been started yet"):
        _ = engine.port


def test_both_end_with_a_killed_supervisor(
    tmp_path: Path, postgres: Callable[[Path], Postgres], valkey: Callable[[Path], Valkey]
) -> None:
    """A supervisor killed without warning leaves no process and no lock, and the next start succeeds."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, tmp_path, "wait"], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        assert [bool(command_of(pid)) for pid in pids] == [True, True]
        with (
            pytest.raises(EngineFailed, match=f"already running .pid {supervisor.pid}."),
            engines.lock(tmp_path),
        ):
            pass
        supervisor.kill()
    assert came_true(lambda: not any(command_of(pid) for pid in pids))
    with engines.lock(tmp_path), postgres(tmp_path) as database, valkey(tmp_path) as queue:
        database.check()
        queue.check()


@pytest.mark.parametrize("account", ["ourselves", "nobody"])
def test_an_ordinary_user(account: str, open_folder: Path, request: pytest.FixtureRequest) -> None:
    """A user without rights and without a home can start both engines."""
    python, user = sys.executable, None
    if account == "nobody":
        python, user = request.getfixturevalue("python_for"), request.getfixturevalue("nobody").uid
        os.chown(open_folder, user, -1)
    wheels = str(Path(pytest.__file__).parents[1])
    ran = subprocess.run(
        [python, "-c", SUPERVISOR, open_folder / "data", "end"],
        env={"PYTHONPATH": f"{SOURCES}:{wheels}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        user=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == 2


def test_without_the_extra(tmp_path: Path) -> None:
    """Where the wheels are not installed, the error says what to install or what to set instead."""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", SUPERVISOR, tmp_path, "end"],
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "the embedded PostgreSQL is not installed" in ran.stderr
    assert "pip install 'rollcall[embedded]'" in ran.stderr
    for name in ("ROLLCALL_DATABASE_URL", "ROLLCALL_MIGRATION_DATABASE_URL", "ROLLCALL_REDIS_URL"):
        assert name in ran.stderr
