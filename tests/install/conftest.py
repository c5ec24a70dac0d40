"""Installing anew, as somebody does who has just cloned this; collected only when it is asked for (``make fresh``)."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    here = Path(__file__).parent
    named = [Path(str(argument).partition("::")[0]).absolute() for argument in config.args]
    return None if any(each == here or here in each.parents for each in named) else True


def pytest_itemcollected(item: pytest.Item) -> None:
    """Everything is downloaded and installed."""
    item.add_marker(pytest.mark.bound(1200))
