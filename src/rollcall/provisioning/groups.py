"""Groups as identity providers handle them: the doors of ``/scim/v2/Groups``.

Members are rows, and a change of some of them is a few set operations on those. What a change means for roles is worked
out only where names are concerned that count for roles (``group_roles.py``), and takes effect in the same transaction.
"""

from collections.abc import Callable
from dataclasses import replace as with_changes
from typing import Any
from uuid import UUID

from rollcall.db import Overtaken, Row
from rollcall.directory import mapping, role_changes
from rollcall.journal.events import GroupChanged, GroupCreated, GroupRemoved
from rollcall.provisioning import gate, group_roles, rendering, statements
from rollcall.provisioning.calls import (
    Answer,
    ReadPayload,
    admitted_to_write,
    asked,
    check_conditions,
    depends_on_version,
    id_of,
    insist_on_giving,
    judged_at_commit,
    outcome_of,
    outrun,
    read_payload,
    refused,
    trace,
)
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.gate import permitted
from rollcall.provisioning.group_wishes import PROVISION, GroupWish, patch_wish, whole_wish
from rollcall.retries import TRIES, before_trying_again
from rollcall.scim import documents
from rollcall.scim.conditions import UNCONDITIONAL
from rollcall.scim.errors import Forbidden, InvalidValue, NoTarget, NotFound, Paused, SCIMException, Uniqueness

_ANY_NUMBER = 2**31 - 1
_NOBODYS = UUID(int=0)

ReadWish = Callable[[dict[str, object], Admitted], GroupWish]


async def read(call: Call, group_id: str, *, members: bool) -> Answer:
    """The group with this id, with its members unless they are not wanted.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such group.
    """
    row = await statements.read_group(call, "read", id_of(group_id), members=members)
    admitted = await gate.judge(call, row)
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
    admitted = await admitted_to_write(call)
    await insist_on_giving(admitted, "the group was not created")
    payload = await read_payload(admitted, read)
    for tried in range(TRIES):
        await before_trying_again(tried)
        await insist_on_giving(admitted, "the group was not created")
        try:
            wish = _read(whole_wish, payload, admitted)
        except SCIMException as refusal:
            if admitted.asked:
                raise await refused(admitted, refusal, payload=payload) from refusal
            admitted = await asked(admitted)  # what is remembered would refuse it; what is so now, perhaps not
            continue
        result = await _write(admitted, None, wish, payload, most_members=_ANY_NUMBER)
        if result is not None:
            admitted.deviated(wish.deviations)
            return rendering.group_answer(call, result, result["members"])
        admitted = await gate.ask(admitted.call, "write")
    raise await refused(admitted, outrun("group"), payload=payload)


@judged_at_commit
async def replace(call: Call, group_id: str, read: ReadPayload) -> Answer:
    """Replace a group's attributes and members (RFC 7644 §3.5.1).

    Raises:
        SCIMException: as for `create`, or this tenant has no such group.
    """
    _, result = await _change(call, group_id, read, whole_wish, lambda _: _ANY_NUMBER)
    return rendering.group_answer(call, result, result["members"])


@judged_at_commit
async def patch(call: Call, group_id: str, read: ReadPayload, *, members: bool = True) -> Answer:
    """Change some attributes or members of a group (RFC 7644 §3.5.2), all of the operations or none.

    The answer is quiet for a group of many *members*, if they are wanted at all: they are neither read nor sent for a
    change of a few.

    Raises:
        SCIMException: as for `replace`.
    """

    def read_wish(payload: dict[str, object], admitted: Admitted) -> GroupWish:
        return patch_wish(payload, admitted, group_id)

    def most(admitted: Admitted) -> int:
        return rendering.members_shown(admitted, wanted=members)

    admitted, result = await _change(call, group_id, read, read_wish, most)
    return rendering.patched_group(admitted, result, result["members"], wanted=members)


