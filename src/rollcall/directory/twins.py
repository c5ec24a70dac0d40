"""Names from before there was the present key: kept by a second one, and listed where two of them are the same.

A key of the first version stays as it is stored, and `fill` puts the present one beside it. Where two people come to
have one key they are twins: both stay, each is found by their own spelling, and whoever would be a third is refused.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import or_, select

from rollcall.db import Connection
from rollcall.directory.models import UserNameKey, UserRow
from rollcall.scim.name_keys import name_key
from rollcall.work import Work

_AT_ONCE: Final = 1000
"""Rows that are looked at, and locked, in one statement."""

_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Holder:
    """A person, or a group, and its name as it was sent."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Twins:
    """Several in one tenant whose names are the same."""

    tenant: str
    kind: str
    """``userName`` or ``displayName``."""
    holders: Sequence[Holder]


@dataclass(frozen=True, slots=True)
class _Table:
    kind: str
    rows: str
    key: str
    name: str
    keys: str
    id: str


_TABLES: Final = (
    _Table("userName", "users", "user_name_key", "document ->> 'userName'", "user_name_keys", "user_id"),
    _Table("displayName", "groups", "display_name_key", "display_name", "group_name_keys", "group_id"),
)

# Only what is neither plain ASCII nor without blanks around it can have another key.
_SOME = """
SELECT r.tenant_id, r.id, r.{key} AS first_key, {name} AS name FROM {rows} r
 WHERE (r.tenant_id, r.id) > ($1, $2) AND r.{key} !~ '^[!-~]([ -~]*[!-~])?$'
 ORDER BY r.tenant_id, r.id LIMIT $3
"""
_KEEP = """
INSERT INTO {keys} AS kept (tenant_id, {id}, first_key, key)
SELECT r.tenant_id, r.id, n.first_key, n.key
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) n(tenant_id, id, first_key, key)
  JOIN {rows} r ON r.tenant_id = n.tenant_id AND r.id = n.id AND r.{key} = n.first_key
 ORDER BY r.tenant_id, r.id FOR KEY SHARE OF r
ON CONFLICT (tenant_id, {id}) DO UPDATE SET first_key = excluded.first_key, key = excluded.key
 WHERE (kept.first_key, kept.key) <> (excluded.first_key, excluded.key)
"""
_FORGET = """
DELETE FROM {keys} k WHERE NOT EXISTS (
    SELECT FROM {rows} r WHERE r.tenant_id = k.tenant_id AND r.id = k.{id} AND r.{key} = k.first_key)
"""
_PLAINLY_CALLED = """
SELECT r.tenant_id, r.id, r.{key} AS key, {name} AS name FROM {rows} r
  JOIN unnest($1::uuid[], $2::text[]) n(tenant_id, key) ON n.tenant_id = r.tenant_id AND n.key = r.{key}
"""


async def fill(owner: Connection) -> int:
    """Give every name of the first version its present key; returns how many there are. Safe to repeat.

    A few rows are locked at a time, each batch is a transaction, and the rows of people and groups are not written: it
    runs while everybody works, processes of the version before too. What those have stored meanwhile is found the next
    time.
    """
    found = 0
    for table in _TABLES:
        async for rows in _of_first_version(owner, table):
            columns = [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]]
            await owner.execute(_said(_KEEP, table), *columns, [name_key(row[2]) for row in rows])
            found += len(rows)
        await owner.execute(_said(_FORGET, table))
    return found


async def of(work: Work, user: UserRow) -> Sequence[str]:
    """The userNames of a person's twins, in alphabetical order: nearly always none."""
    name = name_key(user.user_name_key)
    of_keys = select(UserNameKey.user_id).where(UserNameKey.tenant_id == work.tenant.id, UserNameKey.key == name)
    same = or_(UserRow.user_name_key == name, UserRow.id.in_(of_keys))
    others = select(UserRow.user_name_key, UserRow.document["userName"].astext).where(
        UserRow.tenant_id == work.tenant.id, UserRow.id != user.id, same
    )
    return sorted(text for key, text in await work.db.execute(others) if name_key(key) == name)


async def listed(owner: Connection) -> Sequence[Twins]:
    """All twins of the installation; nothing is changed, and no table of a later revision than the first is read."""
    slugs = {row["id"]: row["slug"] for row in await owner.fetch("SELECT id, slug FROM tenants")}
    return [
        Twins(slugs[tenant_id], table.kind, sorted(holders, key=lambda holder: holder.id))
        for table in _TABLES
        for (tenant_id, _), holders in sorted((await _by_key(owner, table)).items(), key=lambda each: each[0])
        if len(holders) > 1
    ]


async def _by_key(owner: Connection, table: _Table) -> dict[tuple[UUID, str], list[Holder]]:
    """Who has each key that a name of the first version has."""
    called: dict[tuple[UUID, str], list[Holder]] = {}
    async for rows in _of_first_version(owner, table):
        for row in rows:
            called.setdefault((row["tenant_id"], name_key(row["first_key"])), []).append(_holder(row))
    wanted = [*called]
    for begin in range(0, len(wanted), _AT_ONCE):
        some = wanted[begin : begin + _AT_ONCE]
        tenants, keys = [each[0] for each in some], [each[1] for each in some]
        for row in await owner.fetch(_said(_PLAINLY_CALLED, table), tenants, keys):
            called[row["tenant_id"], row["key"]].append(_holder(row))
    return called


async def _of_first_version(owner: Connection, table: _Table) -> AsyncGenerator[list[Any]]:
    """Rows whose stored key is of the first version, some at a time; one of which nothing can be seen stays so."""
    after = (_FIRST, _FIRST)
    while rows := await owner.fetch(_said(_SOME, table), *after, _AT_ONCE):
        if found := [row for row in rows if name_key(row["first_key"]) not in {"", row["first_key"]}]:
            yield found
        after = rows[-1]["tenant_id"], rows[-1]["id"]


def _holder(row: Any) -> Holder:
    return Holder(str(row["id"]), row["name"])


def _said(statement: str, table: _Table) -> str:
    return statement.format(rows=table.rows, key=table.key, name=table.name, keys=table.keys, id=table.id)
