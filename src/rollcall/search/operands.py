"""How the value of an attribute compares in SQL, for each kind of value there is.

The meaning is that of scim2-models' own evaluator. A condition may be unknown (NULL) where there is no value; whoever
negates one says `IS NOT TRUE`, so unknown always counts as false.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from scim2_models.path import STRING_OPERATORS, CompareOperator
from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    Text,
    Uuid,
    and_,
    cast,
    collate,
    false,
    func,
    literal,
    or_,
    true,
)

from rollcall.db import fn
from rollcall.scim.name_keys import composed
from rollcall.search.given import LAST, GivenMoment, GivenText

Condition = ColumnElement[bool]
Value = SQLColumnExpression[Any]

LONGEST_SORT_KEY: Final = 256
"""Characters of a text that only stands in a document by which resources are sorted; a cursor carries them."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)
_ORDERING: Final[dict[CompareOperator, Callable[[Any, Any], Condition]]] = {
    CompareOperator.gt: operator.gt,
    CompareOperator.ge: operator.ge,
    CompareOperator.lt: operator.lt,
    CompareOperator.le: operator.le,
}


class Operand(ABC):
    """One value of a resource, as a query has it."""

    expression: Value
    """The value itself; NULL where there is none."""

    def compare(self, operation: CompareOperator, value: object) -> Condition:
        """RFC 7644 §3.4.2.2. What is missing equals null, differs from everything else, and has no order.

        *value* is what `given.shape_of` left of the filter's.
        """
        if value is not None:
            return self._compare(operation, value)
        match operation:
            case CompareOperator.eq:
                return self.expression.is_(None)
            case CompareOperator.ne:
                return self.expression.is_not(None)
            case _:
                return false()

    def present(self) -> Condition:
        """Whether there is a value, and not an empty one."""
        return self.expression.is_not(None)

    @property
    def sort_key(self) -> Value:
        """What resources are sorted by when they are sorted by this."""
        return self.expression

    @abstractmethod
    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        """Compare with something that is not null."""


@dataclass(frozen=True, slots=True, eq=False)
class Key(Operand):
    """A column that holds text the way *form* makes it, collated by code point, so that its index is of use."""

    expression: Value
    form: Callable[[str], str]

    def present(self) -> Condition:
        return self.expression != ""

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenText):
            return _unlike(operation)
        if operation is CompareOperator.sw:
            return _begins(self.expression, value, self.form)
        return compare_text(self.expression, operation, value.bound(self.form))


@dataclass(frozen=True, slots=True, eq=False)
class Written(Operand):
    """Text as it was written; both sides are brought to one form by the database.

    `folded` is PostgreSQL's own reading of what `scim.resources.key` does. They agree on every character that Python
    knows; one that is newer than its tables has no case there, but may have one in PostgreSQL.
    """

    expression: Value
    case_exact: bool

    def present(self) -> Condition:
        return self.expression != ""

    @property
    def sort_key(self) -> Value:
        return func.left(self._formed(self.expression), LONGEST_SORT_KEY, type_=Text)

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenText):
            return _unlike(operation)
        return compare_text(self._formed(self.expression), operation, self._formed(value.bound()))

    def _formed(self, text: Value) -> Value:
        return collate(func.normalize(text) if self.case_exact else fn.folded(text), "C")


@dataclass(frozen=True, slots=True, eq=False)
class Identifier(Operand):
    """An id of ours: a UUID that is compared as the text it is shown as (ids are case-exact, RFC 7643 §3.1)."""

    expression: Value

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenText):
            return _unlike(operation)
        own = value.bound(UUID, kind=Uuid())
        match operation:
            case CompareOperator.eq:
                return self.expression == own if value.is_id else false()
            case CompareOperator.ne:
                return self.expression.is_distinct_from(own) if value.is_id else true()
            case _:
                shown = collate(cast(self.expression, Text), "C")
                return compare_text(shown, operation, value.bound(composed))


@dataclass(frozen=True, slots=True, eq=False)
class Moment(Operand):
    """An instant, compared as it is shown: to the millisecond, the rest cut off."""

    expression: Value

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenMoment) or operation in STRING_OPERATORS:
            return _unlike(operation)
        first, over, at = value.bound(_first), value.bound(_over), self.expression
        return {
            CompareOperator.eq: and_(at >= first, at < over),
            CompareOperator.ne: or_(at < first, at >= over),
            CompareOperator.gt: at >= over,
            CompareOperator.ge: at >= first,
            CompareOperator.lt: at < first,
            CompareOperator.le: at < over,
        }[operation]


@dataclass(frozen=True, slots=True, eq=False)
class Flag(Operand):
    """True or false."""

    expression: Value

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, bool):
            return _unlike(operation)
        match operation:
            case CompareOperator.eq:
                return self.expression == literal(value)
            case CompareOperator.ne:
                return or_(self.expression == literal(not value), self.expression.is_(None))
            case _:
                return false()


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Operand):
    """Bytes, kept as base64 without line breaks; *encoded* writes a filter's value the same way."""

    expression: Value
    encoded: Callable[[str], str]

    def present(self) -> Condition:
        return self.expression != ""

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenText):
            return _unlike(operation)
        match operation:
            case CompareOperator.eq:
                return self.expression == value.bound(self.encoded)
            case CompareOperator.ne:
                return self.expression.is_distinct_from(value.bound(self.encoded))
            case _:
                return false()


def _begins(column: Value, prefix: GivenText, form: Callable[[str], str]) -> Condition:
    """Whether a column collated by code point begins with *prefix*, as a range, which an index answers."""
    begun = prefix.bound(form)
    if not prefix.has_successor:
        return and_(column >= begun, func.starts_with(column, begun))
    return and_(column >= begun, column < prefix.bound(form, _successor))


def compare_text(text: Value, operation: CompareOperator, value: Value) -> Condition:
    """Compare two texts of one form; `%` and `_` are characters like any other."""
    match operation:
        case CompareOperator.eq:
            return text == value
        case CompareOperator.ne:
            return text.is_distinct_from(value)
        case CompareOperator.co:
            return func.strpos(text, value) > 0
        case CompareOperator.sw:
            return func.starts_with(text, value)
        case CompareOperator.ew:
            return func.right(text, func.length(value)) == value
        case _:
            return _ORDERING[operation](text, value)


def _unlike(operation: CompareOperator) -> Condition:
    """Values of two kinds are never equal and have no order."""
    return true() if operation is CompareOperator.ne else false()


def _successor(prefix: str) -> str:
    """The first text, by code point, that comes after all that begin with *prefix*."""
    stem = prefix.rstrip(LAST)
    assert stem, "a text without a successor is not looked up by it"
    following = ord(stem[-1]) + 1
    # Half a surrogate pair is no character.
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)


def _first(moment: datetime) -> datetime:
    """The first instant whose millisecond is not before *moment*; between two of them nothing is equal to it."""
    begun = _begun(moment)
    return begun if begun == _in_utc(moment) else _later(begun)


def _over(moment: datetime) -> datetime:
    """The instant at which the millisecond of *moment* is over."""
    return _later(_begun(moment))


def _begun(moment: datetime) -> datetime:
    here = _in_utc(moment)
    return here.replace(microsecond=here.microsecond // 1000 * 1000)


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC; near the ends of the calendar, where it has none there, the end itself."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _BEGINNING if moment.year == 1 else _END


def _later(moment: datetime) -> datetime:
    try:
        return moment + _MILLISECOND
    except OverflowError:
        return _END
