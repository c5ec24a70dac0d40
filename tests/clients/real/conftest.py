"""Other people's provisioning clients against a running installation; collected only when asked (``make clients``)."""

from collections.abc import Generator
from pathlib import Path

import pytest

from asked_for import left_out
from clients.real.running import Product, running_product


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    return left_out(Path(__file__).parent, config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A client is downloaded and installed."""
    item.add_marker(pytest.mark.bound(600))


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    """An installation that all clients share, each with a tenant of its own."""
    with running_product(tmp_path_factory.mktemp("real-clients")) as product:
        yield product


@pytest.fixture(scope="session")
def installations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where clients are installed, each into an environment of its own."""
    return tmp_path_factory.mktemp("installed")
