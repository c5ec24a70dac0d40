"""The embedded PostgreSQL: its data, its password, and what an interrupted beginning leaves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from rollcall.engines import EngineFailed, Postgres, programs
from rollcall.engines.leftovers import command_of

HALTED_AT_THE_START = """
import sys
from pathlib import Path
from rollcall.engines import Postgres

Postgres(Path(sys.argv[1]), durable=False).start()
"""


def psql(url: str, statement: str) -> subprocess.CompletedProcess[str]:
    """Ask PostgreSQL by its own client."""
    return subprocess.run(
        [programs.postgres(None) / "psql", "-XAtqc", statement, url], capture_output=True, text=True, check=False
    )


def ask(server: Postgres, statement: str) -> str:
    """The answer to a statement, which has to succeed."""
    answer = psql(server.superuser_url, statement)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_data_outlives_a_restart(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """What was committed is there after a stop and a start, and after a kill and a start."""
    server = postgres(tmp_path)
    server.start()
    ask(server, "create table kept as select 42 as it")
    server.restart()
    assert ask(server, "select it from kept") == "42"
    server.process.kill()
    server.process.wait()
    server.start()
    assert ask(server, "select it from kept") == "42"


def test_two_side_by_side(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """Two data directories are two servers that know nothing of each other."""
    one, two = postgres(tmp_path / "one"), postgres(tmp_path / "two")
    one.start()
    two.start()
    assert one.port != two.port
    ask(one, "create table only_in_one ()")
    assert ask(one, "select to_regclass('only_in_one')") == "only_in_one"
    assert ask(two, "select to_regclass('only_in_one')") == ""
    strange = psql(one.superuser_url.replace(str(one.port), str(two.port)), "select 1")
    assert "password authentication failed" in strange.stderr


def test_how_it_is_set_up(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """It speaks UTF-8, sorts the same on every machine, keeps its passwords well and has no socket files."""
    server = postgres(tmp_path)
    server.start()
    expected = {
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
        "unix_socket_directories": "",
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "fsync": "off",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
    }
    assert {name: ask(server, f"show {name}") for name in expected} == expected
    assert ask(server, "select datlocprovider, datlocale from pg_database limit 1") == "b|C.UTF-8"
    assert ask(server, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'") == "0"


def test_a_name_and_password_that_need_quoting(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """Names and passwords with any character in them make a URL that works."""
    server = postgres(tmp_path)
    server.start()
    for statement in ("create role \"a/b@c\" login password 'x:y/z@ %'", 'create database "d?e f"'):
        ask(server, statement)
    answer = psql(server.url("a/b@c", "x:y/z@ %", "d?e f"), "select current_user, current_database()")
    assert answer.stdout == "a/b@c|d?e f\n"


def test_a_durable_one_waits_for_the_disk(tmp_path: Path) -> None:
    """Unless told otherwise, a commit is on the disk when it returns."""
    with Postgres(tmp_path) as server:
        assert ask(server, "show fsync") == "on"
        assert ask(server, "show full_page_writes") == "on"


def test_an_interrupted_beginning(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """A start killed while the cluster was being made stands in nobody's way, and its remains go."""
    with subprocess.Popen([sys.executable, "-c", HALTED_AT_THE_START, tmp_path]) as beginner:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("postgres.unfinished-*/base/1")):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        begun = psutil.Process(beginner.pid).children(recursive=True)
        beginner.kill()
    _, alive = psutil.wait_procs(begun, timeout=60)  # what it had begun ends with it, a moment later
    assert not alive
    assert list(tmp_path.glob("postgres.unfinished-*"))
    assert not (tmp_path / "postgres").exists()
    server = postgres(tmp_path)
    server.start()
    server.check()
    assert not list(tmp_path.glob("postgres.unfinished-*"))


def test_other_peoples_files_are_left_alone(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """A folder of that name that we have not made is neither used nor removed."""
    stranger = tmp_path / "postgres" / "thesis.txt"
    stranger.parent.mkdir(mode=0o700)
    stranger.write_text("years of work")
    with pytest.raises(EngineFailed, match="move"):
        postgres(tmp_path).start()
    assert stranger.read_text() == "years of work"


def test_a_lost_password(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """A cluster whose password is gone is refused with the name of the missing file, and kept."""
    server = postgres(tmp_path)
    server.start()
    server.stop()
    (tmp_path / "postgres.json").unlink()
    with pytest.raises(EngineFailed, match=r"postgres\.json"):
        postgres(tmp_path).start()
    assert (tmp_path / "postgres" / "PG_VERSION").exists()


def test_an_old_note_with_a_number_in_use(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """A crash's leftover note of a process number that another program now has does not block the start."""
    server = postgres(tmp_path)
    server.start()
    server.stop()
    owner = (tmp_path / "postgres").stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=owner) as other:
        (tmp_path / "postgres" / "postmaster.pid").write_text(f"{other.pid}\n/somewhere\n1\n5432\n\n127.0.0.1\n")
        server.start()
        server.check()
        assert other.poll() is None
        other.kill()


def test_orphans_of_a_killed_server(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """Server processes that outlive a killed main process are gone before the next one begins."""
    server = postgres(tmp_path)
    server.start()
    session = [programs.postgres(None) / "psql", "-XAtc", "select pg_backend_pid()", "-c", "select pg_sleep(60)"]
    with subprocess.Popen(
        [*session, server.superuser_url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdout is not None
        orphan = int(client.stdout.readline())
        os.kill(orphan, signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        assert command_of(orphan).startswith("postgres: rollcall-")
        try:
            server.start()
            assert command_of(orphan) == ""
            server.check()
        finally:
            client.kill()
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)


def test_a_damaged_cluster(tmp_path: Path, postgres: Callable[[Path], Postgres]) -> None:
    """A server that cannot start says so with its own last words."""
    server = postgres(tmp_path)
    server.start()
    server.stop()
    (tmp_path / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(EngineFailed, match="pg_control") as told:
        server.start()
    assert str(server.log.path) in told.value.what
