"""Groups as identity providers handle them: the doors of ``/scim/v2/Groups``.

Members are rows, and a change of some of them is a few set operations on those. What a change means for roles is worked
out only for the people whose group names changed, and only where names are concerned that count for roles; it takes
effect in the same transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_changes
from functools import partial
from typing import Any
from uuid import UUID

from rollcall.db import Connection, Overtaken, Row
from rollcall.directory import mapping, role_states
from rollcall.directory.rules import Reading, RoleRule, Seen
from rollcall.functions import qualified
from rollcall.journal.events import ConflictOpened, Event, GroupChanged, GroupCreated, GroupRemoved, UserRoleChanged
from rollcall.journal.events import message as event_message
from rollcall.provisioning import at_once, gate, rendering
from rollcall.provisioning.calls import (
    Answer,
    ReadPayload,
    carried_out,
    check_conditions,
    depends_on_version,
    id_of,
    judged_at_commit,
    read_payload,
    refused,
    trace,
    writing,
)
from rollcall.provisioning.gate import Admitted, Call
from rollcall.scim import documents
from rollcall.scim import groups as protocol
from rollcall.scim.conditions import UNCONDITIONAL
from rollcall.scim.errors import Conflict, InvalidValue, NotFound, SCIMException, Uniqueness
from rollcall.scim.groups import AddMembers, RemoveMembers, Rename, ReplaceMembers, SetExternalId, Step
from rollcall.scim.resources import key
from rollcall.scim.values import Habit

_ADMIT = qualified("SELECT * FROM fn.scim_admit_group($1, $2, $3, $4, $5, $6, $7)")
_WRITE = writing("scim_write_group", 6)
_DELETE = writing("scim_delete_group", 8)
_TOUCHED = qualified("SELECT * FROM fn.scim_touched($1, $2, $3)")
_SETTLE = qualified(
    "SELECT 'done' AS verdict, fn.still_good('scim', $1, $2, $3) FROM fn.scim_settle($1, $2, $4, $5, $6, $7, $8, $9)"
)
_REFUSE = qualified("SELECT fn.scim_refuse_group($1, $2, $3, $4, $5, $6, $7, $8, $9)")
_MEMBERS = qualified("SELECT fn.scim_members($1, $2, $3, $4)")
_TRIES = 50
_ANY_NUMBER = 2**31 - 1
_NAMED_IN_REFUSALS = 5
_PROVISION = "; provision it first, or take it out of the group at the provider"
_LONGEST_UNKNOWN_MEMBER = 256
"""Characters of an id that is none of ours."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a change asks for: the attributes to set, and the steps on the members in order.

    What is not to be set stays as it is then, not as it was when the change was worked out.
    """

    attributes: dict[str, str | None]
    steps: tuple[dict[str, Any], ...]

    @property
    def gains(self) -> bool:
        """Whether anybody could come under another group's name by it."""
        return "display_name" in self.attributes or any(step["op"] != "remove" for step in self.steps)


class _Conflicts(Exception):
    """People whose roles would conflict by a change of a group."""

    def __init__(self, found: Sequence[tuple[Row, Reading]]) -> None:
        self.found = found


async def read(call: Call, group_id: str, *, members: bool) -> Answer:
    """The group with this id, with its members unless they are not wanted.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such group.
    """
    row, admitted = await _admit(call, "read", id_of(group_id), members=members)
    if row["id"] is None:
        raise await refused(admitted, NotFound())
    needed = await check_conditions(admitted, documents.etag(row["version"]), target=row["id"], reading=True)
    trace(admitted, group_id)
    return with_changes(rendering.group_answer(call, row, row["members"]), known=not needed)


def rendered(call: Call, row: Row) -> bytes:
    """One group of a page."""
    return rendering.group_answer(call, row, row["members"]).body


