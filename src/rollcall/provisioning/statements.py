"""The statements of provisioning: one function for each function of the database that identity providers' calls use.

Every row has the gate's verdict and what the gate knows of the caller (`_GATE`); what else it has is said at each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import orjson

from rollcall.db import Connection, DatabaseError, Row, has_ended
from rollcall.directory.statements import Names
from rollcall.directory.user_changes import UserChange
from rollcall.functions import qualified
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.masking import masked
from rollcall.retries import fetchrow_again
from rollcall.search.queries import MOST_MEMBERS, LookedUp

_GATE = (
    "(r.gate).verdict, (r.gate).token_label, (r.gate).owner_id, (r.gate).plan, (r.gate).rate, (r.gate).burst, "
    "(r.gate).profile"
)
_CONTEXT = f"{_GATE}, (r.gate).rule::text AS rule, (r.gate).rule_version"
_USER = "r.id, r.document, r.version, r.created_at, r.last_modified, r.groups"
_JUDGED = f"{_USER}, r.account_id, r.active, r.role_state, r.group_revision"
_GROUP = "r.id, r.display_name, r.external_id, r.version, r.created_at, r.last_modified"
_TAKES = "(r.gate).verdict <> 'ok'"
_GOOD = f"CASE r.outcome WHEN 'done' THEN fn.still_good('scim', $1, $2, $3, (r.gate).profile, {_TAKES}) END"


def _asked(columns: str, function: str) -> str:
    return qualified(f"SELECT {columns} FROM fn.{function} r")  # noqa: S608  # names of ours


def _changed(columns: str, function: str) -> str:
    """A change, after which the gate is asked again: it may have waited for others, and decides by what is so then."""
    return qualified(f"SELECT {columns}, r.outcome, r.reason, {_GOOD} FROM fn.{function} r")  # noqa: S608  # as above


class EndedMeanwhile(Exception):
    """What the gate said as it let the call in was no longer so when all it waited for was over; nothing was done."""


def as_json(value: object) -> str:
    """*value* as the functions take it."""
    return orjson.dumps(value).decode()


def _who(call: Call) -> tuple[UUID, UUID, bytes]:
    return call.token.tenant_id, call.token.id, call.token.digest


async def _ask(call: Call, statement: str, *what: object) -> Row:
    row = await call.context.pool.fetchrow(statement, *_who(call), *what, of=call.token.tenant_id)
    return cast("Row", row)  # the functions answer whatever is asked


async def _carry_out(call: Call, statement: str, *what: object, through: Connection | None = None) -> Row:
    try:
        if through is None:
            row = await fetchrow_again(call.context.pool, statement, *_who(call), *what, of=call.token.tenant_id)
        else:
            row = await through.fetchrow(statement, *_who(call), *what)
    except DatabaseError as error:
        if has_ended(error):
            raise EndedMeanwhile from error
        raise
    return cast("Row", row)


_GATE_ALONE = qualified(
    "SELECT verdict, token_label, owner_id, plan, rate, burst, profile, rule::text AS rule, rule_version "
    "FROM fn.gate($1, $2, $3, $4)"
)


async def gate(call: Call, needs: str) -> Row:
    """Only the gate; *needs* is ``read`` or ``write``. The row has the caller's whole context."""
    return await _ask(call, _GATE_ALONE, needs)


_READ_USER = _asked(f"{_GATE}, {_USER}", "read_user($1, $2, $3, 'read', $4, $5)")
_JUDGE_USER = _asked(f"{_CONTEXT}, {_JUDGED}", "read_user($1, $2, $3, 'write', $4, $5)")


async def read_user(call: Call, user_id: UUID | None) -> Row:
    """A person, to be shown; ``id`` is None if there is no such one."""
    return await _ask(call, _READ_USER, user_id, call.context.base_url)


async def user_to_change(call: Call, user_id: UUID | None) -> Row:
    """The caller's context, and a person with all that a change of them is judged by."""
    return await _ask(call, _JUDGE_USER, user_id, call.context.base_url)


_OWN_USER = _asked(f"{_GATE}, r.id", "own_user($1, $2, $3, $4)")


async def own_user(call: Call, needs: str) -> Row:
    """The ``id`` of the person who owns the token, if anybody does."""
    return await _ask(call, _OWN_USER, needs)


_CREATE_USER = _changed(
    f"{_GATE}, r.id, r.version, r.created_at, r.last_modified, r.account_id, r.role_state",
    "create_user($1, $2, $3, $4, $5, $6)",
)


