"""Where the attributes of groups are kept: all in columns, members as rows."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from scim2_models.path import AttrPath, CompareOperator
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from rollcall.db import fn
from rollcall.directory.models import GroupChild, GroupRow, GroupUnknownMember, GroupUser, UserRow
from rollcall.scim.name_keys import composed
from rollcall.scim.resources import GROUP_SCHEMA, GROUPS, USERS, key
from rollcall.search.columns import Constants, Entries, Entry, Places, exists_in, one_of
from rollcall.search.given import GivenText
from rollcall.search.names import Name
from rollcall.search.operands import Condition, Identifier, Key, Operand, Value, Written


class GroupPlaces(Places):
    """Where the attributes of groups are kept."""

    kind = GROUPS
    row = GroupRow

    def columns(self, *, members: Condition | bool) -> Sequence[ColumnElement[Any]]:
        everybody = fn.members_of(self.tenant_id, GroupRow.id, self.base_url, type_=Text())
        shown = literal(None, Text) if members is False else everybody
        if not isinstance(members, bool):
            shown = case((members, everybody))
        return (
            GroupRow.id.label("id"),
            GroupRow.display_name.label("display_name"),
            GroupRow.external_id.label("external_id"),
            GroupRow.version.label("version"),
            GroupRow.created_at.label("created_at"),
            GroupRow.last_modified.label("last_modified"),
            shown.label("members"),
        )

    def operand(self, path: AttrPath) -> Operand:
        return Name(self) if str(path) == "displayName" else super().operand(path)

    def entries(self, path: AttrPath) -> Entries:
        return _Members(self) if path.attr == "members" else Constants([GROUP_SCHEMA])


class _Members(Entries):
    """The people and groups in a group."""

    def __init__(self, places: GroupPlaces) -> None:
        self.places = places
        self.tenant_id = places.tenant_id

    def any(self, condition: Callable[[Entry], Condition]) -> Condition:
        each = self._each()
        return GroupRow.id.in_(select(each.c.group_id).where(condition(self._entry(each))))

    def assigned(self) -> Condition:
        return or_(
            exists_in(GroupUser, GroupUser.tenant_id == self.tenant_id, GroupUser.group_id == GroupRow.id),
            exists_in(GroupChild, GroupChild.tenant_id == self.tenant_id, GroupChild.group_id == GroupRow.id),
            exists_in(
                GroupUnknownMember,
                GroupUnknownMember.tenant_id == self.tenant_id,
                GroupUnknownMember.group_id == GroupRow.id,
            ),
        )

    def present(self) -> Condition:
        return self.assigned()

    def first(self, part: str) -> Value:
        each = self._each()
        own = select(self._entry(each)(part).sort_key).where(each.c.group_id == GroupRow.id)
        return one_of(own.order_by(each.c.value, each.c.stranger))

    def _each(self) -> Subquery:
        """A row for each group and member."""
        return union_all(self._people(), self._groups(), self._unknown_members()).subquery()

    def _people(self) -> Select[UUID, UUID, str, str, str]:
        same = and_(UserRow.tenant_id == GroupUser.tenant_id, UserRow.id == GroupUser.user_id)
        return (
            select(
                GroupUser.group_id,
                GroupUser.user_id.label("value"),
                literal(None, Text).label("stranger"),
                literal(USERS.name, Text).label("type"),
                func.coalesce(GroupUser.display_key, UserRow.display_name_key, UserRow.user_name_key).label(
                    "display_key"
                ),
            )
            .outerjoin(UserRow, same)
            .where(GroupUser.tenant_id == self.tenant_id)
        )

    def _groups(self) -> Select[UUID, UUID, str, str, str]:
        child = aliased(GroupRow)
        same = and_(child.tenant_id == GroupChild.tenant_id, child.id == GroupChild.child_id)
        return (
            select(
                GroupChild.group_id,
                GroupChild.child_id,
                literal(None, Text),
                literal(GROUPS.name, Text),
                func.coalesce(GroupChild.display_key, child.display_name_key),
            )
            .outerjoin(child, same)
            .where(GroupChild.tenant_id == self.tenant_id)
        )

    def _unknown_members(self) -> Select[UUID, Any, str, str, Any]:
        return select(
            GroupUnknownMember.group_id,
            literal(None, Uuid),
            GroupUnknownMember.value,
            literal(None, Text),
            GroupUnknownMember.display_key,
        ).where(GroupUnknownMember.tenant_id == self.tenant_id)

    def _entry(self, each: Subquery) -> Entry:
        def part(name: str) -> Operand:
            match name:
                case "value":
                    return _MemberId(each)
                case "display":
                    return Key(each.c.display_key, key)
                case "type":
                    return Written(each.c.type, case_exact=False)
                case _:
                    of_user = self.places.location(USERS, each.c.value)
                    of_group = self.places.location(GROUPS, each.c.value)
                    reference = case((each.c.type == USERS.name, of_user), (each.c.type == GROUPS.name, of_group))
                    return Written(reference, case_exact=True)

        return part


class _MemberId(Operand):
    """The id of a member: one of ours, or what a stranger's id was sent as."""

    def __init__(self, each: Subquery) -> None:
        self._own = Identifier(each.c.value)
        self._unknown_member = Key(each.c.stranger, composed)
        self.expression = func.coalesce(each.c.stranger, cast(each.c.value, Text), type_=Text())

    def _compare(self, operation: CompareOperator, value: object) -> Condition:
        own, unknown_members = self._own.compare(operation, value), self._unknown_member.compare(operation, value)
        match operation:
            case CompareOperator.eq:
                return own if isinstance(value, GivenText) and value.is_id else unknown_members
            case CompareOperator.ne:
                return and_(own, unknown_members)
            case _:
                return or_(own, unknown_members)
