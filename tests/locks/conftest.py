"""Pairs of calls that meet each other for some seconds each; collected only when they are asked for: ``make locks``."""

from pathlib import Path

import pytest

from asked_for import left_out


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    return left_out(Path(__file__).parent, config)
