"""What a registry offers tomorrow changes nothing of what gets installed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
NEWER = "9999.0"
OUR_OWN = {"rollcall", "pip", "setuptools"}
"""In the environment without being locked: ourselves, and what Python puts into a new one."""


def locked(*files: str) -> Iterator[Requirement]:
    """What lock files say."""
    for file in files:
        for line in (PROJECT / file).read_text().splitlines():
            if line and not line.startswith((" ", "#")):
                yield Requirement(line.partition("\\")[0])


def here(*files: str) -> dict[str, str]:
    """Version by name of what lock files have installed on this machine."""
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in locked(*files)
        if each.marker is None or each.marker.evaluate()
    }


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip finds newer versions of everything, with nothing in them."""
    folder = tmp_path_factory.mktemp("offered")
    names = {each.name for file in PROJECT.glob("requirements*.lock") for each in locked(file.name)} | OUR_OWN
    for name in names:
        file_name = canonicalize_name(name).replace("-", "_")
        about = f"{file_name}-{NEWER}.dist-info"
        with ZipFile(folder / f"{file_name}-{NEWER}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    return folder


def run(*command: str | Path, folder: Path) -> str:
    """What a command says that finds what is in *folder* besides what it finds anyway."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VIRTUAL_ENV"))}
    places = f"{ours.get('PIP_FIND_LINKS', '')} {folder.as_uri()}".strip()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=PROJECT,
        env={**ours, "PIP_FIND_LINKS": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def installed(environment: Path, folder: Path) -> dict[str, str]:
    """Version by name of what is in an environment, ours and Python's own left out."""
    listed = json.loads(run(environment / "bin" / "python", "-m", "pip", "list", "--format=json", folder=folder))
    return {name: each["version"] for each in listed if (name := canonicalize_name(each["name"])) not in OUR_OWN}


@pytest.mark.parametrize(
    ("target", "files"),
    [
        ("embedded", ("requirements-embedded.lock", "requirements-build.lock")),
        ("dev", ("requirements-dev.lock",)),
    ],
)
def test_what_is_locked_is_installed(target: str, files: tuple[str, ...], offered: Path, tmp_path: Path) -> None:
    """`make up` and `make test` install what is locked, all of it and nothing else, whatever is newer."""
    environment = tmp_path / "environment"
    python = Path(sys.executable).resolve()

    run("make", target, f"VENV={environment}", f"PYTHON={python}", folder=offered)

    assert installed(environment, offered) == here(*files)
    assert run(environment / "bin" / "rollcall", "--help", folder=offered)


def test_newer_versions_are_there_to_be_found(offered: Path, tmp_path: Path) -> None:
    """What pip is free to choose, it takes from that folder: so the other tests prove something."""
    environment = tmp_path / "environment"
    run(Path(sys.executable).resolve(), "-m", "venv", environment, folder=offered)

    run(environment / "bin" / "python", "-m", "pip", "install", "-q", "pydantic", "hatchling", "uv", folder=offered)

    assert installed(environment, offered) == {"pydantic": NEWER, "hatchling": NEWER, "uv": NEWER}