@judged_at_commit
async def create(call: Call, read: ReadPayload) -> Answer:
    """Make a group.

    Raises:
        SCIMException: the gate refuses, the body can't be read, a member is not of this tenant, or roles conflict.
    """
    row, admitted = await _admit(call, "write", None)
    payload = await read_payload(admitted, read)
    try:
        wanted = _whole(payload, admitted)
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload) from refusal
    for _ in range(_TRIES):
        result = await _write(admitted, row, None, wanted, GroupCreated, payload, status=201)
        if result is not None:
            return rendering.group_answer(call, result, await _members(call, result["id"], _ANY_NUMBER))
        row = await _admit_again(call, None)
    raise await refused(admitted, _outrun(), payload=payload)


@judged_at_commit
async def replace(call: Call, group_id: str, read: ReadPayload) -> Answer:
    """Replace a group's attributes and members (RFC 7644 §3.5.1).

    Raises:
        SCIMException: as for `create`, or this tenant has no such group.
    """

    def read_wanted(payload: dict[str, object], admitted: Admitted, _id: str) -> _Wanted:
        return _whole(payload, admitted)

    _, result = await _change(call, group_id, read, read_wanted)
    return rendering.group_answer(call, result, await _members(call, result["id"], _ANY_NUMBER))


@judged_at_commit
async def patch(call: Call, group_id: str, read: ReadPayload, *, members: bool = True) -> Answer:
    """Change some attributes or members of a group (RFC 7644 §3.5.2), all of the operations or none.

    The answer is quiet for a group of many *members*, if they are wanted at all: they are neither read nor sent for a
    change of a few.

    Raises:
        SCIMException: as for `replace`.
    """

    def read_wanted(payload: dict[str, object], admitted: Admitted, own_id: str) -> _Wanted:
        given = protocol.read_group_patch(payload, group_id=own_id, unknown=admitted.unknown_in_patch)
        admitted.deviated(given.deviations)
        return _read_unknown_members(_wanted(given.steps), admitted)

    if (group := id_of(group_id)) is not None and call.conditions == UNCONDITIONAL:
        outcome = await at_once.tried(call, partial(at_once.change_members, group, read=read, members=members))
        if isinstance(outcome, Answer):
            return outcome
        call = outcome
    admitted, result = await _change(call, group_id, read, read_wanted)
    most = rendering.members_shown(admitted, wanted=members)
    few = await _members(call, result["id"], most) if most else None
    return rendering.patched_group(admitted, result, few, wanted=members)


async def _change(
    call: Call,
    group_id: str,
    read: ReadPayload,
    read_wanted: Callable[[dict[str, object], Admitted, str], _Wanted],
) -> tuple[Admitted, Row]:
    """Carry a PUT or a PATCH out; *read_wanted* reads what it asks of the group with the id it is given."""
    row, admitted = await _admit(call, "write", id_of(group_id))
    payload = await read_payload(admitted, read)
    if row["id"] is None:
        raise await refused(admitted, NotFound(), payload=payload)
    try:
        wanted = read_wanted(payload, admitted, str(row["id"]))
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload, target=row["id"]) from refusal
    for _ in range(_TRIES):
        if row["id"] is None:
            raise await refused(admitted, NotFound(), payload=payload)
        await check_conditions(admitted, documents.etag(row["version"]), target=row["id"], payload=payload)
        result = await _write(admitted, row, row["id"], wanted, GroupChanged, payload, status=200)
        if result is not None:
            return admitted, result
        row = await _admit_again(call, row["id"])
    raise await refused(admitted, _outrun(), payload=payload, target=row["id"])


@judged_at_commit
async def delete(call: Call, group_id: str) -> None:
    """Take a group away; whoever had a role through it is judged anew.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such group.
    """
    row, admitted = await _admit(call, "write", id_of(group_id))
    for _ in range(_TRIES):
        if row["id"] is None:
            raise await refused(admitted, NotFound())
        await check_conditions(admitted, documents.etag(row["version"]), target=row["id"])
        result = await _remove(admitted, row)
        if result is None or result["verdict"] == "stale":
            row = await _admit_again(call, row["id"])
            continue
        if result["verdict"] == "not_found":
            raise NotFound
        if result["verdict"] != "done":
            await gate.refuse_verdict(call, result)
        return
    raise await refused(admitted, _outrun(), target=row["id"])


