"""What a statement is given each time it is run: the values of a filter, whose tenant's, and where the page begins.

A statement is put together once for all filters of one shape, so it never sees a value: in a filter's tree stands in
place of each what the text of the statement depends on, and that is not what somebody looks for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, Self
from uuid import UUID

from scim2_models.path import Comparison, FilterNode, FilterVisitor, LogicalExpr, Not, Present, ValuePath
from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, Uuid, literal
from sqlalchemy.types import TypeEngine

from rollcall.scim.name_keys import name_key
from rollcall.scim.resources import first_key

LAST: Final = chr(0x10FFFF)
"""The last character there is, after which no text comes."""

Form = Callable[[Any], object]
"""What is made of a value before the statement is given it."""


@dataclass(frozen=True, slots=True)
class Given:
    """One parameter of a statement: a place among the values, and what is made of the value there."""

    place: int
    forms: tuple[Form, ...] = ()

    def of(self, values: Sequence[object]) -> object:
        """The parameter, as *values* have it."""
        value = values[self.place]
        for form in self.forms:
            value = form(value)
        return value


@dataclass(frozen=True, slots=True)
class GivenText:
    """A text of a filter, and what the statement depends on of it."""

    place: int
    is_empty: bool
    is_id: bool
    """Whether it is spelled as an id of ours is."""
    is_visible: bool
    """Whether a name could be spelled so: something is left of it as a key."""
    has_first_key: bool
    """Whether its key of the first version is another."""
    has_successor: bool
    """Whether there is a text after all that begin with it, in whichever form it is compared."""
    forms: tuple[Form, ...] = ()

    def through(self, form: Form) -> Self:
        """What *form* makes of it, to be compared in its place."""
        return replace(self, forms=(*self.forms, form))

    def bound(self, *forms: Form, kind: TypeEngine[Any] | None = None) -> ColumnElement[Any]:
        """The parameter that it is."""
        return literal(Given(self.place, (*self.forms, *forms)), kind or Text())


@dataclass(frozen=True, slots=True)
class GivenMoment:
    """A time of a filter."""

    place: int

    def bound(self, form: Form) -> ColumnElement[Any]:
        """The parameter that *form* makes of it."""
        return literal(Given(self.place, (form,)), DateTime(timezone=True))


class Foreign(Enum):
    """A value that is like none there is: no attribute that can be compared is a number."""

    VALUE = "a number"


TENANT: Final = literal(Given(0), Uuid())
"""Whose resources are asked for."""

SKIPPED: Final = literal(Given(1), BigInteger())
COUNT: Final = literal(Given(2), BigInteger())
AFTER_KEY: Final = literal(Given(3), Text())
AFTER_ID: Final = literal(Given(4), Uuid())
BEFORE_VALUES: Final = 5
"""How many values stand before those of the filter."""


def canonical_id(text: str) -> UUID | None:
    """The id, spelled as ours are; anything else is simply nobody's."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def shape_of(tree: FilterNode) -> tuple[FilterNode, list[object]]:
    """*tree* without its values, and these in the order in which they are given."""
    shaping = _Shaping()
    return shaping.visit(tree), shaping.values


class _Shaping(FilterVisitor[FilterNode]):
    """Takes the values out of a tree, and keeps them."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def visit_logical_expr(self, node: LogicalExpr) -> FilterNode:
        return LogicalExpr(node.op, tuple(self.visit(term) for term in node.terms))

    def visit_not(self, node: Not) -> FilterNode:
        return Not(self.visit(node.expr))

    def visit_present(self, node: Present) -> FilterNode:
        return node

    def visit_value_path(self, node: ValuePath) -> FilterNode:
        return replace(node, val_filter=self.visit(node.val_filter))

    def visit_comparison(self, node: Comparison) -> FilterNode:
        return Comparison(node.attr_path, node.op, self._shaped(node.value))

    def _shaped(self, value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, str | datetime):
            return Foreign.VALUE
        place = BEFORE_VALUES + len(self.values)
        self.values.append(value)
        return GivenMoment(place) if isinstance(value, datetime) else _text(place, value)


def _text(place: int, value: str) -> GivenText:
    as_name = name_key(value)
    return GivenText(
        place,
        is_empty=not value,
        is_id=canonical_id(value) is not None,
        is_visible=bool(as_name),
        has_first_key=first_key(value) is not None,
        has_successor=bool(as_name.rstrip(LAST)),
    )
