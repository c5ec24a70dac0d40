"""Installing anew, as somebody does who has just cloned this; collected only when it is asked for (``make fresh``)."""

from pathlib import Path

import pytest

from asked_for import left_out


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    return left_out(Path(__file__).parent, config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Everything is downloaded and installed."""
    item.add_marker(pytest.mark.bound(1200))
