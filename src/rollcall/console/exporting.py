"""Exports: a list as a file, sent while it is read, a page of a thousand rows at a time and one file a session.

Nothing of the list is held but the rows that are being sent, and no connection while somebody takes them.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from secrets import token_hex
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall.errors import Conflict
from rollcall.paging import Page
from rollcall.work import Work

log = structlog.get_logger(__name__)

AT_ONCE = 1_000
"""Rows that one statement reads."""

FIRST = 100
"""Rows that the first one reads: whoever asked sees soon that the file comes."""

MOST_ROWS = 100_000
"""Rows of a file, at most."""

KEPT_SECONDS = 60
"""How long an export counts as under way after its last sign of life."""

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

Opened = Callable[[], AbstractAsyncContextManager[Work]]
Read = Callable[[Work, str | None, int], Any]
"""Reads a `Page` of rows, each by the names of its columns: after a cursor, so many at most."""

_UNSEEN = (
    r" \x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
"""White and invisible characters, which some spreadsheets pass over, but for those that begin another cell."""

_RISKY = re.compile(rf"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=[{_UNSEEN}]*[=+\-@＝＋－＠])")  # noqa: RUF001  # these are taken as well
"""Where a spreadsheet may begin a formula: at the beginning, and where one with another separator begins a cell."""


_ending: set[asyncio.Task[None]] = set()
"""What still says that an export is over; the loop itself keeps no hold of its tasks."""


class ExportRunning(Conflict):
    """A session's export is not over, so that it begins no other one."""

    code = "export_running"
    advice = "Wait until the file that is being downloaded is there, or cancel it; then ask for the next one."

    def __init__(self) -> None:
        super().__init__(
            "You are downloading a file already. Wait until it is there, or cancel it, and ask again a minute later."
        )


class Turn:
    """That one session's export is under way. It is known to all processes by Redis; while that is away to none."""

    def __init__(self, redis: Redis, session_id: object) -> None:
        self._redis = redis
        self._key = f"rollcall:export:{session_id}"
        self._mine = token_hex(8)

    async def begin(self) -> None:
        """Take the session's turn.

        Raises:
            ExportRunning: another one has it.
        """
        try:
            taken = await self._redis.set(self._key, self._mine, nx=True, ex=KEPT_SECONDS)
        except (RedisError, OSError) as error:
            log.warning("exports are not counted: Redis is away", error=str(error))
            return
        if not taken:
            raise ExportRunning

    async def during(self, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Pass a file on, piece by piece, and end the turn with it."""
        try:
            async for piece in pieces:
                yield piece
                await self._say("expire", KEPT_SECONDS)
        finally:
            ended = asyncio.create_task(self._say("delete"))  # also where nobody takes the file any more
            _ending.add(ended)
            ended.add_done_callback(_ending.discard)
            await pieces.aclose()
            await asyncio.shield(ended)

    async def _say(self, what: str, *arguments: int) -> None:
        try:
            if await self._redis.get(self._key) == self._mine.encode():
                await getattr(self._redis, what)(self._key, *arguments)
        except (RedisError, OSError):
            return  # it ends by itself within a minute


async def file(opened: Opened, read: Read, columns: Sequence[str], form: str) -> AsyncGenerator[bytes]:
    """The rows of a list as a file of this format, `MOST_ROWS` at most.

    Raises:
        KeyEnded, ForAdmins: as *opened* says; the file breaks off.
    """
    written = _csv if form == "csv" else _json_lines
    if form == "csv":
        yield "\ufeff".encode() + _line(columns)  # spreadsheets take a file without the mark for one in an old encoding
    left, cursor, more = MOST_ROWS, None, True
    while more and left:
        async with opened() as work:
            page: Page[Mapping[str, Any]] = await read(work, cursor, min(AT_ONCE, left if cursor else min(FIRST, left)))
        left -= len(page.rows)
        cursor, more = page.next_cursor, page.next_cursor is not None
        if page.rows:
            yield written(page.rows, columns)


def _json_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    return b"".join(orjson.dumps({name: row[name] for name in columns}, default=str, option=option) for row in rows)


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    return b"".join(_line([row[name] for name in columns]) for row in rows)


def _line(cells: Sequence[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerow([cell(each) for each in cells])
    return out.getvalue().encode(errors="replace")


def cell(value: object) -> str:
    """A value in a spreadsheet. A text that one would take for a formula is marked by an apostrophe as text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            said = " ".join(str(each) for each in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case _:
            said = str(value)
    return _RISKY.sub("'", said)
