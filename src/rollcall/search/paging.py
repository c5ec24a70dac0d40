"""A page of resources as one statement: those that a filter means, in an order, from a place on, and how many they are.

A statement is put together once for each shape of question, and kept; what is asked for is given to it each time.

A page goes on from an index or from a position: what its last resource is sorted by, and its id. From a position nobody
is shown twice or skipped because others come and go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from scim2_models.path import AttrPath, FilterNode
from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    cast,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from rollcall.db import Row, fn
from rollcall.scim.cursors import Key
from rollcall.scim.filters import look_up
from rollcall.scim.resources import GROUPS, USERS, ResourceKind
from rollcall.search.columns import ITSELF, Places
from rollcall.search.conditions import condition
from rollcall.search.given import AFTER_ID, AFTER_KEY, COUNT, SKIPPED, TENANT, Given, shape_of
from rollcall.search.group_columns import GroupPlaces
from rollcall.search.operands import Condition, Value
from rollcall.search.queries import MOST_MEMBERS, Order, Query
from rollcall.search.user_columns import UserPlaces

_PLACES: Final[dict[ResourceKind, type[Places]]] = {USERS: UserPlaces, GROUPS: GroupPlaces}

_DIALECT: Final[Any] = PGDialect_asyncpg()

MOST_REMEMBERED: Final = 512
"""Statements that a process keeps, of all tenants: those used last. One is some ten thousand characters."""

FEW_TERMS: Final = 8
"""Conditions of a filter whose statement is one of those."""

MOST_LONG_REMEMBERED: Final = 16
"""Statements that are kept for longer filters: rare, and large, but 50 ms of the event loop to put together."""


@dataclass(frozen=True, slots=True)
class ResourcePage:
    """Some of the resources a query means."""

    rows: Sequence[Row]
    total: int
    next: tuple[Key, ...] | None = None
    """Where the next page begins, if this one began at a position and is not the last."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All that the text of a statement depends on, and no value that anybody asked for."""

    base_url: str
    kind: ResourceKind
    tree: FilterNode | bool | None
    """The filter, as `given.shape_of` leaves it."""
    order: Order
    by_cursor: bool
    after: bool
    """Whether the page goes on from a position."""
    after_key: bool
    """Whether the last resource before it had a value to be sorted by."""
    members: bool
    ends_by_members: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A page as one statement, as the driver takes it."""

    text: str
    arguments: tuple[object, ...]


def statement(query: Query, tenant_id: UUID, base_url: str) -> Asked:
    """The page as one statement. It has a row at least, with the total, and `id` NULL when the page is empty.

    A page from a position has one row more than it may show, if there are more. One of groups has all that were asked
    for, those beyond `MOST_MEMBERS` without members: `before` tells which.
    """
    tree, values = query.tree, list[object]()
    if tree is not None and not isinstance(tree, bool):
        tree, values = shape_of(tree)
    after = query.after or (None,)
    shape = Shape(
        base_url,
        query.kind,
        tree,
        query.order,
        query.by_cursor,
        after=query.after is not None,
        after_key=after[0] is not None,
        members=query.members,
        ends_by_members=query.ends_by_members,
    )
    prepared = _prepared if query.terms <= FEW_TERMS else _prepared_long
    count = query.count + 1 if query.by_cursor else query.count
    position = (None, None) if query.after is None else (str(after[0]), UUID(str(after[-1])))
    return prepared(shape).asked((tenant_id, query.start_index - 1, count, *position, *values))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement that was put together once: its text, and what it is given."""

    text: str
    parameters: tuple[object, ...]

    def asked(self, values: tuple[object, ...]) -> Asked:
        given = (each.of(values) if isinstance(each, Given) else each for each in self.parameters)
        return Asked(self.text, tuple(given))


@lru_cache(maxsize=MOST_REMEMBERED)
def _prepared(shape: Shape) -> _Prepared:
    """The statement for a shape; putting it together takes a hundred times as long as finding it."""
    compiled: Any = _select(shape).compile(dialect=_DIALECT)
    binds: dict[str, BindParameter[Any]] = compiled.binds
    names: Sequence[str] = compiled.positiontup
    return _Prepared(str(compiled), tuple(_parameter(binds[name]) for name in names))


_prepared_long: Final = lru_cache(maxsize=MOST_LONG_REMEMBERED)(_prepared.__wrapped__)


def remembered() -> int:
    """How many statements are kept."""
    return _prepared.cache_info().currsize + _prepared_long.cache_info().currsize