async def _remove(admitted: Admitted, row: Row) -> Row | None:
    """Take the group away, unless what was worked out from *row* is no longer so; ``None`` if others were quicker."""
    call = admitted.call
    rule = mapping.read_rule(row["rule"])
    relevant = _counts(rule, (row["display_name"], *row["above"]))
    described = mapping.as_json(call.described() | {"status": 204})
    try:
        async with call.context.pool.acquire() as connection, connection.transaction():
            result = await carried_out(
                call,
                _DELETE,
                row["id"],
                relevant,
                row["rule_version"],
                described,
                row["version"] if depends_on_version(call) else None,
                through=connection,
            )
            if result["verdict"] == "done" and relevant:
                event = GroupRemoved(group_id=row["id"], display_name=row["display_name"])
                await _settle(connection, admitted, rule, result, row["id"], event, described, gains=False)
            return result
    except Overtaken:
        return None


def _outrun() -> Conflict:
    return Conflict(detail="Others change this group, or what group names mean, too quickly; try again")


async def _write(
    admitted: Admitted,
    before: Row,
    group_id: UUID | None,
    wanted: _Wanted,
    event_type: type[GroupCreated] | type[GroupChanged],
    payload: dict[str, object],
    *,
    status: int,
) -> Row | None:
    """Carry the change out; ``None`` when it was worked out from what is no longer so."""
    call = admitted.call
    token = call.token
    rule = mapping.read_rule(before["rule"])
    names = [name for name in (wanted.attributes.get("display_name"), before["display_name"]) if name]
    relevant = _counts(rule, (*names, *(before["above"] or ())))
    change = {
        "create": group_id is None,
        **wanted.attributes,
        "steps": wanted.steps,
        "relevant": relevant,
        "unique_name": admitted.profile.unique_group_names,
        "rule_version": before["rule_version"],
        "event": event_type.topic,
    }
    if group_id is not None and depends_on_version(call):
        change["version"] = before["version"]
    described = mapping.as_json(call.described(payload) | {"status": status})
    what = (group_id, mapping.as_json(change), described)
    if not relevant:
        result = await carried_out(call, _WRITE, *what)
        if result["verdict"] == "done":
            call.context.recent_callers.keep_plain_group(token.tenant_id, result["id"], before["rule_version"])
    else:
        try:
            async with call.context.pool.acquire() as connection, connection.transaction():
                result = await carried_out(call, _WRITE, *what, through=connection)
                if result["verdict"] == "done":
                    event = event_type(group_id=result["id"], display_name=result["display_name"])
                    await _settle(
                        connection,
                        admitted,
                        rule,
                        result,
                        result["id"],
                        event,
                        described,
                        gains=wanted.gains,
                    )
        except _Conflicts as conflicts:
            raise await _refuse_conflicts(admitted, conflicts, payload, group_id) from conflicts
        except Overtaken:
            return None
    if relevant and wanted.gains and result["verdict"] == "done":
        named = wanted.attributes.get("display_name") or before["display_name"]
        said = rule.read(map(Seen.in_group, (named, *(before["above"] or ()))))
        admitted.deviated(mapping.habits_of(said.names))
    return await _judged(call, result)


async def _judged(call: Call, result: Row) -> Row | None:
    match result["verdict"]:
        case "done":
            return result
        case "stale":
            return None
        case "not_found":
            raise NotFound
        case "uniqueness":
            raise Uniqueness("displayName")
        case "cycle":
            raise InvalidValue(detail="members: a group would be inside itself; take it out of the other one first")
        case "unknown_member":
            raise InvalidValue(detail=f"members: there is no user or group {result['reason']} here{_PROVISION}")
        case "unknown_members":
            raise InvalidValue(
                detail="members: more than 100 of this group's members would be ids that nobody has; take some "
                "out of the group at the provider"
            )
        case _:
            await gate.refuse_verdict(call, result)
            return None


