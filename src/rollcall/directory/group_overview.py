"""Groups as ops and admins look at them: how many members each has, and which role its name makes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, any_, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from rollcall import paging
from rollcall.access.models import Account
from rollcall.db import fn
from rollcall.directory import mapping, role_states, roles, statements
from rollcall.directory.models import GroupChild, GroupRow, GroupUnknownMember, GroupUser, UserRow
from rollcall.directory.rules import ReadName, RoleRule, Seen
from rollcall.errors import Invalid, NotFound
from rollcall.paging import Page
from rollcall.scim.name_keys import name_key
from rollcall.scim.resources import first_key
from rollcall.work import Work


@dataclass(frozen=True, slots=True)
class Group:
    """A group with the number of its direct members, and how the tenant's rule reads its name."""

    row: GroupRow
    people: int
    groups: int
    unknown_members: int
    """Members whose id is nobody's here; they do nothing."""
    read: ReadName

    @property
    def members(self) -> int:
        """Everything that stands in it, of whatever kind."""
        return self.people + self.groups + self.unknown_members


async def every(work: Work, *, limit: int, offset: int = 0) -> tuple[int, Sequence[Group]]:
    """How many groups there are, and some of them by name."""
    mine = GroupRow.tenant_id == work.tenant.id
    total = int(await work.db.scalar(select(func.count()).select_from(GroupRow).where(mine)) or 0)
    return total, await _read(work, _counted(mine).order_by(GroupRow.id).limit(limit).offset(offset))


async def page(work: Work, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Group]:
    """Some of the groups, by name.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rule, _ = await roles.current(work)
    rows = select(GroupRow, *_members()).where(GroupRow.tenant_id == work.tenant.id)
    by = (GroupRow.display_name_key, GroupRow.id)
    found = await paging.page_of_several(work.db, rows, *by, limit=limit, cursor=cursor)
    return found.of(lambda row: _group(rule, *row))


async def count(work: Work, *, most: int) -> int:
    """How many groups there are, *most* at most."""
    mine = select(GroupRow.id).where(GroupRow.tenant_id == work.tenant.id).limit(most).subquery()
    return int(await work.db.scalar(select(func.count()).select_from(mine)) or 0)


async def of_id(work: Work, group_id: UUID) -> Group:
    """The group with this id.

    Raises:
        NotFound: there is none.
    """
    found = await _read(work, _counted(GroupRow.tenant_id == work.tenant.id, GroupRow.id == group_id))
    if not found:
        raise NotFound("group")
    return found[0]


async def find(work: Work, name: str) -> Group:
    """The group with this id or, in any case, this name.

    Raises:
        NotFound: there is none.
        Invalid: more than one has this name.
    """
    called = fn.groups_called(work.tenant.id, name_key(name), first_key(name), type_=ARRAY(Uuid))
    wanted = GroupRow.id == _uuid(name) if _uuid(name) else GroupRow.id == any_(called)
    found = await _read(work, _counted(GroupRow.tenant_id == work.tenant.id, wanted).limit(2))
    if not found:
        raise NotFound(f"group as “{name}”")
    if len(found) > 1:
        msg = f"More than one group is called “{name}”; name it by its id, as 'rollcall groups list' shows it."
        raise Invalid(msg)
    return found[0]


async def user_names_in(work: Work, group_id: UUID, *, limit: int) -> Sequence[str]:
    """The userNames of people directly in a group, in alphabetical order."""
    question = (
        select(Account.user_name)
        .select_from(GroupUser)
        .join(UserRow, (UserRow.tenant_id == GroupUser.tenant_id) & (UserRow.id == GroupUser.user_id))
        .join(Account, (Account.tenant_id == UserRow.tenant_id) & (Account.id == UserRow.account_id))
        .where(GroupUser.tenant_id == work.tenant.id, GroupUser.group_id == group_id)
        .order_by(UserRow.user_name_key)
        .limit(limit)
    )
    return (await work.db.scalars(question)).all()


async def groups_in(work: Work, group_id: UUID, *, limit: int) -> Sequence[str]:
    """The names of groups directly in a group, in alphabetical order."""
    question = (
        select(GroupRow.display_name)
        .join(GroupChild, (GroupChild.tenant_id == GroupRow.tenant_id) & (GroupChild.child_id == GroupRow.id))
        .where(GroupChild.tenant_id == work.tenant.id, GroupChild.group_id == group_id)
        .order_by(GroupRow.display_name_key)
        .limit(limit)
    )
    return (await work.db.scalars(question)).all()


@dataclass(frozen=True, slots=True)
class Member:
    """A person directly in a group."""

    account_id: UUID
    user_name: str
    active: bool
    role: str


async def members(work: Work, group_id: UUID, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Member]:
    """Some of the people directly in a group, by userName.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = (
        select(Account.id, Account.user_name, Account.active, Account.role)
        .select_from(GroupUser)
        .join(UserRow, (UserRow.tenant_id == GroupUser.tenant_id) & (UserRow.id == GroupUser.user_id))
        .join(Account, (Account.tenant_id == UserRow.tenant_id) & (Account.id == UserRow.account_id))
        .where(GroupUser.tenant_id == work.tenant.id, GroupUser.group_id == group_id)
    )
    by = (UserRow.user_name_key, UserRow.id)
    found = await paging.page_of_several(work.db, rows, *by, limit=limit, cursor=cursor)
    return found.of(lambda row: Member(*row))


