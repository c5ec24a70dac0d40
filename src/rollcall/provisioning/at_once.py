"""Changes in one statement, for callers who were admitted a moment ago: new people, leavers, PUTs, and members.

The change is worked out before the gate is asked, from what is remembered of the caller, and the statement that writes
it passes the gate itself. Whatever is not so plain is left to the way that asks first, so nothing is said to anybody
before the gate has let them in, and nothing is done that this way would not do.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import orjson

from rollcall.db import Row
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Cause
from rollcall.provisioning import gate, rendering
from rollcall.provisioning.calls import Answer, ReadPayload, carried_out, id_of, writing
from rollcall.provisioning.gate import Admitted, Call
from rollcall.provisioning.recent_callers import RecentCaller
from rollcall.scim import documents, profiles
from rollcall.scim.errors import SCIMException, TakenUserName
from rollcall.scim.groups import AddMembers, RemoveMembers, read_group_patch

_CREATE = writing("scim_create_user", 5)
_DEACTIVATE = writing("scim_deactivate_user", 9)
_REPLACE = writing("scim_replace_user", 8)
_CHANGE_MEMBERS = writing("scim_change_members", 10)

Attempt = Callable[[Admitted, RecentCaller], Awaitable[Answer | None]]
"""A change tried in one statement. None: nothing was done and nothing said."""


async def tried(call: Call, attempt: Attempt) -> Answer | Call:
    """Try a change at once, if its caller is remembered. Without an answer, the call goes on as it is returned.

    Raises:
        SCIMException: the gate refuses, or what is stored stands against the change.
    """
    caller = None if call.has_permit else call.context.recent_callers.recall(call.token)
    if caller is None or (admitted := await gate.admit_remembered(call, caller)) is None:
        return call
    answer = await attempt(admitted, caller)
    if answer is not None:
        return answer
    # What the caller was remembered by still holds, and so does the permit it took; or neither does.
    return call if call.context.recent_callers.recall(call.token) is None else admitted.call


async def create(admitted: Admitted, caller: RecentCaller, *, read: ReadPayload) -> Answer | None:
    """Take a new person in.

    Raises:
        SCIMException: the gate refuses, or the userName is taken.
    """
    call = admitted.call
    try:
        payload = await read()
        given = profiles.read_user(payload)
        document = documents.document(given.user)
        rule = mapping.read_rule(caller.rule)
        judged = mapping.judge(rule, mapping.taken_up_again(role_states.fresh(rule)), document)
    except (SCIMException, role_states.ConflictingRoles):
        return None
    if given.deviations and not caller.profile.tolerant:
        return None
    change = mapping.new_user(document, rule, caller.rule_version, judged, cause(call))
    change["remembered"] = _remembered(caller)
    result = await carried_out(call, _CREATE, mapping.as_json(change), mapping.as_json(call.described(payload)))
    if not await _stands(admitted, result, given.deviations + judged.habits):
        return None
    if result["verdict"] == "uniqueness":
        raise TakenUserName(str(document["userName"]), result["id"], active=result["reason"] is None)
    return rendering.answer(call, result, orjson.dumps(document), None)


async def replace(person: UUID, admitted: Admitted, caller: RecentCaller, *, read: ReadPayload) -> Answer | None:
    """Replace the attributes of somebody who is active and stays so, and whose names and roles the PUT repeats.

    Raises:
        SCIMException: the gate refuses.
    """
    call = admitted.call
    try:
        payload = await read()
        given = profiles.read_user(payload)
    except SCIMException:
        return None
    if given.user.active is not True or (given.deviations and not caller.profile.tolerant):
        return None
    document = documents.document(given.user)
    result = await carried_out(
        call,
        _REPLACE,
        person,
        call.context.base_url,
        mapping.as_json(_remembered(caller)),
        mapping.as_json(mapping.plainly_replaced(document)),
        mapping.as_json(call.described(payload)),
    )
    if not await _stands(admitted, result, given.deviations):
        return None
    return rendering.answer(call, result, orjson.dumps(document), result["groups"])


async def deactivate(person: UUID, admitted: Admitted, caller: RecentCaller, *, read: ReadPayload) -> Answer | None:
    """Close every way in, if the PATCH says nothing but ``active=false`` and the person is active.

    The role stays as it was, as it does whenever somebody leaves; so nothing has to be worked out.

    Raises:
        SCIMException: the gate refuses.
    """
    call = admitted.call
    try:
        payload = await read()
        given = profiles.read_patch(payload, admitted.unknown_in_patch)
    except SCIMException:
        return None
    if not documents.only_deactivates(given.operations) or (given.deviations and not caller.profile.tolerant):
        return None
    result = await carried_out(
        call,
        _DEACTIVATE,
        person,
        call.context.base_url,
        mapping.as_json(_remembered(caller)),
        cause(call).reason,
        call.arrived,
        mapping.as_json(call.described(payload)),
    )
    if not await _stands(admitted, result, given.deviations):
        return None
    return rendering.quieted(admitted, rendering.answer(call, result, result["document"], result["groups"]))


async def change_members(
    group: UUID, admitted: Admitted, caller: RecentCaller, *, read: ReadPayload, members: bool
) -> Answer | None:
    """Put people into a group that makes nobody's role, or take them out, if the PATCH does one of these and no more.

    Raises:
        SCIMException: the gate refuses.
    """
    call = admitted.call
    if not call.context.recent_callers.is_plain_group(call.token.tenant_id, group, caller.rule_version):
        return None
    try:
        payload = await read()
        given = read_group_patch(payload, group_id=str(group), unknown=admitted.unknown_in_patch)
    except SCIMException:
        return None
    match given.steps:
        case (AddMembers(named, displays=()),):
            leaving = False
        case (RemoveMembers(named),):
            leaving = True
        case _:
            return None
    people = [member_id for member in named if (member_id := id_of(member)) is not None]
    if len(people) < len(named) or (given.deviations and not caller.profile.tolerant):
        return None
    result = await carried_out(
        call,
        _CHANGE_MEMBERS,
        group,
        people,
        leaving,
        mapping.as_json(_remembered(caller) | {"rule_version": caller.rule_version}),
        call.context.base_url,
        rendering.members_shown(admitted, wanted=members),
        mapping.as_json(call.described(payload)),
    )
    if not await _stands(admitted, result, given.deviations):
        return None
    return rendering.patched_group(admitted, result, result["members"], wanted=members)


def cause(call: Call) -> Cause:
    """What stands in the records about a provider's change."""
    return Cause(call.origin.request_id, call.arrived, "deactivated by the identity provider")


def _remembered(caller: RecentCaller) -> dict[str, Any]:
    """What the statement has to find as it was, beside the version of the role rule."""
    return {"profile": caller.profile.key, "rate": caller.rate, "burst": caller.burst}


async def _stands(admitted: Admitted, result: Row, deviations: tuple[str, ...]) -> bool:
    """Whether the statement has settled the call; then the call leaves its traces."""
    call = admitted.call
    match result["verdict"]:
        case "done" | "uniqueness":
            admitted.deviated(deviations)
            call.context.batched_entries.used(call.token.tenant_id, call.token.id, call.arrived, call.origin.source)
            return True
        case "former" | "elsewhere":
            return False
        case "stale":
            call.context.recent_callers.forget(call.token)
            return False
        case _:
            call.context.recent_callers.forget(call.token)
            await gate.refuse_verdict(call, result)
    raise AssertionError("the gate's verdict has been raised")