def _parameter(bind: BindParameter[Any]) -> object:
    """What the driver is given for *bind*: as it is each time, or a `Given`, of which a value is made."""
    value: object = bind.value
    convert = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    if convert is None:
        return value
    return Given(value.place, (*value.forms, convert)) if isinstance(value, Given) else convert(value)


def _select(shape: Shape) -> Select[Any]:
    places = _PLACES[shape.kind](shape.base_url)
    found = _found(places, shape)
    counted = _total(shape, found).subquery("counted")
    chosen = _chosen(shape, found)
    if shape.ends_by_members:
        chosen = _weighed(shape.order, chosen)
    members = chosen.c.before < MOST_MEMBERS if shape.ends_by_members else shape.members
    own = select(*places.columns(members=members)).where(places.mine, places.row.id == chosen.c.id)
    # The limit keeps this a look-up for each of the page's few; joined as a table it may be read through for them.
    brought = own.limit(1).lateral("brought")
    columns: list[ColumnElement[Any]] = [*brought.c, counted.c.total, cast(chosen.c.key, Text).label("key")]
    if shape.ends_by_members:
        columns.append(chosen.c.before)
    return (
        select(*columns)
        .select_from(counted)
        .outerjoin(chosen, true())
        .outerjoin(brought, true())
        .order_by(*_in_order(shape.order, chosen))
    )


def page(query: Query, rows: Sequence[Row]) -> ResourcePage:
    """The page that *rows* are, as `statement` or a look-up's own statement brings them."""
    found = [row for row in rows if row["id"] is not None]
    shown = found[: query.count]
    if query.ends_by_members:
        shown = [row for row in shown if row["before"] < MOST_MEMBERS]
    after = _position(query.order, shown[-1]) if query.by_cursor and shown and len(found) > len(shown) else None
    return ResourcePage(shown, rows[0]["total"], after)


def _found(places: Places, shape: Shape) -> CTE:
    """Everybody the query means, with what they are sorted by.

    A filter is answered once, for the total and the page; without one, indexes answer both.
    """
    sorted_by: ColumnElement[Any] = _sort_key(places, shape.order).label("key")
    chosen = select(places.row.id.label("id"), sorted_by)
    found = chosen.where(places.mine, _meant(places, shape)).cte("found")
    return found.prefix_with("NOT MATERIALIZED" if shape.tree is None else "MATERIALIZED")


def _total(shape: Shape, found: CTE) -> Select[Any]:
    """How many a query finds; how many people there are altogether is kept, and need not be counted."""
    if shape.tree is None and shape.kind is USERS:
        return select(fn.people_in(TENANT).label("total"))
    return select(func.count().label("total")).select_from(found)


def _meant(places: Places, shape: Shape) -> Condition:
    match shape.tree:
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


def _chosen(shape: Shape, found: CTE) -> Subquery:
    """Those of the found who are on the page."""
    some = select(found.c.id, found.c.key).order_by(*_in_order(shape.order, found))
    if not shape.by_cursor:
        return some.offset(SKIPPED).limit(COUNT).subquery("chosen")
    if shape.after:
        some = some.where(_after(shape, found))
    return some.limit(COUNT).subquery("chosen")


def _weighed(order: Order, chosen: Subquery) -> Subquery:
    """The groups of a page, each with how many members those before it have."""
    size = fn.people_in_group(TENANT, chosen.c.id, MOST_MEMBERS, type_=BigInteger())
    before = func.sum(size).over(order_by=_in_order(order, chosen), rows=(None, -1))
    return select(chosen.c.id, chosen.c.key, func.coalesce(before, 0).label("before")).subquery("weighed")


def _in_order(order: Order, of: CTE | Subquery) -> list[ColumnElement[Any]]:
    """By the key, then by id. Who has none comes last, or first when descending: PostgreSQL and the RFC agree."""
    columns = [of.c.id] if order.path is None else [of.c.key, of.c.id]
    return [column.desc() if order.descending else column.asc() for column in columns]


def _after(shape: Shape, found: CTE) -> Condition:
    """Whether somebody comes after the position."""
    order = shape.order
    later_id = found.c.id < AFTER_ID if order.descending else found.c.id > AFTER_ID
    if order.path is None:
        return later_id
    if not shape.after_key:
        same = and_(found.c.key.is_(None), later_id)
        return or_(same, found.c.key.is_not(None)) if order.descending else same
    here = tuple_(cast(AFTER_KEY, found.c.key.type), AFTER_ID)
    own = tuple_(found.c.key, found.c.id)
    return own < here if order.descending else or_(own > here, found.c.key.is_(None))


def _position(order: Order, row: Row) -> tuple[Key, ...]:
    return (str(row["id"]),) if order.path is None else (row["key"], str(row["id"]))
