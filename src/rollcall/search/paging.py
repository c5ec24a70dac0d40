"""A page of resources as one statement: those that a filter means, in an order, from a place on, and how many they are.

A page goes on from an index or from a position: what its last resource is sorted by, and its id. From a position nobody
is shown twice or skipped because others come and go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from scim2_models.path import AttrPath
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from rollcall.db import Row, fn
from rollcall.scim.cursors import Key
from rollcall.scim.filters import look_up
from rollcall.scim.resources import GROUPS, USERS, ResourceKind
from rollcall.search.columns import ITSELF, Places
from rollcall.search.conditions import condition
from rollcall.search.group_columns import GroupPlaces
from rollcall.search.operands import Condition, Value
from rollcall.search.queries import MOST_MEMBERS, Order, Query
from rollcall.search.user_columns import UserPlaces

_PLACES: Final[dict[ResourceKind, type[Places]]] = {USERS: UserPlaces, GROUPS: GroupPlaces}


@dataclass(frozen=True, slots=True)
class ResourcePage:
    """Some of the resources a query means."""

    rows: Sequence[Row]
    total: int
    next: tuple[Key, ...] | None = None
    """Where the next page begins, if this one began at a position and is not the last."""


def statement(query: Query, tenant_id: UUID, base_url: str) -> Select[Any]:
    """The page as one statement. It has a row at least, with the total, and `id` NULL when the page is empty.

    A page from a position has one row more than it may show, if there are more. One of groups has all that were asked
    for, those beyond `MOST_MEMBERS` without members: `before` tells which.
    """
    places = _PLACES[query.kind](tenant_id, base_url)
    found = _found(places, query)
    counted = _total(query, found, tenant_id).subquery("counted")
    chosen = _chosen(query, found)
    if query.ends_by_members:
        chosen = _weighed(query.order, chosen, tenant_id)
    members = chosen.c.before < MOST_MEMBERS if query.ends_by_members else query.members
    own = select(*places.columns(members=members)).where(places.mine, places.row.id == chosen.c.id)
    # The limit keeps this a look-up for each of the page's few; joined as a table it may be read through for them.
    brought = own.limit(1).lateral("brought")
    columns: list[ColumnElement[Any]] = [*brought.c, counted.c.total, cast(chosen.c.key, Text).label("key")]
    if query.ends_by_members:
        columns.append(chosen.c.before)
    return (
        select(*columns)
        .select_from(counted)
        .outerjoin(chosen, true())
        .outerjoin(brought, true())
        .order_by(*_in_order(query.order, chosen))
    )


def page(query: Query, rows: Sequence[Row]) -> ResourcePage:
    """The page that *rows* are, as `statement` or a look-up's own statement brings them."""
    found = [row for row in rows if row["id"] is not None]
    shown = found[: query.count]
    if query.ends_by_members:
        shown = [row for row in shown if row["before"] < MOST_MEMBERS]
    after = _position(query.order, shown[-1]) if query.by_cursor and shown and len(found) > len(shown) else None
    return ResourcePage(shown, rows[0]["total"], after)


def _found(places: Places, query: Query) -> CTE:
    """Everybody the query means, with what they are sorted by.

    A filter is answered once, for the total and the page; without one, indexes answer both.
    """
    sorted_by: ColumnElement[Any] = _sort_key(places, query.order).label("key")
    chosen = select(places.row.id.label("id"), sorted_by)
    found = chosen.where(places.mine, _meant(places, query)).cte("found")
    return found.prefix_with("NOT MATERIALIZED" if query.tree is None else "MATERIALIZED")


def _total(query: Query, found: CTE, tenant_id: UUID) -> Select[Any]:
    """How many a query finds; how many people there are altogether is kept, and need not be counted."""
    if query.tree is None and query.kind is USERS:
        return select(fn.people_in(tenant_id).label("total"))
    return select(func.count().label("total")).select_from(found)


def _meant(places: Places, query: Query) -> Condition:
    match query.tree:
        case None | True:
            return true()
        case False:
            return false()
        case tree:
            return condition(places, tree)


def _sort_key(places: Places, order: Order) -> Value:
    path = order.path
    if path is None:
        return places.row.id
    _, attribute = look_up(AttrPath(path.attr, None, path.uri), places.kind)
    if attribute.multi_valued:
        return places.entries(path).first(path.sub_attr or ITSELF)
    return places.operand(path).sort_key


def _chosen(query: Query, found: CTE) -> Subquery:
    """Those of the found who are on the page."""
    some = select(found.c.id, found.c.key).order_by(*_in_order(query.order, found))
    if not query.by_cursor:
        return some.offset(query.start_index - 1).limit(query.count).subquery("chosen")
    if query.after is not None:
        some = some.where(_after(query.order, found, query.after))
    return some.limit(query.count + 1).subquery("chosen")


def _weighed(order: Order, chosen: Subquery, tenant_id: UUID) -> Subquery:
    """The groups of a page, each with how many members those before it have."""
    size = fn.people_in_group(tenant_id, chosen.c.id, MOST_MEMBERS, type_=BigInteger())
    before = func.sum(size).over(order_by=_in_order(order, chosen), rows=(None, -1))
    return select(chosen.c.id, chosen.c.key, func.coalesce(before, 0).label("before")).subquery("weighed")


def _in_order(order: Order, of: CTE | Subquery) -> list[ColumnElement[Any]]:
    """By the key, then by id. Who has none comes last, or first when descending: PostgreSQL and the RFC agree."""
    columns = [of.c.id] if order.path is None else [of.c.key, of.c.id]
    return [column.desc() if order.descending else column.asc() for column in columns]


def _after(order: Order, found: CTE, position: tuple[Key, ...]) -> Condition:
    """Whether somebody comes after a position."""
    own_id = literal(UUID(str(position[-1])))
    later_id = found.c.id < own_id if order.descending else found.c.id > own_id
    if order.path is None:
        return later_id
    sorted_by = position[0]
    if sorted_by is None:
        same = and_(found.c.key.is_(None), later_id)
        return or_(same, found.c.key.is_not(None)) if order.descending else same
    here = tuple_(cast(literal(str(sorted_by), Text), found.c.key.type), own_id)
    own = tuple_(found.c.key, found.c.id)
    return own < here if order.descending else or_(own > here, found.c.key.is_(None))


def _position(order: Order, row: Row) -> tuple[Key, ...]:
    return (str(row["id"]),) if order.path is None else (row["key"], str(row["id"]))
