"""Figures of several processes are added up, also of those that have ended, and cost little."""

import os
import re
import subprocess
import sys
import textwrap
import timeit
from pathlib import Path

from rollcall import metrics

COUNT = 'rollcall_calls_total{method="GET",outcome="answered",profile="",route="/"}'


def test_added_up() -> None:
    """What a forked process, a started one and this one have counted is one sum; one that was killed counts on."""
    script = """
        import os, signal, subprocess, sys
        from rollcall import metrics

        metrics.figures().call("GET", "/", 200, "", 0.1)  # before anything is shared
        with metrics.shared():
            metrics.figures().call("GET", "/", 200, "", 0.1)
            child = os.fork()
            if not child:
                metrics.figures().call("GET", "/", 200, "", 0.1)
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(child, 0)
            count = "from rollcall import metrics; metrics.figures().call('GET', '/', 200, '', 0.1)"
            subprocess.run([sys.executable, "-c", count], check=True)
            print(metrics.exposition().decode())
            print("folder", os.environ["PROMETHEUS_MULTIPROC_DIR"])
    """
    made = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"{COUNT} 3.0" in made.stdout, made.stdout
    folder = re.search(r"^folder (\S+)$", made.stdout, re.MULTILINE)
    assert folder is not None
    assert not Path(folder[1]).exists()


def test_alone() -> None:
    """A process that shares nothing says its own figures, and writes no file."""
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
    metrics.figures().call("GET", "/", 200, "", 0.1)
    assert COUNT in metrics.exposition().decode()


def test_uncounted() -> None:
    """What is done in a rehearsal counts nowhere, whatever it is; what comes after it does."""
    with metrics.uncounted():
        metrics.figures().refusals.labels("scim", "rehearsed").inc()
        metrics.figures().call("GET", "/rehearsed", 200, "", 0.1)
    metrics.figures().refusals.labels("scim", "real").inc()
    assert b"rehearsed" not in metrics.exposition()
    assert 'reason="real"' in metrics.exposition().decode()


def test_costs_little() -> None:
    """Entering a call takes a few microseconds: far less than the 2 % of a read that it is allowed."""
    figures = metrics.figures()
    figures.call("GET", "/cheap", 200, "default", 0.1)
    took = min(timeit.repeat(lambda: figures.call("GET", "/cheap", 200, "default", 0.1), number=1000, repeat=20)) / 1000
    assert took < 20e-6
