"""The benchmark of large changes in small: each ends as it should, with the worker killed too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.bound(400)
def test_every_change_ends_in_the_roles_it_should() -> None:
    """Everybody has the role that rule and groups say once a change has ended, with its worker killed as well."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.large_changes", "--people", "3000", "--longest", "120"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=380,
        env={**os.environ, "ROLLCALL_OUTBOX_LEASE_SECONDS": "10"},  # what the killed worker held is taken up then
        check=False,
    )

    assert process.returncode == 0, process.stdout + process.stderr
    assert "the worker is killed" in process.stdout
