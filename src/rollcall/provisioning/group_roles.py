"""What a change of a group means for the roles of the people whose group names it changes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rollcall.db import Connection, Row
from rollcall.directory import judging, mapping, role_changes, role_states
from rollcall.directory.judging import Alike
from rollcall.directory.rules import Reading, RoleRule, Seen
from rollcall.journal.event import Event
from rollcall.journal.events import ConflictOpened, UserRoleChanged
from rollcall.journal.events import message as event_message
from rollcall.provisioning import gate, statements
from rollcall.provisioning.context import Admitted
from rollcall.scim.errors import InvalidValue, SCIMException
from rollcall.scim.resources import key

_NAMED_IN_REFUSALS = 5


MOST_CASES = 1000
"""People whose cases a refused change opens; the refusal counts the others."""


class Conflicts(Exception):
    """People whose roles would conflict by a change of a group; *number* of them in all."""

    def __init__(self, found: Sequence[tuple[Row, Reading]], number: int | None = None) -> None:
        self.found = found
        self.number = len(found) if number is None else number


def counts(rule: RoleRule, names: Sequence[str]) -> bool:
    """Whether any of these group names could give somebody a role, or take one away."""
    return rule.reads("groups") and rule.read(Seen.in_group(name) for name in names).managed


def deviations(rule: RoleRule, names: Sequence[str]) -> tuple[str, ...]:
    """What the ledger counts of a change by which people come under these names."""
    return mapping.deviations_of(rule.read(map(Seen.in_group, names)).names)


async def settle(
    connection: Connection, admitted: Admitted, result: Row, event: Event, described: str, *, gains: bool
) -> None:
    """Give everybody whose group names changed the role that follows, in the same transaction.

    *result* is the change of the group, and *gains* whether anybody could come under another name by it. Who was only
    taken out gets no other role by that: the old one is held, and a case opens.

    Raises:
        Conflicts: somebody would have two roles, and the rule rejects that.
    """
    call, rule = admitted.call, mapping.read_rule(admitted.caller.rule)
    if result["many"] is not None:
        await _settle_many(connection, admitted, result, event, described, gains=gains)
        return
    touched = await statements.touched_people(call, result["touched"] or [], connection)
    conflicts: list[tuple[Row, Reading]] = []
    people: list[dict[str, Any]] = []
    for person in touched:
        reading = _reading(rule, person)
        lost = not gains or not mapping.is_in(person["groups"], result["id"])
        if reading.conflict and not lost and person["active"] and rule.on_conflict == "reject":
            conflicts.append((person, reading))
        else:
            people.append(_resettled(rule, person, reading, lost=lost))
    if conflicts:
        raise Conflicts(conflicts)
    await statements.settle_group(admitted, people, result["id"], event_message(event), described, connection)


async def _settle_many(
    connection: Connection, admitted: Admitted, result: Row, event: Event, described: str, *, gains: bool
) -> None:
    """The same where so many people are concerned that a worker brings it to them; what it takes is taken here."""
    call, rule = admitted.call, mapping.read_rule(admitted.caller.rule)
    touched: bytes = result["many"]
    in_it, gone = await statements.split_by_group(call, result["id"] if gains else None, touched, connection)
    names = judging.said(rule, *await statements.said_of_roles(call, connection))

    async def kinds_of(people: bytes, judged: judging.Judge) -> Sequence[Alike]:
        if not people:
            return ()
        return judging.kinds(rule, names, await statements.people_alike(call, names, people, connection), judged)

    kinds = [*await kinds_of(in_it, role_states.named)]
    conflicting = judging.packed(kind for kind in kinds if kind.reading.conflict)
    if conflicting and rule.on_conflict == "reject":
        number, users = await statements.active_among(call, conflicting, connection, most=MOST_CASES)
        if number:
            people = await statements.touched_people(call, users, connection)
            raise Conflicts([(person, _reading(rule, person)) for person in people], number)
    kinds += await kinds_of(gone, role_states.removed)
    losing = [kind for kind in kinds if kind.loses]
    outcome = statements.ForMany(
        losing=[kind.accounts for kind in losing],
        roles=[*map(role_changes.given, losing)],
        follows=judging.packed(role_changes.followers(kinds)),
        conflicting=judging.in_conflict(kinds),
        unknown=judging.packed(kind for kind in kinds if kind.reading.unknown),
        events=[UserRoleChanged.topic] if any(kind.after.role != kind.before.role for kind in kinds) else [],
    )
    change = (result["id"], statements.as_json(event_message(event)), described)
    await statements.settle_large_group(admitted, touched, outcome, change, connection)


def _reading(rule: RoleRule, person: Row) -> Reading:
    return mapping.read_roles(
        rule, {"roles": mapping.from_json(person["roles"])}, mapping.group_names(person["groups"])
    )


def _resettled(rule: RoleRule, person: Row, reading: Reading, *, lost: bool) -> dict[str, Any]:
    """The change that brings a touched person to what their names mean now; *lost* is whether they only lost some."""
    before = mapping.read_role_state(person["role_state"])
    after = (role_states.removed if lost else role_states.named)(rule, before, reading)
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
    elif after.withheld is not None:
        settled["case"] = mapping.withheld_case({"userName": person["user_name"]}, after.role, reading)
        events.append(ConflictOpened(roles=settled["case"]["roles"]))
    elif reading.unknown:
        settled["unknown"] = mapping.unknown_case(person["user_name"], reading.unknown)
    settled["events"] = [event_message(event) for event in events]
    return settled


async def refuse(
    admitted: Admitted, conflicts: Conflicts, payload: dict[str, object], group_id: UUID | None
) -> SCIMException:
    """The refusal of a change by which people would have two roles each; their cases are opened with it."""
    told = [f"{person['user_name']}: {reading.describe()}" for person, reading in conflicts.found[:_NAMED_IN_REFUSALS]]
    more = conflicts.number - len(told)
    detail = "; ".join(told) + (f"; and {more} more people" if more > 0 else "")
    refusal = InvalidValue(
        detail=f"members: a person has one role, so nothing was changed: {detail}. "
        "Leave each of them one such group or role at the identity provider"
    )
    cases = [
        mapping.case_of({"userName": person["user_name"]}, reading) | {"user_id": str(person["user_id"])}
        for person, reading in conflicts.found
    ]
    entered = gate.is_entered(admitted, refusal)
    described = gate.described_refusal(admitted.call, payload, refusal.status, entered=entered)
    target = None if group_id is None else str(group_id)
    await statements.refuse_group(
        admitted, statements.as_json(described), refusal.status, refusal.detail, target, cases
    )
    return refusal
