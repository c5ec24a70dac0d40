"""Slow stories of processes that are killed and servers that go away; collected only when they are asked for.

``make faults`` runs them, and prints at the end what they came to.
"""

from collections.abc import Generator
from pathlib import Path

import pytest

from asked_for import left_out
from faults.departures import REPORT, Figures
from faults.installation import Installation, installed
from faults.receivers import Receivers

_COLUMNS = (
    f"{'story':<52} {'left':>5} {'again':>5} {'let in':>6} {'calls':>6} {'taken':>6} {'repeats':>7}"
    f" {'answer':>7} {'p99':>6} {'told':>6} {'receipt':>7}"
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it, or something in it, was named."""
    return left_out(Path(__file__).parent, config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A story waits for many people, and for what comes after processes were killed."""
    item.add_marker(pytest.mark.bound(900))


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures."""
    if not REPORT:
        return
    terminalreporter.section("what the stories came to (seconds: slowest SCIM answer; from it until told; receipt)")
    terminalreporter.write_line(_COLUMNS)
    for each in REPORT:
        terminalreporter.write_line(_line(each))


def _line(each: Figures) -> str:
    return (
        f"{each.story:<52} {each.departures:>5} {each.tried_again:>5} {each.accepted:>6} {each.calls:>6}"
        f" {each.taken:>6} {each.repeats:>7} {each.slowest_answer:>7.2f} {each.told_p99:>6.2f}"
        f" {each.slowest_told:>6.2f} {each.slowest_receipt:>7.2f}"
    )


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    """An installation that all stories share, one after the other."""
    with installed(tmp_path_factory.mktemp("faults")) as installation:
        yield installation


@pytest.fixture
def receivers() -> Generator[Receivers]:
    """A place where receivers listen until the story ends."""
    receivers = Receivers()
    yield receivers
    receivers.close()
