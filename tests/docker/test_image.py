"""The Dockerfile: what it copies is there, what it installs is locked, and what it runs is a command of ours."""

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from dockerfile_parse import DockerfileParser  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from docker.commands import parse
from docker.composed import FOLDER, ROOT


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The instructions in order."""
    parser: Any = DockerfileParser(path=str(FOLDER / "Dockerfile"))
    return [(each["instruction"], each["value"]) for each in parser.structure if each["instruction"] != "COMMENT"]


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    """The paths that are copied from the repository."""
    copies = [value.split() for name, value in instructions if name == "COPY"]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps *path* out of the build: the last line that matches decides."""
    above = [path, *map(str, Path(path).parents)][:-1] or [path]
    outcome = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").replace("**/", "*")
        if line and not line.startswith("#") and any(fnmatch.fnmatchcase(each, pattern) for each in above):
            outcome = not line.startswith("!")
    return outcome


def test_what_is_copied_is_there(instructions: list[tuple[str, str]]) -> None:
    """Every path that is copied exists and is part of the build's context."""
    paths = copied(instructions)
    assert {"requirements.lock", "src", "migrations", "pyproject.toml"} <= {*paths}
    for path in paths:
        assert (ROOT / path).exists(), path
        assert not ignored(path), path
    assert not ignored("src/rollcall/app.py")


def test_nothing_private_is_copied() -> None:
    """No secret, no working data and no history gets into a build."""
    for path in (".git/config", ".venv/bin/python", ".rollcall/credentials.json", "docker/secrets/secret_keys", ".env"):
        assert ignored(path), path
    assert ignored("src/rollcall/__pycache__/app.cpython-313.pyc")


def test_one_argument_names_the_base(instructions: list[tuple[str, str]]) -> None:
    """Both stages stand on the one image that an argument names, which a release pins by digest as the docs say."""
    arguments = [value for name, value in instructions if name == "ARG"]
    assert len(arguments) == 1
    assert arguments[0].startswith("PYTHON_IMAGE=python:3.")
    bases = [value.split()[0] for name, value in instructions if name == "FROM"]
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    said = (ROOT / "docs" / "docker.md").read_text()
    assert f"imagetools inspect {arguments[0].removeprefix('PYTHON_IMAGE=')}" in said
    assert "--build-arg PYTHON_IMAGE=" in said


def test_everything_is_locked(instructions: list[tuple[str, str]]) -> None:
    """pip installs what a lock file names with its hash, or the wheel just built, and resolves nothing."""
    runs = " && ".join(value for name, value in instructions if name == "RUN")
    installs = [each for each in re.split(r"&&|;", runs) if "pip install" in each]
    assert len(installs) == 3
    for install in installs:
        assert "--no-deps" in install
        assert ("--require-hashes" in install) or ("--no-index" in install), install
    assert "pip check" in runs


def test_runs_as_nobody_special(instructions: list[tuple[str, str]]) -> None:
    """The image's processes are no root, and own no file of the image."""
    last_stage = instructions[max(at for at, (name, _) in enumerate(instructions) if name == "FROM") :]
    assert [value for name, value in last_stage if name == "USER"] == ["10001:10001"]
    assert not any("--chown" in value for name, value in last_stage if name == "COPY")


def test_runs_without_a_shell(instructions: list[tuple[str, str]]) -> None:
    """Entry point, command and health check are lists of words, and commands that exist."""
    said = dict(instructions)
    entry, command = orjson.loads(said["ENTRYPOINT"]), orjson.loads(said["CMD"])
    check = orjson.loads(said["HEALTHCHECK"].partition(" CMD ")[2])
    for words in ([*entry, *command], check):
        assert words[0] == "rollcall"
        parse(words[1:])


def test_the_wheel_needs_only_what_is_copied(instructions: list[tuple[str, str]], tmp_path: Path) -> None:
    """What the Dockerfile copies is enough to build the wheel, which has the migrations and the example in it."""
    for path in copied(instructions):
        source, target = ROOT / path, tmp_path / path
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    build = next(value for name, value in instructions if name == "RUN" and "hatchling build" in value)
    words = build.partition("hatchling build ")[2].partition(" &&")[0].split()
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    wheel = next((tmp_path / "dist").glob("rollcall-*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "rollcall/tenants.example.toml" in names
    assert "rollcall/migrations/env.py" in names
