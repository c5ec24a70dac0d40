"""Questions about people and groups: whom a list request means, and a page of them.

The look-ups that providers make all day are single statements (``scim_find_user_name`` and others beside it); any other
question is compiled to SQL and asked behind the same gate, inside the tenant.
"""

import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from rollcall.db import DatabaseError, Row
from rollcall.provisioning import statements
from rollcall.provisioning.context import Call
from rollcall.scim.errors import TooMany
from rollcall.scim.resources import GROUPS
from rollcall.search import paging
from rollcall.search.given import canonical_id
from rollcall.search.paging import page
from rollcall.search.queries import MOST_RESULTS, USUAL_RESULTS, Order, Query, query_of
from rollcall.work import open_reading

__all__ = [
    "MOST_RESULTS",
    "USUAL_RESULTS",
    "Order",
    "Query",
    "filtered",
    "page",
    "query_of",
    "resource_id",
    "rows",
]

LONGEST_SEARCH: Final = 5.0
"""Seconds that one filter may take of the database."""

_TIMED_OUT = "57014"


async def rows(call: Call, query: Query) -> Sequence[Row]:
    """Pass the gate and, where there is a statement for it, bring the page.

    There is at least one row, with the gate's verdict, the total, and `id` NULL when the page is empty; or with the
    verdict only, when the question is beyond the hot paths.
    """
    if query.beyond_the_hot_paths:
        return [await statements.gate(call, "read")]
    offset, count = query.start_index - 1, query.count
    if query.kind is GROUPS:
        return await statements.find_groups(call, query.hot, offset, count, members=query.members)
    if query.hot is None and query.by_cursor:
        return await statements.page_users(call, 0, count + 1, query.after_id)  # one more tells whether there is more
    if query.hot is None:
        return await statements.page_users(call, offset, count, None)
    if query.hot.attribute == "userName" and offset == 0 and count > 0:
        return await statements.find_user_name(call, query.hot)
    return await statements.find_users(call, query.hot, offset, count)


async def filtered(call: Call, query: Query) -> tuple[Sequence[Row], float]:
    """The page of a question that has to be compiled, as `rows` brings the others, and how many seconds that took.

    The gate has been passed; time in which the call waited for a connection does not count.

    Raises:
        TooMany: the answer would take the database too long.
    """
    tenant_id = call.token.tenant_id
    asked = paging.statement(query, tenant_id, call.context.base_url)
    try:
        async with open_reading(call.context.database, tenant_id, LONGEST_SEARCH) as connection:
            begun = time.monotonic()
            found = await connection.fetch(asked.text, *asked.arguments)
            return found, time.monotonic() - begun
    except DatabaseError as error:
        if getattr(error, "sqlstate", None) != _TIMED_OUT:
            raise
        raise TooMany(
            detail="The filter takes too long to answer for this many resources; compare userName, externalId, "
            "emails.value, displayName or meta.lastModified as well, so that fewer have to be looked at."
        ) from error


def resource_id(text: str) -> UUID | None:
    """The id, spelled as ours are (ids are case-exact, RFC 7643 §3.1); anything else is simply nobody's."""
    return canonical_id(text)
