"""The one shape of lists: ``{"data": […], "next_cursor": …}``, a page at a time, and the cursors between them.

A cursor is the position where a page ended, sealed for the list and the filters it was given with: nobody can read one,
make one, or go on with it elsewhere. It does not expire, and is as good in any other process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl

import orjson
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from pydantic import BaseModel, Field

from rollcall.crypto import CannotOpen, Sealer
from rollcall.paging import MOST, USUAL, NoSuchCursor, Page

R = TypeVar("R")
V = TypeVar("V")

LONGEST_CURSOR = 2_000
"""Characters of a cursor; real ones have an eighth of that."""

_PURPOSE = "cursor of /v1"
"""Whatever else the keys of the installation seal, it is no cursor."""


class Listing(BaseModel, Generic[V]):
    """Some of a list; ``next_cursor`` continues after them."""

    data: list[V]
    next_cursor: str | None = Field(description="send it as `cursor` for what follows; null at the end")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """A list of `TokenView` is a ``TokenList``, in the OpenAPI document and so in clients that are generated."""
        return f"{params[0].__name__.removesuffix('View')}List"


@dataclass(frozen=True, slots=True)
class PartWanted:
    """Which part of a list a request wants."""

    limit: int
    cursor: str | None
    """Where it begins, as the domain says it."""
    seal: Callable[[str | None], str | None]

    def listing(self, page: Page[R], view: Callable[[R], V]) -> Listing[V]:
        """The answer: what *view* shows of each row, and where the next page begins."""
        return Listing(data=[view(row) for row in page.rows], next_cursor=self.seal(page.next_cursor))

    def listing_of_all(self, rows: Sequence[R], view: Callable[[R], V]) -> Listing[V]:
        """The same of a short list that is there as a whole; its cursors say how many rows came before."""
        begins = int(self.cursor or 0)
        ends = begins + self.limit
        return self.listing(Page(rows[begins:ends], str(ends) if ends < len(rows) else None), view)


Part = NamedDependency[PartWanted]
"""A handler's part of its list; with it the parameters ``limit`` and ``cursor``."""


async def part_wanted(
    request: Request[Any, Any, Any],
    limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = USUAL,
    cursor: Annotated[str | None, QueryParameter(max_length=LONGEST_CURSOR)] = None,
) -> PartWanted:
    """The part that a request asks for.

    Raises:
        NoSuchCursor: its cursor was given for another list, with other filters, or not by us.
    """
    sealer: Sealer = request.app.state.sealer
    of = _list_of(request)

    def seal(position: str | None) -> str | None:
        return None if position is None else sealer.seal(orjson.dumps([_PURPOSE, of, position]))

    return PartWanted(limit, None if cursor is None else _opened(sealer, cursor, of), seal)


def _opened(sealer: Sealer, cursor: str, of: str) -> str:
    try:
        purpose, given_for, position = orjson.loads(sealer.open(cursor))
    except (CannotOpen, ValueError, TypeError):
        raise NoSuchCursor from None
    if purpose != _PURPOSE:
        raise NoSuchCursor
    if given_for != of:
        raise NoSuchCursor("was given for another list or with other filters")
    return str(position)


def _list_of(request: Request[Any, Any, Any]) -> str:
    """What names a list: its address with everything in the query but the part that is wanted."""
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    filters = sorted((name, value) for name, value in query if name not in ("limit", "cursor"))
    return sha256(orjson.dumps([request.scope["path"], filters])).hexdigest()[:32]


LISTED = {"part": part_wanted}
"""What a handler that answers a list depends on."""
