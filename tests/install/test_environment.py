"""`make` finds a Python that will do, or says what is missing, and never works in half an environment."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PYTHON = Path(sys.executable).resolve()


def make(environment: Path, python: Path | str, *, folder: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
    """Make an environment, as the Makefile does before anything else."""
    return subprocess.run(
        ["sh", str(PROJECT / "scripts" / "environment"), str(environment)],
        cwd=folder,
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def a_python(folder: Path, says: str) -> Path:
    """A program that answers like a Python that can't do everything."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\ncase "$2" in *{says}*) exit 1 ;; esac\nexec "{PYTHON}" "$@"\n')
    program.chmod(0o755)
    return program


def test_an_older_python_is_refused(tmp_path: Path) -> None:
    """Below the floor it says which Python is needed, and how to name one."""
    refused = make(tmp_path / "environment", a_python(tmp_path, "version_info"))

    assert refused.returncode == 1
    assert "Rollcall needs Python 3.11 or newer. Looked at:" in refused.stderr
    assert "make PYTHON=/path/to/python3.13" in refused.stderr
    assert not (tmp_path / "environment").exists()


def test_a_python_without_venv_is_refused(tmp_path: Path) -> None:
    """Debian's Python without its package for environments: it names the package."""
    refused = make(tmp_path / "environment", a_python(tmp_path, "ensurepip"))

    assert refused.returncode == 1
    assert "apt install python3-venv" in refused.stderr


def test_what_is_whole_is_kept_and_what_is_not_is_made_anew(tmp_path: Path) -> None:
    """An environment stays as it is until filling it was interrupted, or the working copy is another."""
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert make(environment, PYTHON).returncode == 0
    (environment / "kept").touch()
    assert make(environment, PYTHON).stdout == ""
    assert (environment / "kept").exists()

    for spoil, folder in ((environment / "unfinished", PROJECT), (environment / "kept", elsewhere)):
        spoil.touch()
        assert "making it anew" in make(environment, PYTHON, folder=folder).stdout
        assert not (environment / "kept").exists()
        assert (environment / "place").read_text().strip() == str(folder.resolve())
