"""Lists, a page at a time: a page ends at a position, and the next one begins after it.

A position is what the last row of a page is sorted by (keyset paging), so nobody is shown twice or skipped because rows
come and go in between, and the thousandth page costs what the first one does.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from rollcall.errors import Invalid

USUAL: Final = 50
"""Rows of a page, if nothing else is asked for."""

MOST: Final = 500
"""Rows of a page, at most."""

R = TypeVar("R")
S = TypeVar("S")
SortKey = InstrumentedAttribute[Any] | ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list; *next_cursor* continues after them, and is None at the end."""

    rows: Sequence[R]
    next_cursor: str | None

    def of(self, shown: Callable[[R], S]) -> "Page[S]":
        """The same page of what *shown* makes of each row."""
        return Page([shown(row) for row in self.rows], self.next_cursor)


class NoSuchCursor(Invalid):
    """The cursor is none that a page of this list gave."""

    def __init__(self, because: str = "is none of this list's") -> None:
        super().__init__(
            f"cursor: {because}; send next_cursor of the page before, unchanged and with the same parameters, "
            "or begin again without one",
            param="cursor",
        )


async def page(
    db: AsyncSession,
    rows: Select[R],
    *by: SortKey,
    limit: int = USUAL,
    cursor: str | None = None,
    descending: bool = False,
) -> Page[R]:
    """A page of *rows*, which have one thing each, sorted by columns that together are unique.

    Raises:
        NoSuchCursor: *cursor* is no position in such a list.
    """
    found = await page_of_several(db, rows, *by, limit=limit, cursor=cursor, descending=descending)
    return found.of(lambda row: cast("R", row[0]))


async def page_of_several(
    db: AsyncSession,
    rows: Select[*tuple[Any, ...]],
    *by: SortKey,
    limit: int = USUAL,
    cursor: str | None = None,
    descending: bool = False,
) -> Page[tuple[Any, ...]]:
    """A page of *rows* that have several things each.

    Raises:
        NoSuchCursor: *cursor* is no position in such a list.
    """
    if cursor is not None:
        here, there = tuple_(*by), tuple_(*_position(cursor, by))
        rows = rows.where(here < there if descending else here > there)
    in_order = rows.order_by(*(column.desc() if descending else column.asc() for column in by))
    found = (await db.execute(in_order.add_columns(*by).limit(limit + 1))).all()
    shown = [tuple(row) for row in found[:limit]]
    more = len(found) > limit
    ends = _cursor(shown[-1][-len(by) :]) if more and shown else None
    return Page([row[: -len(by)] for row in shown], ends)


def _cursor(position: Sequence[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(list(position), default=str)).rstrip(b"=").decode()


def _position(cursor: str, by: Sequence[SortKey]) -> list[Any]:
    try:
        said: object = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise NoSuchCursor from None
    values = cast("list[object]", said) if isinstance(said, list) else []
    if len(values) != len(by):
        raise NoSuchCursor
    return [_value(value, column.type.python_type) for value, column in zip(values, by, strict=True)]


def _value(said: object, kind: type[Any]) -> Any:
    """A value of a position as the column it is compared with holds it."""
    read: dict[type[Any], Callable[[str], Any]] = {
        UUID: UUID,
        datetime: _moment,
        date: date.fromisoformat,
        str: str,
    }
    if not isinstance(said, str) or "\x00" in said:
        raise NoSuchCursor
    try:
        return read[kind](said)
    except (ValueError, OverflowError):
        raise NoSuchCursor from None


def _moment(said: str) -> datetime:
    return datetime.fromisoformat(said).astimezone(UTC)
