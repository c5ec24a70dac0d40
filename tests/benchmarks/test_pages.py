"""The benchmark of the console's pages in small: every page opens, in few statements; how fast is for the large one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.pages import addresses
from benchmarks.pages.__main__ import LIVE_STATEMENTS

MOST_STATEMENTS = 20
"""Statements that any page may need."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a run with few people finds."""
    figures = tmp_path_factory.mktemp("pages") / "figures.json"
    options = "--people 2000 --entries 20000 --tenants 150 --times 2 --no-goal"
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.pages", *options.split(), "--json", str(figures)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(figures.read_text())["pages"]


@pytest.mark.slow
@pytest.mark.bound(300)
def test_every_page_opens(found: list[dict[str, Any]]) -> None:
    """Each page of the console that has an address was answered, in a time that is known."""
    assert [each["page"] for each in found] == [each.name for each in addresses.pages()]
    for each in found:
        assert each["median"] > 0
        assert each["p99"] >= each["median"]


@pytest.mark.slow
@pytest.mark.bound(300)
def test_pages_need_few_statements(found: list[dict[str, Any]]) -> None:
    """No page asks once for each of its rows; what pages ask for every few seconds is one look, and who it is for."""
    many = {each["page"]: each["statements"] for each in found if each["statements"] > MOST_STATEMENTS}
    assert not many
    live = {each["page"]: each["statements"] for each in found if each["page"].startswith(tuple(addresses.LIVE))}
    assert live
    assert max(live.values()) <= LIVE_STATEMENTS, live


@pytest.mark.slow
def test_a_page_that_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new page of the console is missed until it is added."""
    fewer = {name: forms for name, forms in addresses.ADMINS.items() if name != "console_people"}
    monkeypatch.setattr(addresses, "ADMINS", fewer)
    with pytest.raises(addresses.PageForgotten, match="console_people"):
        addresses.pages()
