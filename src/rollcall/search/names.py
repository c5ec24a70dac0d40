"""A userName, or a group's displayName, in SQL: by its stored key, and by its present one where that is another."""

from scim2_models.path import CompareOperator
from sqlalchemy import ARRAY, Select, Uuid, and_, any_, func, not_, or_, select
from sqlalchemy.orm import aliased

from rollcall.directory.models import GroupNameKey, GroupRow, UserNameKey, UserRow
from rollcall.scim.name_keys import name_key, unstripped
from rollcall.scim.resources import first_key
from rollcall.search.columns import Places, exists_in
from rollcall.search.operands import Condition, Key, Operand, Value

_PARTS = (CompareOperator.sw, CompareOperator.co, CompareOperator.ew)


class Name(Operand):
    """A name by which somebody is who they are, in its column.

    Equal is who is spelled so; if nobody is, whose stored key is the name's; if nobody's is, whose present one is, as
    `fn.user_called` and `fn.groups_called` have it.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._row = places.row
        self.expression = self._column(places.row)

    def present(self) -> Condition:
        return self._stored.present()

    @property
    def _stored(self) -> Key:
        return Key(self.expression, name_key)

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        if not isinstance(value, str):
            return self._stored.compare(operation, value)
        if operation is CompareOperator.eq:
            return self._equals(value)
        if operation is CompareOperator.ne:
            return not_(self._equals(value))
        if operation in _PARTS:
            by_present = Key(self._keys.key, unstripped).compare(operation, value)
            return or_(Key(self.expression, unstripped).compare(operation, value), self._kept_by(by_present))
        return self._stored.compare(operation, value)

    def _equals(self, value: str) -> Condition:
        own, first = name_key(value), first_key(value)
        stored = self.expression
        present = self._kept_by(self._keys.key == own, one=self._row is UserRow)
        if first is None:
            return or_(stored == own, and_(present, not_(self._somebody(own))))
        return or_(
            stored == first,
            and_(stored == own, not_(self._somebody(first))),
            and_(present, not_(self._somebody(first)), not_(self._somebody(own))),
        )

    def _somebody(self, stored: str) -> Condition:
        """Whether there is anybody with this stored key."""
        other = aliased(self._row)
        return exists_in(other, other.tenant_id == self._places.tenant_id, self._column(other) == stored)

    def _kept_by(self, condition: Condition, *, one: bool = False) -> Condition:
        """Whether the present key of a name of the first version satisfies *condition*; with *one* the first that does.

        The ids come as an array, so that this can be one of several indexes whose rows "or" puts together.
        """
        keys, row = self._keys, aliased(self._row)
        owner = keys.user_id if keys is UserNameKey else keys.group_id
        still = and_(row.tenant_id == keys.tenant_id, row.id == owner, self._column(row) == keys.first_key)
        found: Select[Uuid] = select(owner).join(row, still).where(keys.tenant_id == self._places.tenant_id, condition)
        chosen = found.order_by(owner).limit(1) if one else found
        return self._row.id == any_(func.array(chosen.scalar_subquery(), type_=ARRAY(Uuid)))

    @property
    def _keys(self) -> type[UserNameKey] | type[GroupNameKey]:
        return UserNameKey if self._row is UserRow else GroupNameKey

    @staticmethod
    def _column(row: type[UserRow] | type[GroupRow]) -> Value:
        return row.user_name_key if hasattr(row, "user_name_key") else row.display_name_key
