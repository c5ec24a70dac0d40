"""Everybody judged at once: people put together by what decides their role, and the rule asked once for each kind.

What a name means is read in Python, by the rule, each distinct one once; the database only compares what everybody's
names mean. So the rule is written once, and a hundred thousand people take one statement.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select

from rollcall.db import Row
from rollcall.directory import mapping, role_states, statements
from rollcall.directory.models import GroupRow
from rollcall.directory.role_states import RoleOrigin, RoleState
from rollcall.directory.rules import Reading, ReadName, RoleRule, Seen
from rollcall.scim.role_names import role_names
from rollcall.work import Work

_CONTRADICTION = -1
_ID = 16
"""Bytes of an id."""


def packed(kinds: Iterable["Alike"]) -> bytes:
    """The accounts of all these."""
    return b"".join(kind.accounts for kind in kinds)


def unpacked(accounts: bytes) -> list[UUID]:
    """Packed ids, each by itself, in their order."""
    return sorted(UUID(bytes=accounts[at : at + _ID]) for at in range(0, len(accounts), _ID))


@dataclass(frozen=True, slots=True)
class Alike:
    """People with the same role state, whose names mean the same, and what the rule makes of them."""

    accounts: bytes
    """Their ids, packed: nearly always they are only handed on to the database."""
    before: RoleState
    was_admin: bool
    after: RoleState
    is_admin: bool
    loses: bool
    """Whether something is taken from them: the rights of an admin, a role they were given, one that is no more, or one
    that a removal has left and does not give. It, and a change of what is withheld, is written with the answer."""
    reading: Reading
    """What their names mean; where they contradict each other, not which names those are."""

    @property
    def changes(self) -> bool:
        """Whether their role, or anything remembered of it, becomes another."""
        return self.after != self.before or self.is_admin != self.was_admin

    @property
    def shows(self) -> bool:
        """Whether their role becomes another, or they become admins or are ones no longer."""
        return self.after.role != self.before.role or self.is_admin != self.was_admin

    @property
    def number(self) -> int:
        """How many they are."""
        return len(self.accounts) // _ID

    @property
    def has_case(self) -> bool:
        """Whether an admin should know of their names."""
        return self.in_conflict or bool(self.reading.unknown)

    @property
    def in_conflict(self) -> bool:
        """Whether their names contradict each other, or mean a role that is withheld from them."""
        return self.reading.conflict or self.after.withheld is not None


@dataclass(slots=True)
class _Meanings:
    """What names mean, by a number for each role, and for each name that no role has."""

    numbers: dict[tuple[str | None, str], int] = field(default_factory=dict[tuple[str | None, str], int])
    names: list[ReadName] = field(default_factory=list[ReadName])
    """A name with each meaning, in the order of their numbers."""

    def of(self, names: Iterable[ReadName]) -> set[int]:
        """The meanings of those names that count."""
        return {self._number(name) for name in names if name.kind != "ignored"}

    def reading(self, number: int | None) -> Reading:
        """A reading of names that mean this."""
        if number is None:
            return Reading(())
        return Reading(tuple(self.names[:2]) if number == _CONTRADICTION else (self.names[number],))

    def _number(self, name: ReadName) -> int:
        meaning = (name.role, "" if name.role is not None else name.spelling)
        if meaning not in self.numbers:
            self.numbers[meaning] = len(self.names)
            self.names.append(name)
        return self.numbers[meaning]


@dataclass(slots=True)
class Said:
    """What the database is handed to find out whose names mean the same."""

    roles: list[str] = field(default_factory=list[str])
    """Values of the attribute ``roles`` that mean something, as JSON, with the least and the greatest of it."""
    least: list[int] = field(default_factory=list[int])
    most: list[int] = field(default_factory=list[int])
    groups: list[UUID] = field(default_factory=list[UUID])
    """Groups whose names mean something, and what."""
    means: list[int] = field(default_factory=list[int])
    meanings: _Meanings = field(default_factory=_Meanings)


def said(rule: RoleRule, roles: Iterable[str], groups: Iterable[tuple[UUID, str]]) -> Said:
    """Read each value of ``roles`` that somebody here has, and the name of each group here, by *rule*."""
    found = Said()
    for value in roles if rule.reads("roles") else ():
        names = role_names({"roles": json.loads(value)})
        if meant := found.meanings.of(rule.read(Seen(name, "roles") for name in names).names):
            found.roles.append(value)
            found.least.append(min(meant))
            found.most.append(max(meant))
    for group_id, name in groups if rule.reads("groups") else ():
        for meant in found.meanings.of(rule.read([Seen.in_group(name)]).names):
            found.groups.append(group_id)
            found.means.append(meant)
    return found


Judge = Callable[[RoleRule, RoleState, Reading], RoleState]
"""What becomes of a role state, as `role_states.rule_changed` says it of an edit of the rule."""


def kinds(
    rule: RoleRule, found: Said, rows: Iterable[Row], judged: Judge = role_states.rule_changed
) -> Sequence[Alike]:
    """What *rule* makes of people whom the database has put together, as ``people_alike`` does."""
    return [alike(rule, row, found.meanings.reading(row["meaning"]), judged) for row in rows]


def in_conflict(kinds: Iterable[Alike]) -> bytes:
    """The accounts that have a case of conflicting names, or keep one."""
    return packed(kind for kind in kinds if kind.in_conflict)


async def judge(work: Work, rule: RoleRule) -> Sequence[Alike]:
    """Work out what *rule* makes of everybody, by what is stored of them now; nothing is locked or changed."""
    named = await work.db.execute(
        select(GroupRow.id, GroupRow.display_name).where(GroupRow.tenant_id == work.tenant.id)
    )
    found = said(rule, await statements.values_of_roles(work), [(row.id, row.display_name) for row in named])
    return kinds(rule, found, await statements.people_alike(work, found))


def fingerprint(kinds: Iterable[Alike], *beside: str) -> str:
    """One text for whose role becomes which, who becomes an admin or is one no longer, and whose names contradict each
    other; *beside* is what else counts."""
    found = sha256("\n".join(beside).encode())
    people = sorted(
        (kind.accounts[at : at + _ID], _becomes(kind))
        for kind in kinds
        if kind.shows or kind.reading.conflict
        for at in range(0, len(kind.accounts), _ID)
    )
    for account, becomes in people:
        found.update(account + becomes.encode())
    return found.hexdigest()


def _becomes(kind: Alike) -> str:
    return f"{kind.before.role} {kind.after.role} {kind.was_admin} {kind.is_admin} {kind.reading.conflict}"


def alike(rule: RoleRule, row: Row, reading: Reading, judged: Judge = role_states.rule_changed) -> Alike:
    """What *rule* makes of people with the same role state, in a row with their accounts, whose names read the same."""
    before, was_admin = mapping.read_role_state(row["role_state"]), row["is_admin"]
    after = judged(rule, before, reading)
    is_admin = after.role in rule.admin_roles
    loses = (was_admin and not is_admin) or after.withheld != before.withheld
    if after.role != before.role:
        falls = after.origin is RoleOrigin.DEFAULT and before.origin is not RoleOrigin.DEFAULT
        loses = loses or falls or before.role not in rule.roles
    return Alike(row["accounts"], before, was_admin, after, is_admin, loses, reading)