async def create_user(admitted: Admitted, change: UserChange, payload: object) -> Row:
    """Take somebody in. ``outcome``: done, stale, former (``account_id`` and ``role_state``), uniqueness (``id``),
    seats.

    Raises:
        EndedMeanwhile: the token ended while the statement waited.
    """
    call = admitted.call
    described = as_json(call.described(payload))
    return await _carry_out(call, _CREATE_USER, as_json(admitted.remembered), change.as_json(), described)


_CREATE_USERS = qualified(
    f"SELECT (r.gate).verdict, r.outcome, r.outcomes, r.reasons, r.ids, r.versions, {_GOOD} "  # noqa: S608  # as above
    "FROM fn.create_users($1, $2, $3, $4, $5, $6, $7, $8) r"
)


async def create_users(
    admitted: Admitted, changes: Sequence[UserChange], payloads: Sequence[object], *, most_refused: int
) -> Row:
    """Take several people in, until *most_refused* are refused. ``outcome``: done, stale.

    ``outcomes`` has that of each person who was come to: done, uniqueness; with ``reasons``, ``ids``, ``versions``.
    It is not run again where it is `Overtaken`.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    call = admitted.call
    described, singly = call.described(), call.context.batched_entries.refusals.singly_left(*_who(call)[:2])
    calls = [as_json(described | {"payload": masked(payload)}) for payload in payloads]
    what = (as_json(admitted.remembered), [each.as_json() for each in changes], calls, most_refused, singly)
    try:
        row = await call.context.pool.fetchrow(_CREATE_USERS, *_who(call), *what, of=call.token.tenant_id)
    except DatabaseError as error:
        if has_ended(error):
            raise EndedMeanwhile from error
        raise
    return cast("Row", row)  # as above


_SAVE_USER = _changed(f"{_GATE}, {_JUDGED}", "save_user($1, $2, $3, $4, $5, $6, $7, $8)")


async def save_user(
    admitted: Admitted, user_id: UUID, change: UserChange, payload: object, *, status: int = 200
) -> Row:
    """Change somebody.

    ``outcome``: done, stale, judge (the row is who is stored), uniqueness (``id``), not_found, seats.

    *status* is what the call is answered once it is done. While the plan includes SCIM no more, only a departure is.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    call = admitted.call
    context, described = as_json(admitted.remembered), as_json(call.described(payload) | {"status": status})
    return await _carry_out(call, _SAVE_USER, user_id, call.context.base_url, context, change.as_json(), described)


_DELETE_USER = _changed(_GATE, "delete_user($1, $2, $3, $4, $5, $6, $7)")


