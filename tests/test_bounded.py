"""No test waits for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

WAITS = """
import asyncio, threading
import pytest, pytest_asyncio
from hypothesis import given, strategies

bound = pytest.mark.bound(1)

def test_quick():
    pass

async def nobody_answers():
    await asyncio.Event().wait()

@bound
async def test_a_task():
    await nobody_answers()

async def test_after_a_task():
    pass

@bound
async def test_polling():
    while True:
        await asyncio.sleep(0.001)

@bound
async def test_stubborn():
    while True:
        try:
            await nobody_answers()
        except asyncio.CancelledError:
            pass

@bound
def test_a_thread():
    threading.Event().wait()

@bound
@given(strategies.integers())
def test_examples(number):
    threading.Event().wait()

@pytest.fixture
def never_ready():
    threading.Event().wait()

@bound
def test_prepared(never_ready):
    pass

@pytest_asyncio.fixture(loop_scope="session")
async def never_open():
    await nobody_answers()
    yield

@bound
async def test_prepared_by_a_task(never_open):
    pass

@pytest.fixture
def never_clean():
    yield
    threading.Event().wait()

@bound
def test_cleaned_up(never_clean):
    pass

@pytest.mark.bound(30)
async def test_has_longer():
    await asyncio.sleep(1.5)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of tests most of which would never end."""
    folder = tmp_path_factory.mktemp("waits")
    (folder / "test_waits.py").write_text(WAITS)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_test_loop_scope = session\n")
    # Ending takes no time where nothing else goes on.
    (folder / "conftest.py").write_text("import bounded\nbounded.AGAIN_SECONDS = 0.5\n")
    command = [sys.executable, "-m", "pytest", "-p", "bounded", "-p", "no:cacheprovider", "-rA", "test_waits.py"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.stdout


@pytest.mark.parametrize("name", ["test_a_task", "test_polling", "test_stubborn", "test_a_thread", "test_examples"])
def test_what_never_ends_fails(output: str, name: str) -> None:
    """A test that waits for what never comes fails after its bound, whatever waits, and the next one runs."""
    assert f"FAILED test_waits.py::{name}" in output
    assert f"after 1 s test_waits.py::{name} was still running, and waited here:" in output


def test_it_says_what_was_waited_for(output: str) -> None:
    """The failure names the line that waits, in whatever the test awaits."""
    _, _, told = output.partition("test_waits.py::test_a_task was still running")
    assert "in test_a_task" in told.partition("was still running")[0]
    assert "in nobody_answers" in told.partition("was still running")[0]
    _, _, told = output.partition("test_waits.py::test_prepared_by_a_task was still being prepared")
    assert "in never_open" in told.partition("was still")[0]
    assert "in nobody_answers" in told.partition("was still")[0]


def test_fixtures_are_bounded(output: str) -> None:
    """So are what is prepared for a test and what cleans up after it."""
    assert "ERROR test_waits.py::test_prepared" in output
    assert "test_prepared was still being prepared" in output
    assert "test_cleaned_up was still being cleaned up after" in output


@pytest.mark.parametrize("name", ["test_after_a_task", "test_has_longer", "test_quick"])
def test_the_others_pass(output: str, name: str) -> None:
    """What keeps to its bound passes, also after one that did not, and a marker makes it longer."""
    assert f"PASSED test_waits.py::{name}" in output
