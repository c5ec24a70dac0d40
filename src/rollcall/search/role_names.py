"""The names of a role entry in a document, in SQL: what `scim.role_names.names_of` reads, for a whole table at once.

JSON inside JSON is read one level deep. Blanks around a value count, as they do in every text that is searched.
"""

from typing import Any, Final

from scim2_models.path import CompareOperator
from sqlalchemy import ColumnElement, Text, case, cast, func, literal, or_, true
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from rollcall.search.columns import exists_in
from rollcall.search.operands import Condition, Operand, Value, Written

_PARTS: Final = ("value", "displayName", "display", "name")
_BEGINS_JSON: Final = r'^\s*[{["]'


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
        each = func.jsonb_path_query(self._named(), cast(literal("$[*]", Text), JSONPATH), type_=JSONB()).alias()
        name = Written(_name(each.column), case_exact=False)
        return or_(self._written.compare(operation, value).is_(true()), exists_in(each, name.compare(operation, value)))

    def _named(self) -> ColumnElement[Any]:
        """What holds the names: the JSON in the value, or where there is no value the display; else nothing."""
        text = self._written.expression
        is_json = text.regexp_match(_BEGINS_JSON) & func.pg_input_is_valid(text, "jsonb")
        return case(
            (func.coalesce(text, "") == "", self._entry["display"]),
            (is_json, cast(text, JSONB)),
        )


def _name(each: ColumnElement[Any]) -> ColumnElement[str]:
    parts = (func.nullif(each[part].astext, "") for part in _PARTS)
    return func.coalesce(*parts, case((func.jsonb_typeof(each) == "string", each[()].astext)), type_=Text())
