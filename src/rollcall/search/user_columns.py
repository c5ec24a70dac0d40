"""Where the attributes of people are kept: what is looked up in columns, groups in rows, the rest in the document."""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from scim2_models.path import AttrPath, CompareOperator, coerce_value
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import aliased

from rollcall.db import fn
from rollcall.directory.models import GroupAncestor, GroupRow, GroupUser, UserEmail, UserRow
from rollcall.scim.attributes import Attribute
from rollcall.scim.filters import look_up, resolve
from rollcall.scim.name_keys import name_key
from rollcall.scim.resources import GROUPS, USERS, key
from rollcall.search.columns import ITSELF, Entries, Entry, Places, exists_in, one_of
from rollcall.search.given import GivenText
from rollcall.search.names import Name
from rollcall.search.operands import Binary, Condition, Flag, Identifier, Key, Operand, Value, Written
from rollcall.search.role_names import RoleName

_ROLES: Final = AttrPath("roles")


class UserPlaces(Places):
    """Where the attributes of people are kept."""

    kind = USERS
    row = UserRow

    def columns(self, *, members: Condition | bool) -> Sequence[ColumnElement[Any]]:  # noqa: ARG002  # people have none
        return (
            UserRow.id.label("id"),
            cast(UserRow.document, Text).label("document"),
            UserRow.version.label("version"),
            UserRow.created_at.label("created_at"),
            UserRow.last_modified.label("last_modified"),
            fn.groups_of(self.tenant_id, UserRow.id, self.base_url, type_=Text()).label("groups"),
        )

    def entries(self, path: AttrPath) -> Entries:
        if path.attr == "groups":
            return _Memberships(self)
        path, attribute = look_up(AttrPath(path.attr, None, path.uri))
        return _Addresses(self, path, attribute) if path == AttrPath("emails") else _Listed(self, path, attribute)

    def elsewhere(self, path: AttrPath) -> Operand:
        match str(path):
            case "userName":
                return Name(self)
            case "active":
                return Flag(UserRow.active)
            case _:
                return written(path, UserRow.document[_steps(path)].astext)


def written(path: AttrPath, text: Value) -> Operand:
    """The value of the attribute at *path*, whose *text* stands in a document."""
    binding = resolve(path)
    if binding.target_type is bool:
        return Flag(text == "true")
    if binding.target_type is bytes:
        return Binary(text, lambda value: b64encode(coerce_value(binding, value)).decode())
    return Written(text, case_exact=binding.case_exact)


class _Listed(Entries):
    """A list in the document."""

    def __init__(self, places: UserPlaces, path: AttrPath, attribute: Attribute) -> None:
        self.places = places
        self.path = path
        self.attribute = attribute

    def any(self, condition: Callable[[Entry], Condition]) -> Condition:
        # In place of jsonb_array_elements, which fails where there is something other than a list.
        each = func.jsonb_path_query(UserRow.document, self._found("[*]"), type_=JSONB()).alias()
        return exists_in(each, condition(lambda part: self._part(each.column, part)))

    def assigned(self) -> Condition:
        return UserRow.document[_steps(self.path)].astext.is_not(None)

    def present(self) -> Condition:
        names = [part.name for part in self.attribute.parts.values()] or [ITSELF]
        return self.any(lambda entry: or_(*(entry(name).present() for name in names)))

    def first(self, part: str) -> Value:
        entry = func.jsonb_path_query_first(UserRow.document, self._found("[*]"), type_=JSONB())
        if "primary" in self.attribute.parts:
            primary = self._found("[*] ? (@.primary == true)")
            entry = func.coalesce(func.jsonb_path_query_first(UserRow.document, primary, type_=JSONB()), entry)
        return self._part(entry, part).sort_key

    def _part(self, entry: ColumnElement[Any], part: str) -> Operand:
        if not self.attribute.parts:
            return written(self.path, entry[()].astext)
        if self.path == _ROLES and part == "value":
            return RoleName(entry)
        return written(AttrPath(self.path.attr, part, self.path.uri), entry[part].astext)

    def _found(self, end: str) -> ColumnElement[Any]:
        return cast(literal("$" + "".join(f".{json.dumps(step)}" for step in _steps(self.path)) + end, Text), JSONPATH)


class _Addresses(_Listed):
    """E-mail addresses: in the document as they were written, and as rows that are looked up."""

    def valued(self, operation: CompareOperator, value: GivenText) -> Condition | None:
        if value.is_empty:  # an empty address has no row
            return None
        address = Key(UserEmail.value_key, key)
        match operation:
            case CompareOperator.eq:
                # The ids come as an array, so that this can be one of several indexes whose rows "or" puts together.
                found = self._people(UserEmail.value_key == value.bound(key))
                return UserRow.id == any_(func.array(found.scalar_subquery()))
            case CompareOperator.sw | CompareOperator.co | CompareOperator.ew:
                return UserRow.id.in_(self._people(address.compare(operation, value)))
            case _:
                return None

    def _people(self, condition: Condition) -> Select[UUID]:
        return select(UserEmail.user_id).where(UserEmail.tenant_id == self.places.tenant_id, condition)


class _Memberships(Entries):
    """The groups a person is in, directly or through others."""

    def __init__(self, places: UserPlaces) -> None:
        self.places = places
        self.tenant_id = places.tenant_id

    def any(self, condition: Callable[[Entry], Condition]) -> Condition:
        each = self._each()
        return UserRow.id.in_(self._of_groups(each, each.c.user_id).where(condition(self._entry(each))))

    def assigned(self) -> Condition:
        return exists_in(GroupUser, GroupUser.tenant_id == self.tenant_id, GroupUser.user_id == UserRow.id)

    def present(self) -> Condition:
        return self.assigned()

    def first(self, part: str) -> Value:
        each = self._each()
        own = self._of_groups(each, self._entry(each)(part).sort_key).where(each.c.user_id == UserRow.id)
        return one_of(own.order_by(each.c.group_id))

    def _each(self) -> Subquery:
        """A row for each person and group."""
        direct, above = aliased(GroupUser), aliased(GroupAncestor)
        through = select(GroupUser.user_id, GroupUser.group_id, literal("direct", Text).label("type"))
        already = exists_in(
            direct,
            direct.tenant_id == self.tenant_id,
            direct.user_id == GroupUser.user_id,
            direct.group_id == above.ancestor_id,
        )
        indirectly = (
            select(GroupUser.user_id, above.ancestor_id, literal("indirect", Text))
            .join(above, and_(above.tenant_id == GroupUser.tenant_id, above.descendant_id == GroupUser.group_id))
            .where(not_(already))
        )
        mine = GroupUser.tenant_id == self.tenant_id
        return union_all(through.where(mine), indirectly.where(mine)).subquery()

    def _of_groups(self, each: Subquery, wanted: Value) -> Select[Any]:
        same = and_(GroupRow.tenant_id == self.tenant_id, GroupRow.id == each.c.group_id)
        return select(wanted).select_from(each).outerjoin(GroupRow, same)

    def _entry(self, each: Subquery) -> Entry:
        def part(name: str) -> Operand:
            match name:
                case "value":
                    return Identifier(each.c.group_id)
                case "display":
                    return Key(GroupRow.display_name_key, name_key)
                case "type":
                    return Written(each.c.type, case_exact=False)
                case _:
                    return Written(self.places.location(GROUPS, each.c.group_id), case_exact=True)

        return part


def _steps(path: AttrPath) -> tuple[str, ...]:
    """The keys that lead to an attribute in a document; an extension's URN is one of them."""
    return tuple(step for step in (path.uri, path.attr, path.sub_attr) if step is not None)
