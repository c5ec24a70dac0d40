"""The collector in processes that stay: frozen is what was there, and what comes after is collected."""

import subprocess
import sys

PATIENCE = 60


def said(program: str) -> str:
    """What a Python of its own prints: freezing can't be taken back in this one without the others' noticing."""
    lines = (
        "import gc, os, weakref\nfrom rollcall import garbage\nfrom rollcall.loading import loading\nclass Thing: ...\n"
        + program
    )
    ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return "\n".join(line for line in ended.stdout.splitlines() if "[debug" not in line)


def test_a_started_process_is_frozen() -> None:
    """All that was there is out of the collector's way, which comes more seldom."""
    program = "before = len(gc.get_objects()); garbage.started()\n"
    program += "print(gc.get_freeze_count() > before * 0.8, len(gc.get_objects()) < before / 10,"
    program += " gc.isenabled(), gc.get_threshold()[:2] == garbage.THRESHOLDS[:2])"
    assert said(program) == "True True True True"


def test_what_comes_after_is_collected() -> None:
    """Cycles that requests leave go, without anybody's asking."""
    program = """
garbage.started()
thing = Thing(); thing.itself = thing; gone = weakref.ref(thing); del thing
kept = [[] for _ in range(garbage.THRESHOLDS[0] + 1000)]
print(gone() is None)
"""
    assert said(program) == "True"


def test_a_parent_is_frozen_when_it_forks_and_collects_afterwards() -> None:
    """The child finds all of its parent's objects frozen; both collect again."""
    program = """
garbage.before_fork()
assert not gc.isenabled()
if (child := os.fork()) == 0:
    shared = gc.get_freeze_count()
    mine = [Thing() for _ in range(1000)]
    garbage.started()
    print(shared > 5000, gc.get_freeze_count() >= shared + 1000, gc.isenabled(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(gc.isenabled(), gc.get_threshold()[0])
"""
    assert said(program).splitlines() == ["True True True", "True 50000"]


def test_nothing_is_collected_while_modules_load() -> None:
    """And afterwards it is, whatever became of the import."""
    program = """
try:
    with loading():
        inside = gc.isenabled()
        raise ImportError
except ImportError:
    print(inside, gc.isenabled())
"""
    assert said(program) == "False True"
