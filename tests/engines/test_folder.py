"""The lock on a data directory, and the files that say how to get in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollcall.engines import AlreadyRunning, EngineFailed, lock
from rollcall.engines.folder import Access, recall, remember

HOLDER = """
import sys, time
from pathlib import Path
from rollcall.engines import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused(tmp_path: Path) -> None:
    """While one process holds the directory another is told at once who does."""
    with lock(tmp_path / "new"):
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}") as refused, lock(tmp_path / "new"):
            pass
        assert refused.value.pid == os.getpid()
    with lock(tmp_path / "new"):
        pass


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    """A holder that is killed leaves its number in the file and nothing in the way."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning), lock(tmp_path):
            pass
        holder.kill()
    assert (tmp_path / "lock").read_text() == f"{holder.pid}\n"
    with lock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    """A data directory that cannot be made is refused with its name."""
    (tmp_path / "file").touch()
    with pytest.raises(EngineFailed, match=f"{tmp_path}/file/data"), lock(tmp_path / "file" / "data"):
        pass


def test_access_is_remembered(tmp_path: Path) -> None:
    """What is remembered is recalled, by its owner only."""
    path = tmp_path / "engine.json"
    assert recall(path) is None
    access = Access.invented().at(1234)
    remember(path, access)
    assert recall(path) == access
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "[]", '{"port": 1}', "null"])
def test_a_file_that_is_not_ours(tmp_path: Path, content: str) -> None:
    """A file with something else in it is named, not guessed at."""
    path = tmp_path / "engine.json"
    path.write_text(content)
    with pytest.raises(EngineFailed, match=r"engine\.json"):
        recall(path)
