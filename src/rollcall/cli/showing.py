"""What commands print: tables and facts for people, JSON for programs, and moments that either can read.

In a pipe a table is plain aligned text, whole however wide, without colour. Words are often other people's: a control
character in one is made visible, and drives nobody's terminal.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])
Row = Mapping[str, object]

_AS_WIDE_AS_IT_TAKES = 1_000_000
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def json_option(command: Command) -> Command:
    """Give a command ``--json``, which arrives as *as_json*."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def print_list(
    rows: Sequence[Row],
    data: Sequence[BaseModel | Row],
    *,
    as_json: bool,
    next_cursor: str | None = None,
    nothing: str = "none",
) -> None:
    """Print *rows* as a table, or *data* as the management API answers lists; say how to get what follows."""
    if as_json:
        print_json({"data": data, "next_cursor": next_cursor})
        return
    if rows:
        print_table(rows)
    else:
        click.echo(nothing)
    if next_cursor is not None:
        click.echo(f"More: add --cursor {next_cursor}", err=True)


def print_facts(facts: Row, data: BaseModel | Row, *, as_json: bool) -> None:
    """Print what there is to say of one thing, a line each; what is empty is left out."""
    if as_json:
        print_json(data)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(**_columns())
    for name, value in facts.items():
        if value not in (None, ""):
            table.add_row(Text(name, style="bold" if is_terminal() else ""), Text(cell(value)))
    _print(table)


def print_table(rows: Sequence[Row]) -> None:
    """Print rows as aligned columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if is_terminal() else "")
    for name in rows[0]:
        table.add_column(Text(name.upper()), **_columns())
    for row in rows:
        table.add_row(*(Text(cell(row[name])) for name in rows[0]))
    _print(table)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON; moments are RFC 3339 in UTC, to the second."""
    click.echo(json.dumps(value, default=_plain, indent=indent))


def cell(value: object) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case datetime():
            return moment(value)
        case bool():
            return "yes" if value else "no"
        case _:
            return visible(str(value))


def moment(at: datetime, *, now: datetime | None = None) -> str:
    """A moment: on a terminal how far away it is, elsewhere RFC 3339 in UTC."""
    return ago(at, now=now) if is_terminal() else rfc3339(at)


def rfc3339(at: datetime) -> str:
    """A moment as programs and logs say it: 2026-01-31T09:30:00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def ago(at: datetime, *, now: datetime | None = None) -> str:
    """A moment as people say it: 5 min ago, or in 3 h."""
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    away = abs(seconds)
    if away < 1:
        return "now"
    size, unit = next(each for each in _UNITS if away >= each[0])
    length = f"{int(away // size):,} {unit}"
    return f"{length} ago" if seconds > 0 else f"in {length}"


def visible(text: str) -> str:
    """*text* with what can't be printed written out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 token, 2 tokens."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def is_terminal() -> bool:
    """Whether somebody looks at what is printed."""
    return sys.stdout.isatty()


@contextmanager
def progress(what: str) -> Generator[Callable[[str, int, int | None], None]]:
    """While something long is done: a bar on the terminal, elsewhere a line for each step, both on standard error.

    The function it gives takes the step in words, how much is done, and of how much if that is known.
    """
    if not sys.stderr.isatty():
        yield lambda said, _done, _total: click.echo(said, err=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, no_color=_colourless()), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda _said, done, total: bar.update(task, completed=done, total=total)


def _columns() -> dict[str, Any]:
    return {"overflow": "fold"} if is_terminal() else {"no_wrap": True, "overflow": "ignore"}


def _print(table: Table) -> None:
    terminal = is_terminal()
    console = Console(
        force_terminal=terminal,
        no_color=_colourless(),
        width=None if terminal else _AS_WIDE_AS_IT_TAKES,
        highlight=False,
        soft_wrap=False,
    )
    if terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _colourless() -> bool:
    return bool(os.environ.get("NO_COLOR")) or not is_terminal()


def _plain(value: object) -> object:
    """What JSON has no form for, in one that it has."""
    match value:
        case BaseModel():
            return value.model_dump()
        case datetime():
            return rfc3339(value)
        case date():
            return value.isoformat()
        case set() | frozenset():
            return sorted(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case _:
            return str(value)