async def _settle(
    connection: Connection,
    admitted: Admitted,
    rule: RoleRule,
    result: Row,
    group_id: UUID,
    event: Event,
    described: str,
    *,
    gains: bool,
) -> None:
    """Give everybody whose group names changed the role that follows, in the same transaction.

    Raises:
        _Conflicts: somebody would have two roles, and the rule rejects that.
    """
    call = admitted.call
    touched = await connection.fetch(_TOUCHED, call.token.tenant_id, result["touched"] or [], call.context.base_url)
    conflicts: list[tuple[Row, Reading]] = []
    people: list[dict[str, Any]] = []
    for person in touched:
        document = {"roles": mapping.from_json(person["roles"])}
        reading = mapping.read_roles(rule, document, mapping.group_names(person["groups"]))
        if reading.conflict and gains and person["active"] and rule.on_conflict == "reject":
            conflicts.append((person, reading))
        else:
            people.append(_resettled(rule, person, reading))
    if conflicts:
        raise _Conflicts(conflicts)
    await carried_out(
        call,
        _SETTLE,
        admitted.owner_id,
        admitted.label,
        mapping.as_json(people),
        group_id,
        mapping.as_json(event_message(event)),
        described,
        through=connection,
    )


def _resettled(rule: RoleRule, person: Row, reading: Reading) -> dict[str, Any]:
    """The change that brings a touched person to what their names mean now."""
    before = mapping.read_role_state(person["role_state"])
    after = role_states.held(rule, before) if reading.conflict else role_states.provider_says(rule, before, reading)
    events: list[Event] = []
    if after.role != before.role:
        events.append(UserRoleChanged(before=before.role, after=after.role, origin=after.origin.value))
    settled: dict[str, Any] = {
        "account_id": str(person["account_id"]),
        "user_id": str(person["user_id"]),
        "user_name_key": key(person["user_name"]),
        **mapping.with_role(rule, after),
    }
    if reading.conflict:
        events.append(ConflictOpened(roles=list(reading.roles)))
        settled["case"] = mapping.case_of({"userName": person["user_name"]}, reading)
    elif reading.unknown:
        settled["unknown"] = mapping.unknown_case(person["user_name"], reading.unknown)
    settled["events"] = [event_message(event) for event in events]
    return settled


async def _refuse_conflicts(
    admitted: Admitted, conflicts: _Conflicts, payload: dict[str, object], group_id: UUID | None
) -> SCIMException:
    """The refusal of a change by which people would have two roles each; their cases are opened with it."""
    call = admitted.call
    told = [f"{person['user_name']}: {reading.describe()}" for person, reading in conflicts.found]
    more = len(told) - _NAMED_IN_REFUSALS
    detail = "; ".join(told[:_NAMED_IN_REFUSALS]) + (f"; and {more} more people" if more > 0 else "")
    refusal = InvalidValue(
        detail=f"members: a person has one role, so nothing was changed: {detail}. "
        "Leave each of them one such group or role at the identity provider"
    )
    cases = [
        mapping.case_of({"userName": person["user_name"]}, reading) | {"user_id": str(person["user_id"])}
        for person, reading in conflicts.found
    ]
    entered = gate.is_entered(call, admitted.label, admitted.owner_id, refusal)
    described = mapping.as_json(gate.described_refusal(call, payload, refusal.status, entered=entered))
    await call.context.pool.fetchrow(
        _REFUSE,
        call.token.tenant_id,
        call.token.id,
        admitted.owner_id,
        admitted.label,
        described,
        refusal.status,
        refusal.detail,
        None if group_id is None else str(group_id),
        mapping.as_json(cases),
    )
    return refusal


async def _admit(call: Call, needs: str, group_id: UUID | None, *, members: bool = False) -> tuple[Row, Admitted]:
    row = await _ask(call, needs, group_id, members=members)
    admitted = await gate.judge(call, row)
    if needs == "write":
        gate.remember(admitted, row)
    return row, admitted


async def _admit_again(call: Call, group_id: UUID | None) -> Row:
    """Look at the stored state once more, in the same call: it takes no second permit of the rate limit."""
    row = await _ask(call, "write", group_id, members=False)
    if row["verdict"] != "ok":
        await gate.refuse_verdict(call, row)
    return row