async def delete_user(call: Call, user_id: UUID, seen: dict[str, Any] | None) -> Row:
    """Take a person's resource away, with *seen* only if they are still so. ``outcome``: done, stale, not_found.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    given = None if seen is None else as_json(seen)
    return await _carry_out(call, _DELETE_USER, user_id, call.arrived, given, as_json(call.described()))


_NOTE = qualified("SELECT fn.note_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")


async def note_call(
    admitted: Admitted,
    described: dict[str, Any],
    outcome: str,
    status: int,
    detail: str | None,
    *,
    user_id: UUID | None = None,
    case: dict[str, Any] | None = None,
) -> None:
    """Write down a call that changed nothing, and open or close a case."""
    call = admitted.call
    await call.context.pool.fetchrow(
        _NOTE,
        call.token.tenant_id,
        call.token.id,
        admitted.owner_id,
        admitted.label,
        as_json(described),
        outcome,
        status,
        detail,
        user_id,
        None if case is None else as_json(case),
        of=call.token.tenant_id,
    )


_KEEP_DEPARTURES = qualified("SELECT fn.keep_refused_departures($1, $2, $3, $4, $5, $6) AS kept")


async def keep_refused_departures(call: Call, active: Mapping[UUID, bool]) -> int | None:
    """Keep who leaves, and forget who is *active*, by a call that is refused as its tenant is suspended.

    Returns how many of those who leave are kept; None if the tenant is not suspended any more.
    """
    leaving = [person for person, is_active in active.items() if not is_active]
    staying = [person for person, is_active in active.items() if is_active]
    row = await _ask(call, _KEEP_DEPARTURES, leaving, staying, as_json(call.described()))
    return row["kept"]


_FIND_USERS = _asked(f"{_GATE}, {_USER}, r.total", "find_users($1, $2, $3, $4, $5, $6, $7, $8, $9)")
_FIND_USER_NAME = _asked(f"{_GATE}, {_USER}, r.total", "find_user_name($1, $2, $3, $4, $5, $6)")
_PAGE_USERS = _asked(f"{_GATE}, {_USER}, r.total", "page_users($1, $2, $3, $4, $5, $6, $7)")
_FIND_GROUPS = _asked(f"{_GATE}, {_GROUP}, r.members, r.total", "find_groups($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")


async def find_user_name(call: Call, value: LookedUp) -> Sequence[Row]:
    """Who has this userName: one row, with the ``total``; ``id`` is None if nobody has."""
    return await _list(call, _FIND_USER_NAME, value.key, value.first_key, call.context.base_url)


async def find_users(call: Call, value: LookedUp, offset: int, count: int) -> Sequence[Row]:
    """A page of who has this value in an indexed attribute: one row at least, with the ``total``."""
    what = (value.attribute, value.key, value.first_key, offset, count)
    return await _list(call, _FIND_USERS, *what, call.context.base_url)


async def page_users(call: Call, offset: int, count: int, after: UUID | None) -> Sequence[Row]:
    """A page of everybody, from an index on or *after* somebody: a row with the ``total``, then the people."""
    return await _list(call, _PAGE_USERS, offset, count, after, call.context.base_url)


async def find_groups(call: Call, value: LookedUp | None, offset: int, count: int, *, members: bool) -> Sequence[Row]:
    """A page of all groups, or of those that have this value: one row at least, with the ``total``.

    It has fewer than *count* where those have `MOST_MEMBERS` already.
    """
    wanted = (None, None, None) if value is None else (value.attribute, value.key, value.first_key)
    most = MOST_MEMBERS if members else None
    return await _list(call, _FIND_GROUPS, *wanted, offset, count, call.context.base_url, most)


async def _list(call: Call, statement: str, *what: object) -> Sequence[Row]:
    return await call.context.pool.fetch(statement, *_who(call), *what, of=call.token.tenant_id)


_READ_GROUP = _asked(f"{_CONTEXT}, {_GROUP}, r.above, r.members", "read_group($1, $2, $3, $4, $5, $6, $7)")


async def read_group(call: Call, needs: str, group_id: UUID | None, *, members: bool) -> Row:
    """A group (``id`` None: there is none), with the caller's context, and the names ``above`` it for a change."""
    return await _ask(call, _READ_GROUP, needs, group_id, call.context.base_url, members)


