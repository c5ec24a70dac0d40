"""Stories in a real browser; collected only when they are asked for, as ``make browser`` does."""

from collections.abc import Generator
from pathlib import Path

import pytest

from asked_for import left_out
from browser.chromium import Tab, browsing, chromium
from browser.served import Served, served

NO_MAIL_SERVER = "smtp://127.0.0.1:9"
"""Pages are as where mail is sent; nothing listens there."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    return left_out(Path(__file__).parent, config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A browser takes longer to start than anything else."""
    item.add_marker(pytest.mark.bound(300))


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """An installation that all stories share."""
    with served(tmp_path_factory.mktemp("browser"), ROLLCALL_SMTP_URL=NO_MAIL_SERVER) as installation:
        yield installation


@pytest.fixture
def tab() -> Generator[Tab]:
    """A page in a new browser."""
    program = chromium()
    assert program is not None, "these stories need Chromium; on Debian and Ubuntu: apt-get install chromium"
    with browsing(program) as tab:
        yield tab
