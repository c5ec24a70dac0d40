"""Engines to test, ended after each test, and an account of few rights to be."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollcall.engines import Postgres, Valkey
from rollcall.engines.engine import Engine
from rollcall.engines.processes import Account


@pytest.fixture
def postgres() -> Generator[Callable[[Path], Postgres]]:
    """Makes a fast PostgreSQL for a data directory; not started."""
    with ExitStack() as after:

        def make(data_dir: Path) -> Postgres:
            engine = Postgres(data_dir, durable=False)
            after.callback(engine.stop)
            return engine

        yield make


@pytest.fixture
def valkey() -> Generator[Callable[[Path], Valkey]]:
    """Makes a Valkey for a data directory; not started."""
    with ExitStack() as after:

        def make(data_dir: Path) -> Valkey:
            engine = Valkey(data_dir)
            after.callback(engine.stop)
            return engine

        yield make


@pytest.fixture(params=["postgres", "valkey"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """One of each, in a directory with a space in its name; not started."""
    make: Callable[[Path], Engine] = request.getfixturevalue(request.param)
    return make(tmp_path / "data dir")


@pytest.fixture
def nobody() -> Account:
    """The account without rights, for a root who can become it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


@pytest.fixture
def open_folder() -> Generator[Path]:
    """A folder that every account can enter; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def python_for(nobody: Account) -> str:
    """A Python that the account without rights can run."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            version = subprocess.run(
                [candidate, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
                user=nobody.uid,
                group=nobody.gid,
                extra_groups=[],
                cwd="/",
                check=False,
            )
        except OSError:
            continue
        if version.returncode == 0:
            return candidate
    pytest.skip("the account nobody can reach no Python of 3.11 or newer")