_SAVE_GROUP = _changed(
    f"{_GATE}, {_GROUP}, r.members, r.touched, r.many", "save_group($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)


async def save_group(
    admitted: Admitted,
    group_id: UUID | None,
    change: dict[str, Any],
    described: str,
    *,
    most_members: int,
    through: Connection | None = None,
) -> Row:
    """Make a group or change it, with its ``members`` unless there are more than *most_members*.

    ``outcome``: done (``touched`` are the people to be judged, or ``many``, packed; ``reason`` is what was left out),
    gives (``reason``), stale, not_found, uniqueness, cycle, unknown_member, unknown_members.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    call, context = admitted.call, as_json(admitted.remembered)
    what = (group_id, call.context.base_url, context, as_json(change), most_members, described)
    return await _carry_out(call, _SAVE_GROUP, *what, through=through)


_DELETE_GROUP = _changed(f"{_GATE}, r.id, r.touched, r.many", "delete_group($1, $2, $3, $4, $5, $6, $7, $8, $9)")


async def delete_group(
    admitted: Admitted,
    group_id: UUID,
    described: str,
    *,
    relevant: bool,
    version: int | None,
    many: int,
    through: Connection,
) -> Row:
    """Take a group away, with *version* only if it has that.

    ``outcome``: done (``touched`` and ``many`` as for `save_group`), stale, not_found.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    what = (group_id, relevant, admitted.rule_version, version, many, described)
    return await _carry_out(admitted.call, _DELETE_GROUP, *what, through=through)


_TOUCHED = qualified("SELECT * FROM fn.touched_people($1, $2, $3)")
_SETTLE = qualified(
    "SELECT fn.still_good('scim', $1, $2, $3, NULL, $10) FROM fn.settle_group($1, $2, $4, $5, $6, $7, $8, $9)"
)
_REFUSE = qualified("SELECT fn.refuse_group($1, $2, $3, $4, $5, $6, $7, $8, $9)")


async def touched_people(call: Call, users: Sequence[UUID], through: Connection) -> Sequence[Row]:
    """People whose group names have changed, locked by their ids, with all that decides their role."""
    return await through.fetch(_TOUCHED, call.token.tenant_id, users, call.context.base_url)


@dataclass(frozen=True, slots=True)
class ForMany:
    """What a change of a group means for the roles of many."""

    losing: Sequence[bytes]
    """Accounts, packed by the role that they have instead."""
    roles: Sequence[dict[str, Any]]
    """Those roles."""
    follows: bytes
    """The accounts to which a worker brings it."""
    conflicting: bytes
    unknown: bytes
    """Accounts with a name that no role has."""
    events: Sequence[str]
    """What became of people, by its topics."""


GroupChange = tuple[UUID, str, str]
"""A change of a group as it is written down: the group, the event and the call, both as JSON."""


_VALUES_OF_ROLES = qualified("SELECT fn.values_of_roles($1)")
_GROUPS = "SELECT id, display_name FROM groups WHERE tenant_id = $1"
_ALIKE = qualified("SELECT * FROM fn.people_alike($1, $2::jsonb[], $3, $4, $5, $6, $7)")
_ACTIVE = qualified("SELECT * FROM fn.active_among($1, $2, $3)")
_SETTLE_LARGE = qualified(
    "SELECT fn.still_good('scim', $1, $2, $3, NULL, $16) FROM fn.settle_large_group("
    "$1, $2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
)
_SPLIT = qualified(
    "SELECT coalesce(string_agg(uuid_send(u), '') FILTER (WHERE e IS NOT NULL), '') AS in_it,"
    "       coalesce(string_agg(uuid_send(u), '') FILTER (WHERE e IS NULL), '') AS others"
    "  FROM fn.unpacked($3) u LEFT JOIN fn.everybody_in($1, ARRAY[$2::uuid]) e ON e = u"
)


async def said_of_roles(call: Call, through: Connection) -> tuple[Sequence[str], Sequence[tuple[UUID, str]]]:
    """All that decides roles in the tenant: the values of ``roles`` that people have, and the groups by name."""
    values = await through.fetch(_VALUES_OF_ROLES, call.token.tenant_id)
    groups = await through.fetch(_GROUPS, call.token.tenant_id)
    return [row["values_of_roles"] for row in values], [(row["id"], row["display_name"]) for row in groups]


async def people_alike(call: Call, names: Names, users: bytes, through: Connection) -> Sequence[Row]:
    """These people, put together where role state and names are alike."""
    given = (names.roles, names.least, names.most, names.groups, names.means)
    return await through.fetch(_ALIKE, call.token.tenant_id, *given, users)


async def split_by_group(call: Call, group_id: UUID | None, users: bytes, through: Connection) -> tuple[bytes, bytes]:
    """Of these people, packed, those who are in a group or in one nested in it, and the others."""
    row = await through.fetchrow(_SPLIT, call.token.tenant_id, group_id, users)
    assert row is not None, "an aggregate has a row"
    return row["in_it"], row["others"]


async def active_among(call: Call, accounts: bytes, through: Connection, *, most: int) -> tuple[int, Sequence[UUID]]:
    """How many of these accounts are active, and the people of *most* of them."""
    row = await through.fetchrow(_ACTIVE, call.token.tenant_id, accounts, most)
    assert row is not None, "the function returns a row"
    return row["number"], row["users"] or ()


async def settle_large_group(
    admitted: Admitted, touched: bytes, outcome: ForMany, change: GroupChange, through: Connection
) -> None:
    """Carry out what a change of a group means for the roles of many, and write the change of the group down.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    people = (outcome.losing, as_json(outcome.roles), outcome.follows, outcome.conflicting, outcome.unknown)
    what = (admitted.owner_id, admitted.label, touched, *people, outcome.events, *change)
    await _carry_out(admitted.call, _SETTLE_LARGE, *what, admitted.takes_only, through=through)


async def settle_group(
    admitted: Admitted,
    people: Sequence[dict[str, Any]],
    group_id: UUID,
    event: dict[str, Any],
    described: str,
    through: Connection,
) -> None:
    """Give people the roles that were worked out for them, and write the change of the group down.

    Raises:
        EndedMeanwhile: as for `create_user`.
    """
    what = (admitted.owner_id, admitted.label, as_json(people), group_id, as_json(event), described)
    await _carry_out(admitted.call, _SETTLE, *what, admitted.takes_only, through=through)


async def refuse_group(
    admitted: Admitted, described: str, status: int, detail: str | None, target: str | None, cases: object
) -> None:
    """Write down a refused change of a group, and open the cases of everybody whose roles conflict."""
    call = admitted.call
    who = (call.token.tenant_id, call.token.id, admitted.owner_id, admitted.label)
    await call.context.pool.fetchrow(
        _REFUSE, *who, described, status, detail, target, as_json(cases), of=call.token.tenant_id
    )
