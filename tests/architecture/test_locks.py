"""The lock files agree with each other, so that what holds for one holds for what the others install."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def entries(file: str) -> set[str]:
    """Each locked package with its version, marker and digests."""
    return set((PROJECT / file).read_text().replace(" \\\n", "").splitlines())


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-embedded.lock", "requirements-build.lock"])
def test_one_version_of_each_package(file: str) -> None:
    """What developers test with is what everybody installs: run `make lock` when it isn't."""
    assert entries(file) <= entries("requirements-dev.lock")
