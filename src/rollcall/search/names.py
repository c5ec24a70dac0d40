"""A userName, or a group's displayName, in SQL: by its stored key, and by its present one where that is another."""

from dataclasses import dataclass
from typing import Any, Final

from scim2_models.path import CompareOperator
from sqlalchemy import and_, any_, func, not_, or_, select
from sqlalchemy.orm import aliased

from rollcall.directory.models import GroupNameKey, GroupRow, UserNameKey, UserRow
from rollcall.scim.name_keys import name_key, unstripped
from rollcall.scim.resources import GROUPS, USERS, key
from rollcall.search.columns import Places, exists_in
from rollcall.search.given import TENANT, GivenText
from rollcall.search.operands import Condition, Key, Operand, Value

_PARTS: Final = (CompareOperator.sw, CompareOperator.co, CompareOperator.ew)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where the keys of a kind's names are kept: which row, by which column, and beside it the present ones."""

    row: Any
    column: str
    keys: Any
    owner: str
    unique: bool


_KEPT: Final = {
    USERS: _Kept(UserRow, "user_name_key", UserNameKey, "user_id", unique=True),
    GROUPS: _Kept(GroupRow, "display_name_key", GroupNameKey, "group_id", unique=False),
}


class Name(Operand):
    """A name by which somebody is who they are, in its column.

    Equal is who is spelled so; if nobody is, whose stored key is the name's; if nobody's is, whose present one is, as
    `fn.user_called` and `fn.groups_called` have it.
    """

    def __init__(self, places: Places) -> None:
        self._kept = _KEPT[places.kind]
        self.expression = self._stored_in(self._kept.row)

    def present(self) -> Condition:
        return self._stored.present()

    @property
    def _stored(self) -> Key:
        return Key(self.expression, name_key)

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, GivenText):
            return self._stored.compare(operation, value)
        if operation is CompareOperator.eq:
            return self._equals(value)
        if operation is CompareOperator.ne:
            return not_(self._equals(value))
        if operation in _PARTS:
            by_present = Key(self._kept.keys.key, unstripped).compare(operation, value)
            return or_(Key(self.expression, unstripped).compare(operation, value), self._has_beside(by_present))
        return self._stored.compare(operation, value)

    def _equals(self, value: GivenText) -> Condition:
        own, first = value.bound(name_key), value.bound(key)
        stored = self.expression
        beside = self._has_beside(self._kept.keys.key == own, one=self._kept.unique)
        if not value.has_first_key:
            return or_(stored == own, and_(beside, not_(self._somebody(own))))
        return or_(
            stored == first,
            and_(stored == own, not_(self._somebody(first))),
            and_(beside, not_(self._somebody(first)), not_(self._somebody(own))),
        )

    def _somebody(self, stored: Value) -> Condition:
        """Whether there is anybody with this stored key."""
        other: Any = aliased(self._kept.row)
        return exists_in(other, other.tenant_id == TENANT, self._stored_in(other) == stored)

    def _has_beside(self, condition: Condition, *, one: bool = False) -> Condition:
        """Whether the present key beside a stored one of the first version satisfies *condition*; with *one* only of
        the first who has such.

        The ids come as an array, so that this can be one of several indexes whose rows "or" puts together.
        """
        keys, row = self._kept.keys, aliased(self._kept.row)
        owner = getattr(keys, self._kept.owner)
        still = and_(row.tenant_id == keys.tenant_id, row.id == owner, self._stored_in(row) == keys.first_key)
        found = select(owner).join(row, still).where(keys.tenant_id == TENANT, condition)
        chosen = found.order_by(owner).limit(1) if one else found
        return self._kept.row.id == any_(func.array(chosen.scalar_subquery()))

    def _stored_in(self, row: Any) -> Value:
        return getattr(row, self._kept.column)
