"""What commands print: whole in pipes, relative on terminals, and nobody's words drive the terminal."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.cli import showing

NOW = datetime(2026, 11, 29, 12, 0, 0, 999_999, tzinfo=UTC)


def test_tables_in_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    """A table in a pipe is aligned, whole however wide, without colour or trailing spaces; moments are RFC 3339."""
    long = "x" * 500
    rows = [
        {"id": 1, "label": long, "at": NOW, "no": None},
        {"id": 20, "label": "[red]é漢[/]\x1b[2J\n", "at": None, "no": 2},
    ]
    showing.print_list(rows, [], as_json=False)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "LABEL", "AT", "NO"]
    assert first.split() == ["1", long, "2026-11-29T12:00:00Z"]
    assert second.split() == ["20", "[red]é漢[/]\\x1b[2J\\n", "2"]
    assert first.index("2026") == head.index("AT")


def test_nothing_is_said_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list says none, and as JSON it is a list."""
    showing.print_list([], [], as_json=False)
    showing.print_list([], [], as_json=True)
    said, *rest = capsys.readouterr().out.splitlines()
    assert (said, json.loads("".join(rest))) == ("none", {"data": [], "next_cursor": None})


def test_json_has_one_form_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Moments in JSON are UTC to the second, wherever they came from."""
    there = datetime.fromisoformat("2026-11-29T13:00:00.5+01:00")
    showing.print_json({"at": NOW, "there": there, "day": NOW.date(), "set": {2, 1}})
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-11-29T12:00:00Z",
        "there": "2026-11-29T12:00:00Z",
        "day": "2026-11-29",
        "set": ["1", "2"],
    }


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (timedelta(milliseconds=-200), "now"),
        (timedelta(seconds=-59), "59 s ago"),
        (timedelta(minutes=-5, seconds=-59), "5 min ago"),
        (timedelta(hours=3), "in 3 h"),
        (timedelta(days=-400), "400 d ago"),
    ],
)
def test_relative(away: timedelta, said: str) -> None:
    """A moment is said in the largest unit that fits, rounded down."""
    assert showing.ago(NOW + away, now=NOW) == said
