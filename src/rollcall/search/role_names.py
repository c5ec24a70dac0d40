"""The names of a role entry in a document, in SQL: what `scim.role_names.names_of` reads, for a whole table at once.

They are compared by the version of the comparison that the tenant's role rule has, so that a search finds whoever the
rule gives the role to. That a rule takes ``_`` for ``-`` and passes over a plural s is what names mean to it: here they
are other names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from scim2_models.path import CompareOperator
from sqlalchemy import ColumnElement, Text, case, collate, func, or_, select, true

from rollcall.db import fn
from rollcall.scim.name_keys import name_key, prepared, unstripped
from rollcall.scim.resources import key
from rollcall.scim.role_names import folded
from rollcall.search.columns import exists_in
from rollcall.search.given import TENANT, Form, GivenText
from rollcall.search.operands import Condition, Operand, Value, Written, compare_text
from rollcall.tenancy.models import Tenant

_PLAIN: Final = r"^[!#-Z\\^-z|}~]([ -~]*[!-~])?$"
"""A value that is its own name, and whose key is the same by both comparisons: ASCII, and no JSON."""

_OWN: Final = '^[^{["\\t-\\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
"""A value that is its own name but for blanks after it."""


class RoleName(Operand):
    """The `value` of an entry of `roles`: compared as it is written, and by the names that it or the display says."""

    def __init__(self, entry: ColumnElement[Any]) -> None:
        self._entry = entry
        self._written = Written(entry["value"].astext, case_exact=False)
        self.expression = self._written.expression

    def present(self) -> Condition:
        return self._written.present()

    @property
    def sort_key(self) -> Value:
        return self._written.sort_key

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if operation is CompareOperator.ne:
            return self.compare(CompareOperator.eq, value).is_not(true())
        written = self._written.compare(operation, value).is_(true())
        if not isinstance(value, GivenText) or not value.is_visible:  # what can't be seen is in no name
            return written
        text = collate(self.expression, "C")
        wanted = self._by_comparison(*(value.bound(form) for form in _forms(operation)))
        plainly = compare_text(func.lower(text), operation, wanted)
        own = self._named(fn.stripped(self.expression, type_=Text()), operation, value)
        each = fn.names_of(self._entry, type_=Text()).alias()
        named = exists_in(each, self._named(each.column, operation, value))
        return case(
            (text.regexp_match(_PLAIN), plainly),
            (text.regexp_match(_OWN), or_(written, own)),
            else_=or_(written, named),
        )

    def _named(self, name: ColumnElement[str], operation: CompareOperator, value: GivenText) -> Condition:
        by_first, by_present = _forms(operation)
        return self._by_comparison(
            Written(name, case_exact=False).compare(operation, value.through(by_first)),
            compare_text(present_key(name), operation, value.bound(by_present)),
        )

    def _by_comparison(self, by_first: ColumnElement[Any], by_present: ColumnElement[Any]) -> ColumnElement[Any]:
        comparison = select(Tenant.name_comparison).where(Tenant.id == TENANT).scalar_subquery()
        return case((comparison == 1, by_first), else_=by_present)


def _forms(operation: CompareOperator) -> tuple[Form, Form]:
    """What is made of a filter's value by the first comparison and by the present one.

    Blanks around it don't count where it is a whole name; around a part of one they may be inside.
    """
    if operation is CompareOperator.eq:
        return folded, name_key
    return key, unstripped


def present_key(name: Value) -> Value:
    """`name_key` in SQL: what its frozen table prepares, and then PostgreSQL's own folding.

    They agree on every character that the tables have; one that is newer may have a case in PostgreSQL.
    """
    prepare = _preparing()
    visible = func.regexp_replace(collate(name, "C"), prepare.invisible, "", "g", type_=Text())
    ready = case(
        (visible.regexp_match(prepare.others), func.translate(visible, prepare.given, prepare.becomes)), else_=visible
    )
    return collate(func.btrim(fn.folded(ready), " "), "C")


@dataclass(frozen=True, slots=True)
class _Preparing:
    """The frozen table: regular expressions for what is left out and what becomes another, and what those become."""

    invisible: str
    others: str
    given: str
    becomes: str


@cache
def _preparing() -> _Preparing:
    table = prepared()
    others = {chr(point): becomes for point, becomes in table.items() if becomes}
    invisible = _class_of(point for point, becomes in table.items() if not becomes)
    return _Preparing(invisible, _class_of(map(ord, others)), "".join(others), "".join(others.values()))


def _class_of(points: Iterable[int]) -> str:
    """A regular expression for these characters, none of which means anything in one; NUL is in no text."""
    runs: list[list[int]] = []
    for point in sorted(points):
        if runs and point == runs[-1][-1] + 1:
            runs[-1][-1] = point
        elif point:
            runs.append([point, point])
    return "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in runs) + "]"
