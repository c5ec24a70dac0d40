"""Stories in a real browser; collected only when they are asked for, as ``make browser`` does."""

from collections.abc import Generator
from pathlib import Path

import pytest

from browser.chromium import Tab, browsing, chromium
from browser.served import Served, served


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    here = Path(__file__).parent
    named = [Path(str(argument).partition("::")[0]).absolute() for argument in config.args]
    return None if any(each == here or here in each.parents for each in named) else True


def pytest_itemcollected(item: pytest.Item) -> None:
    """A browser takes longer to start than anything else."""
    item.add_marker(pytest.mark.bound(300))


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """An installation that all stories share."""
    with served(tmp_path_factory.mktemp("browser")) as installation:
        yield installation


@pytest.fixture
def tab() -> Generator[Tab]:
    """A page in a new browser."""
    program = chromium()
    assert program is not None, "these stories need Chromium; on Debian and Ubuntu: apt-get install chromium"
    with browsing(program) as tab:
        yield tab