MOST_LOOKED_AT = 1000
"""People of a group who are judged to find out what its removal would do."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What would become of people if a group were taken away."""

    looked_at: int
    """Of how many it was worked out: everybody in it, directly or through others, or the first `MOST_LOOKED_AT`."""
    role_changes: int
    """Who would get another role."""
    cases: int
    """Who would keep the role they have, with a case that says so: a removal gives nobody another one."""


async def removal(work: Work, group_id: UUID) -> Removal:
    """What taking a group away would change, by what is stored now; nothing is changed."""
    rule, _ = await roles.current(work)
    people = Counter(
        (row["role_state"], row["roles"], tuple(row["groups"]))
        for row in await statements.people_without(work, group_id, most=MOST_LOOKED_AT)
    )
    judged = [(*_without(rule, *alike), number) for alike, number in people.items()]
    return Removal(
        people.total(),
        sum(number for changes, _, number in judged if changes),
        sum(number for _, case, number in judged if case),
    )


def _without(rule: RoleRule, stored: str, said: str | None, groups: Sequence[str]) -> tuple[bool, bool]:
    """Whether people get another role by losing a group, and whether they get a case."""
    before = mapping.read_role_state(stored)
    after = role_states.removed(rule, before, mapping.read_roles(rule, {"roles": mapping.from_json(said)}, groups))
    return after.role != before.role, after.withheld is not None and before.withheld is None


Counted = Select[GroupRow, int, int, int]


def _counted(*which: ColumnElement[bool]) -> Counted:
    return select(GroupRow, *_members()).where(*which).order_by(GroupRow.display_name_key)


def _members() -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[int]]:
    return _count(GroupUser), _count(GroupChild), _count(GroupUnknownMember)


def _count(table: type[GroupUser] | type[GroupChild] | type[GroupUnknownMember]) -> ColumnElement[int]:
    return (
        select(func.count())
        .select_from(table)
        .where(table.tenant_id == GroupRow.tenant_id, table.group_id == GroupRow.id)
        .correlate(GroupRow)
        .scalar_subquery()
    )


async def _read(work: Work, question: Counted) -> Sequence[Group]:
    rule, _ = await roles.current(work)
    rows = (await work.db.execute(question)).all()
    return [_group(rule, *row) for row in rows]


def _group(rule: RoleRule, row: GroupRow, people: int, groups: int, unknown_members: int) -> Group:
    return Group(row, people, groups, unknown_members, rule.read([Seen.in_group(row.display_name)]).names[0])


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
