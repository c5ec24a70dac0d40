"""Bulk requests (RFC 7644 §3.7): many operations in one call, each through the door that a call of its own would take.

The call takes a permit of the rate limit for each of its operations: one to be let in, and it owes the others. Each
operation passes the gate in the database like any other change, so a token that ends in the middle ends what is left,
and each has an audit entry of its own with what it carried; the entry of the call itself says how many there were.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, cast
from uuid import UUID

import structlog

from rollcall.db import is_away, may_be_done, when_back
from rollcall.provisioning import gate, groups, refused_departures, users
from rollcall.provisioning.calls import Answer, ReadPayload, given, read_payload, refused
from rollcall.provisioning.context import Admitted, Call
from rollcall.scim import bulk as protocol
from rollcall.scim.bulk import BulkOperation, BulkResult, Method
from rollcall.scim.conditions import UNCONDITIONAL, Conditions
from rollcall.scim.errors import InternalError, NotBegun, Paused, SCIMException, Unavailable
from rollcall.scim.intent import says_that_somebody_leaves
from rollcall.scim.resources import USERS

MOST_OPERATIONS: Final = 1_000
"""Operations of one call at the most; ServiceProviderConfig announces it."""

_OURS: Final = (InternalError.status, Unavailable.status)
"""Statuses of an operation that failed on our side."""

_VERBS: Final = {Method.POST: "create", Method.PUT: "replace", Method.PATCH: "patch", Method.DELETE: "delete"}
_STATUSES: Final = {Method.POST: 201, Method.PUT: 200, Method.PATCH: 200, Method.DELETE: 204}

log = structlog.get_logger(__name__)


def _somebody_listens() -> bool:
    return False


async def carry_out(call: Call, read: ReadPayload, *, gone: Callable[[], bool] = _somebody_listens) -> bytes:
    """Carry the operations out, until as many have failed as the client accepts; returns the BulkResponse.

    Once the client has *gone*, only departures are begun.
    They are no transaction: what is done stays done, whatever becomes of the others (RFC 7644 §3.7).

    Raises:
        SCIMException: the gate refuses the call, or it can't be read as a whole.
    """
    admitted = await refused_departures.ask_for_bulk(call, partial(_people_of, read))
    payload = await read_payload(admitted, read)
    try:
        plan = protocol.read_bulk(payload, most_operations=MOST_OPERATIONS)
        admitted.insist_on_standard(plan.deviations)
        admitted.deviated(plan.deviations)
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload) from refusal
    await gate.charge(admitted, len(plan.operations) - 1)
    # Now, and not when all is done: should the database go away on the way, what was done can still be answered.
    await gate.note(admitted, f"{len(plan.operations)} operations")
    waiting = list(protocol.ordered(plan))
    ids: dict[str, str] = {}
    results: list[BulkResult] = []
    errors = 0
    while waiting and not plan.ends_after(errors):
        operation = waiting.pop(0)
        if gone() and not _is_departure(operation):
            continue
        result = await _result(admitted, operation, _sent(payload, operation), ids)
        results.append(result)
        errors += result.refusal is not None
        if result.status in _OURS and not isinstance(result.refusal, Paused):
            # Whatever it is that failed us, the others are not tried, and their sender is told so.
            results += (BulkResult(each, result.status, refusal=NotBegun(result.status)) for each in waiting)
            break
    return protocol.response(results, call.origin.request_id)


async def _people_of(read: ReadPayload) -> Mapping[UUID, bool]:
    """Whom the operations speak of, each with whether they are active by it; see `refused_departures`.

    Raises:
        SCIMException: it can't be read as a whole.
    """
    plan = protocol.read_bulk(await read(), most_operations=MOST_OPERATIONS)
    of_people = [each for each in plan.operations if each.kind is USERS and each.refusal is None]
    return refused_departures.of_operations(
        [(each.resource_id, None if each.method == Method.DELETE else each.data) for each in of_people]
    )


def _is_departure(operation: BulkOperation) -> bool:
    if operation.kind is not USERS:
        return False
    return operation.method == Method.DELETE or says_that_somebody_leaves(operation.data)


async def _result(admitted: Admitted, operation: BulkOperation, sent: object, ids: dict[str, str]) -> BulkResult:
    """Carry one operation out; the id of what it creates goes into *ids*, under its bulkId."""
    location: str | None = None
    try:
        if operation.refusal is not None:
            raise await refused(admitted, operation.refusal, payload=sent)
        call = _call(admitted.call, operation, operation.resource_id)
        try:
            resource_id = cast("str | None", protocol.resolved(operation.resource_id, ids))
            data = cast("dict[str, object]", protocol.resolved(operation.data, ids))
        except SCIMException as refusal:
            raise await refused(replace(admitted, call=call), refusal, payload=operation.data) from refusal
        if resource_id is not None:
            location = f"{call.context.base_url}{operation.kind.endpoint}/{resource_id}"
        answer = await _enter(_call(admitted.call, operation, resource_id), operation, resource_id, data)
    except SCIMException as refusal:
        return BulkResult(operation, refusal.status, location, refusal=refusal)
    except Exception as error:
        if is_away(error):
            log.warning("unavailable", bulk_operation=operation.index, because=repr(error))
            away = Unavailable(when_back(error), may_be_done=may_be_done(error))
            return BulkResult(operation, away.status, location, refusal=away)
        log.exception("failed", bulk_operation=operation.index)
        return BulkResult(operation, InternalError.status, location, refusal=InternalError())
    status = _STATUSES[Method(operation.method)]
    if answer is None:
        return BulkResult(operation, status, location)
    if operation.method == Method.POST and operation.bulk_id is not None:
        ids[operation.bulk_id] = answer.location.rpartition("/")[2]
    return BulkResult(operation, status, answer.location, answer.etag)


async def _enter(
    call: Call, operation: BulkOperation, resource_id: str | None, data: dict[str, object]
) -> Answer | None:
    """Go through the door that the operation would take as a call of its own."""
    doors = users if operation.kind is USERS else groups
    if resource_id is None:
        return await doors.create(call, given(data))
    match Method(operation.method):
        case Method.PUT:
            return await doors.replace(call, resource_id, given(data))
        case Method.PATCH:
            return await doors.patch(call, resource_id, given(data))
        case _:
            await doors.delete(call, resource_id)
            return None


def _call(call: Call, operation: BulkOperation, resource_id: str | None) -> Call:
    """The call that the operation would be by itself; its permit has been taken with the others'."""
    endpoint = operation.kind.endpoint
    base = (call.origin.path or "").rstrip("/").rpartition("/")[0]
    path = f"{base}{endpoint}" if resource_id is None else f"{base}{endpoint}/{resource_id}"
    method = Method(operation.method)
    return replace(
        call,
        action=f"scim.{endpoint.strip('/').lower()}.{_VERBS[method]}",
        origin=replace(call.origin, method=method.value, path=path[:500]),
        conditions=UNCONDITIONAL if method is Method.POST else Conditions(if_match=operation.version),
        has_permit=True,
    )


def _sent(payload: Mapping[str, object], operation: BulkOperation) -> object:
    """The operation as it was sent."""
    operations = next(value for name, value in payload.items() if name.lower() == "operations")
    return cast("list[object]", operations)[operation.index]