async def _ask(call: Call, needs: str, group_id: UUID | None, *, members: bool) -> Row:
    token = call.token
    row = await call.context.pool.fetchrow(
        _ADMIT, token.tenant_id, token.id, token.digest, needs, group_id, call.context.base_url, members
    )
    assert row is not None
    return row


async def _members(call: Call, group_id: UUID, most: int) -> str | None:
    """The members as JSON, or None when there are more than *most*."""
    return await call.context.pool.fetchval(_MEMBERS, call.token.tenant_id, group_id, call.context.base_url, most)


def _counts(rule: RoleRule, names: Sequence[str]) -> bool:
    """Whether any of these group names could give somebody a role, or take one away."""
    return rule.reads("groups") and rule.read(Seen.in_group(name) for name in names).managed


def _named(display_name: str) -> dict[str, str | None]:
    return {"display_name": display_name, "display_name_key": key(display_name)}


def _known_outside(external_id: str | None) -> dict[str, str | None]:
    return {"external_id": None if external_id is None else mapping.composed(external_id)}


def _whole(payload: dict[str, object], admitted: Admitted) -> _Wanted:
    """What a POST or a PUT asks for: everything as given; what is unusual about it is counted.

    Raises:
        SCIMException: it can't be read, or the tenant takes the standard to the letter.
    """
    given = protocol.read_group(payload)
    admitted.deviated(given.deviations)
    attributes = _named(given.display_name) | _known_outside(given.external_id)
    return _read_unknown_members(_Wanted(attributes, (_step("set", given.members, given.displays),)), admitted)


def _read_unknown_members(wanted: _Wanted, admitted: Admitted) -> _Wanted:
    """Count it when members are wanted whose ids can't be anybody's.

    Raises:
        InvalidValue: the tenant takes the standard to the letter.
    """
    unknown_members = [
        each for step in wanted.steps if step["op"] != "remove" for each in step.get("unknown_members", ())
    ]
    if unknown_members and not admitted.profile.tolerant:
        raise InvalidValue(
            detail=f"members: there is no user or group {unknown_members[0]['value'][:80]!r} here{_PROVISION}"
        )
    if unknown_members:
        admitted.deviated((Habit.STRANGER,))
    return wanted


def _step(operation: str, members: Sequence[str], displays: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A step as the database takes it: ids of ours, which may be somebody's, apart from those that can't be.

    Raises:
        InvalidValue: one is too long to be an id.
    """
    called = dict(displays)
    ids: list[str] = []
    names: list[str | None] = []
    unknown_members: dict[str, dict[str, str | None]] = {}
    for member in members:
        name = called.get(member)
        if (member_id := id_of(member)) is not None:
            ids.append(str(member_id))
            names.append(name)
        elif len(member) > _LONGEST_UNKNOWN_MEMBER:
            raise InvalidValue(detail=f"members: there is no user or group {member[:80]!r}… here{_PROVISION}")
        else:
            value = mapping.composed(member)
            unknown_members[value] = {"value": value, **_called(name)}
    step: dict[str, Any] = {"op": operation, "ids": ids}
    if any(names):
        step |= {"displays": names, "display_keys": [_called(name)["display_key"] for name in names]}
    if unknown_members:
        step["unknown_members"] = [*unknown_members.values()]
    return step


def _called(name: str | None) -> dict[str, str | None]:
    return {"display": name, "display_key": None if name is None else key(name)}


def _wanted(steps: Sequence[Step]) -> _Wanted:
    """What a PATCH asks for."""
    attributes: dict[str, str | None] = {}
    on_members: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case Rename(name):
                attributes |= _named(name)
            case SetExternalId(value):
                attributes |= _known_outside(value)
            case AddMembers(ids, displays):
                on_members.append(_step("add", ids, displays))
            case RemoveMembers(ids):
                on_members.append(_step("remove", ids))
            case ReplaceMembers(ids, displays):
                on_members.append(_step("set", ids, displays))
            case _:
                raise InvalidValue(detail='members: select them by value, as in members[value eq "…"]')
    return _Wanted(attributes, tuple(on_members))
