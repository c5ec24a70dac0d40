"""What a change of a group means for the roles of the people whose group names it changes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rollcall.db import Connection, Row
from rollcall.directory import mapping, role_states
from rollcall.directory.rules import Reading, RoleRule, Seen
from rollcall.journal.events import ConflictOpened, Event, UserRoleChanged
from rollcall.journal.events import message as event_message
from rollcall.provisioning import gate, statements
from rollcall.provisioning.context import Admitted
from rollcall.scim.errors import InvalidValue, SCIMException
from rollcall.scim.resources import key

_NAMED_IN_REFUSALS = 5


class Conflicts(Exception):
    """People whose roles would conflict by a change of a group."""

    def __init__(self, found: Sequence[tuple[Row, Reading]]) -> None:
        self.found = found


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
    touched = await statements.touched_people(call, result["touched"] or [], connection)
    conflicts: list[tuple[Row, Reading]] = []
    people: list[dict[str, Any]] = []
    for person in touched:
        document = {"roles": mapping.from_json(person["roles"])}
        reading = mapping.read_roles(rule, document, mapping.group_names(person["groups"]))
        lost = not gains or not mapping.is_in(person["groups"], result["id"])
        if reading.conflict and not lost and person["active"] and rule.on_conflict == "reject":
            conflicts.append((person, reading))
        else:
            people.append(_resettled(rule, person, reading, lost=lost))
    if conflicts:
        raise Conflicts(conflicts)
    await statements.settle_group(admitted, people, result["id"], event_message(event), described, connection)


def _resettled(rule: RoleRule, person: Row, reading: Reading, *, lost: bool) -> dict[str, Any]:
    """The change that brings a touched person to what their names mean now; *lost* is whether they only lost some."""
    before = mapping.read_role_state(person["role_state"])
    after = role_states.held(rule, before) if reading.conflict else role_states.provider_says(rule, before, reading)
    withheld = lost and role_states.gives(rule, before, after)
    if withheld:
        after = role_states.held(rule, before)
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
    elif withheld:
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
    entered = gate.is_entered(admitted, refusal)
    described = gate.described_refusal(admitted.call, payload, refusal.status, entered=entered)
    target = None if group_id is None else str(group_id)
    await statements.refuse_group(
        admitted, statements.as_json(described), refusal.status, refusal.detail, target, cases
    )
    return refusal
