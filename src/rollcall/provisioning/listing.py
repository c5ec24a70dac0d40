"""Lists: what a list request asks, read, answered a page at a time, by index or by cursor (RFC 9865)."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from rollcall.db import Row
from rollcall.provisioning import gate, lookups
from rollcall.provisioning.calls import refused, trace
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.gate import permitted
from rollcall.scim import documents
from rollcall.scim.cursors import Key, Position, open_cursor, seal
from rollcall.scim.errors import InvalidValue, SCIMException
from rollcall.scim.search import Search
from rollcall.search.queries import USUAL_RESULTS, Query, query_of

CURSOR_LIFE = timedelta(minutes=10)
"""How long a cursor is good for; ServiceProviderConfig announces it."""

SECONDS_A_PERMIT = 0.1
"""Seconds of the database's time that an unusual search may take for each permit; it may have to look at everybody."""

Read = Callable[[bool], Search]
"""Reads what a request asks for; with True, the values of its filter may lack their quotes."""

Render = Callable[[Row], bytes]
"""Renders one resource of a page."""


async def asked(call: Call, read: Read) -> tuple[Call, Search]:
    """What a list request asks for; a filter that can't be read as it is is read as the provider's profile has it.

    With it comes what is left of the call, which may have had to take its permit for that.

    Raises:
        SCIMException: the gate refuses, or the request can't be read; that has been written down.
    """
    try:
        return call, read(False)
    except SCIMException as refusal:
        admitted = await gate.ask(call, "read")
        if not admitted.profile.unquoted_filter_values:
            raise await refused(admitted, refusal) from refusal
        try:
            return permitted(call), read(True)
        except SCIMException as second:
            raise await refused(admitted, second) from second


async def listed(call: Call, wanted: Search, render: Render, *, members: bool = True) -> bytes:
    """The page that *wanted* asks for, as a ListResponse.

    Raises:
        SCIMException: the gate refuses, the cursor is not good, or the filter takes too long.
    """
    after = await _opened(call, wanted)
    query = query_of(wanted, after=after, members=members)
    admitted, rows = await _brought(call, query)
    await _note(admitted, wanted)
    page = lookups.page(query, rows)
    shown = [render(row) for row in page.rows]
    if not query.by_cursor:
        return documents.list_page(shown, total=page.total, start_index=query.start_index)
    return documents.list_page(shown, total=page.total, next_cursor=_sealed(call, wanted, page.next))


async def listed_together(call: Call, each: Sequence[tuple[Search, Render]], *, members: bool = True) -> bytes:
    """A page of several kinds of resources, one kind after the other (RFC 7644 §3.4.2.1).

    Raises:
        SCIMException: as for `listed`; pages by cursor are for one kind at a time.
    """
    first = each[0][0]
    if first.cursor is not None:
        refusal = InvalidValue(detail="cursor: ask one kind of resource at a time, as in /Users")
        raise await refused(await gate.ask(call, "read"), refusal)
    admitted: Admitted | None = None
    left = USUAL_RESULTS if first.count is None else min(first.count, lookups.MOST_RESULTS)
    shown: list[bytes] = []
    total = 0
    for wanted, render in each:
        start = max(1, first.start_index - total)
        query = query_of(wanted, members=members)
        query = Query(query.tree, start, left, query.kind, query.order, members=members)
        admitted, rows = await _brought(call if admitted is None else permitted(call), query)
        found = [render(row) for row in lookups.page(query, rows).rows]
        shown += found
        left -= len(found)
        total += rows[0]["total"]
    assert admitted is not None, "there is a kind of resource at least"
    await _note(admitted, *(wanted for wanted, _ in each))
    return documents.list_page(shown, total=total, start_index=first.start_index)


async def _brought(call: Call, query: Query) -> tuple[Admitted, Sequence[Row]]:
    """The rows of a page, brought for whoever has passed the gate."""
    rows = await lookups.rows(call, query)
    admitted = await gate.judge(call, rows[0])
    if not query.beyond_the_hot_paths:
        return admitted, rows
    await gate.charge(admitted, query.terms - 1)
    try:
        rows, seconds = await lookups.filtered(call, query)
    except SCIMException as refusal:
        await gate.charge(admitted, int(lookups.LONGEST_SEARCH / SECONDS_A_PERMIT))
        raise await refused(admitted, refusal) from refusal
    await gate.charge(admitted, int(seconds / SECONDS_A_PERMIT))
    return admitted, rows


async def _note(admitted: Admitted, *each: Search) -> None:
    """Leave the trace of a read, and count once what was unusual about the request."""
    try:
        deviations = tuple(dict.fromkeys(deviation for wanted in each for deviation in wanted.deviations))
        admitted.insist_on_standard(deviations)
        admitted.deviated(deviations)
    except SCIMException as refusal:
        raise await refused(admitted, refusal) from refusal
    trace(admitted, None)


async def _opened(call: Call, wanted: Search) -> tuple[Key, ...] | None:
    """The position that a cursor stands for. It is sealed with the token's digest, so only its token can use it."""
    if not wanted.cursor:
        return None
    token = call.token
    try:
        return open_cursor(
            token.digest, token.tenant_id, wanted.cursor, query=wanted.fingerprint, now=call.arrived
        ).after
    except SCIMException as refusal:
        raise await refused(await gate.ask(call, "read"), refusal) from refusal


def _sealed(call: Call, wanted: Search, after: tuple[Key, ...] | None) -> str | None:
    if after is None:
        return None
    token = call.token
    return seal(token.digest, token.tenant_id, Position(wanted.fingerprint, after), call.arrived + CURSOR_LIFE)