async def _change(
    call: Call, group_id: str, read: ReadPayload, read_wish: ReadWish, most_members: Callable[[Admitted], int]
) -> tuple[Admitted, Row]:
    """Carry a PUT or a PATCH out, with as many members in the answer as *most_members* says."""
    group = id_of(group_id)
    admitted, row = await _context(call, group)
    payload = await read_payload(admitted, read)
    async with call.context.writers.at(call.token.tenant_id, group or _NOBODYS):
        counted = False
        for tried in range(TRIES):
            await before_trying_again(tried)
            try:
                if row is not None and row["id"] is None:
                    raise NotFound
                wish = _read(read_wish, payload, admitted)
            except SCIMException as refusal:
                if row is None:  # as for `create`
                    admitted, row = await _stored_now(permitted(admitted.call), group)
                    continue
                raise await refused(admitted, refusal, payload=payload, target=row["id"]) from refusal
            if row is None and "display_name" in wish.attributes:
                admitted, row = await _stored_now(permitted(admitted.call), group)  # it may come to count for roles
            if row is not None and row["id"] is not None:
                version = documents.etag(row["version"])
                await check_conditions(admitted, version, target=row["id"], payload=payload)
            if not counted and admitted.asked:
                admitted.deviated(wish.deviations)
                counted = True
            result = await _write(admitted, row, wish, payload, most_members=most_members(admitted), group=group)
            if result is not None:
                if not counted:
                    admitted.deviated(wish.deviations)
                if result["reason"]:
                    raise await gate.not_given(call, done="members were taken out", left=result["reason"])
                return admitted, result
            admitted, row = await _stored_now(admitted.call, group)
    raise await refused(admitted, outrun("group"), payload=payload, target=group)


def _read(read_wish: ReadWish, payload: dict[str, object], admitted: Admitted) -> GroupWish:
    """What is asked for.

    Raises:
        SCIMException: it can't be read, or the tenant takes the standard to the letter.
    """
    wish = read_wish(payload, admitted)
    admitted.insist_on_standard(wish.deviations)
    return wish


async def _context(call: Call, group: UUID | None) -> tuple[Admitted, Row | None]:
    """The caller's context; and the group as it is stored, unless it is known to make nobody's role who is in it."""
    callers = call.context.recent_callers
    if group is not None and call.conditions == UNCONDITIONAL and callers.recall(call.token) is not None:
        admitted = await gate.recall(call)
        if admitted is not None and callers.is_plain_group(call.token.tenant_id, group, admitted.rule_version):
            return admitted, None
        call = call if admitted is None else permitted(admitted.call)
    return await _stored_now(call, group)


async def _stored_now(call: Call, group: UUID | None) -> tuple[Admitted, Row]:
    row = await statements.read_group(call, "write", group, members=False)
    return await gate.judge_writer(call, row), row


async def _write(
    admitted: Admitted,
    row: Row | None,
    wish: GroupWish,
    payload: dict[str, object],
    *,
    most_members: int,
    group: UUID | None = None,
) -> Row | None:
    """Carry the change out; ``None`` when it was worked out from what is no longer so.

    *row* is the group as it is stored; None for a new one, and for one that is known to make nobody's role.
    """
    call = admitted.call
    renamed = wish.attributes.get("display_name")
    named, above = (None, ()) if row is None else (row["display_name"], row["above"])
    rule = mapping.read_rule(admitted.caller.rule)
    relevant = group_roles.counts(rule, [name for name in (renamed, named, *above) if name])
    event_type = GroupCreated if group is None else GroupChanged
    change: dict[str, Any] = {
        "create": group is None,
        **wish.attributes,
        "steps": wish.steps,
        "relevant": relevant,
        "unique_name": admitted.profile.unique_group_names and not admitted.takes_only,
        "rule_version": admitted.rule_version,
        "many": role_changes.MOST_AT_THE_ANSWER,
        "event": event_type.topic,
        "takes_only": admitted.takes_only,
    }
    if row is not None and depends_on_version(call):
        change["version"] = row["version"]
    facts = call.described(payload) | {"status": 201 if group is None else 200}
    described = statements.as_json(facts)
    if not relevant:
        result = await statements.save_group(admitted, group, change, described, most_members=most_members)
        if result["outcome"] == "done":
            call.context.recent_callers.keep_plain_group(call.token.tenant_id, result["id"], admitted.rule_version)
        return await _concluded(admitted, result, payload)
    try:
        async with call.context.pool.acquire(of=call.token.tenant_id) as connection, connection.transaction():
            result = await statements.save_group(
                admitted, group, change, described, most_members=most_members, through=connection
            )
            if result["outcome"] == "done":
                event = event_type(group_id=result["id"], display_name=result["display_name"])
                if result["reason"]:
                    status = Paused.status if result["verdict"] == "paused" else Forbidden.status
                    described = statements.as_json(facts | {"status": status, "left_out": result["reason"]})
                gives = wish.adds or group_roles.counts(rule, (result["display_name"],))
                gains = wish.gains and gives and not admitted.takes_only
                await group_roles.settle(connection, admitted, result, event, described, gains=gains)
    except group_roles.Conflicts as conflicts:
        raise await group_roles.refuse(admitted, conflicts, payload, group) from conflicts
    except Overtaken:
        return None
    if wish.gains and result["outcome"] == "done":
        admitted.deviated(group_roles.deviations(rule, [name for name in (renamed or named, *above) if name]))
    return await _concluded(admitted, result, payload)


async def _concluded(admitted: Admitted, result: Row, payload: dict[str, object] | None = None) -> Row | None:
    match await outcome_of(admitted, result):
        case "done":
            return result
        case "gives":
            refusal = await gate.not_given(admitted.call, left=result["reason"])
            raise await refused(admitted, refusal, payload=payload, target=result["id"])
        case "not_found":
            raise NotFound
        case "uniqueness":
            raise Uniqueness("displayName")
        case "cycle":
            raise InvalidValue(detail="members: a group would be inside itself; take it out of the other one first")
        case "unknown_member":
            raise InvalidValue(detail=f"members: there is no user or group {result['reason']} here{PROVISION}")
        case "no_member":
            detail = f"members: {result['reason']} is no member, and a filter makes none; add it with the path members"
            raise NoTarget(path="members", detail=detail)
        case "unknown_members":
            raise InvalidValue(
                detail="members: more than 100 of this group's members would be ids that nobody has; take some "
                "out of the group at the provider"
            )
        case _:
            return None


@judged_at_commit
async def delete(call: Call, group_id: str) -> None:
    """Take a group away; whoever had a role through it is judged anew.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such group.
    """
    admitted, row = await _stored_now(call, id_of(group_id))
    for tried in range(TRIES):
        await before_trying_again(tried)
        if row["id"] is None:
            raise await refused(admitted, NotFound())
        await check_conditions(admitted, documents.etag(row["version"]), target=row["id"])
        result = await _remove(admitted, row)
        if result is not None and await _concluded(admitted, result) is not None:
            return
        admitted, row = await _stored_now(admitted.call, row["id"])
    raise await refused(admitted, outrun("group"), target=row["id"])


async def _remove(admitted: Admitted, row: Row) -> Row | None:
    """Take the group away, unless what was worked out from *row* is no longer so; ``None`` if others were quicker."""
    call = admitted.call
    rule = mapping.read_rule(admitted.caller.rule)
    relevant = group_roles.counts(rule, (row["display_name"], *row["above"]))
    described = statements.as_json(call.described() | {"status": 204})
    version = row["version"] if depends_on_version(call) else None
    try:
        async with call.context.pool.acquire(of=call.token.tenant_id) as connection, connection.transaction():
            result = await statements.delete_group(
                admitted,
                row["id"],
                described,
                relevant=relevant,
                version=version,
                many=role_changes.MOST_AT_THE_ANSWER,
                through=connection,
            )
            if result["outcome"] == "done" and relevant:
                event = GroupRemoved(group_id=row["id"], display_name=row["display_name"])
                await group_roles.settle(connection, admitted, result, event, described, gains=False)
            return result
    except Overtaken:
        return None
