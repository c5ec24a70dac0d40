"""Bulk requests (RFC 7644 §3.7): many operations in one call, each through the door that a call of its own would take.

The call takes a permit of the rate limit for each of its operations: one to be let in, and it owes the others. Each
operation passes the gate in the database like any other change, so a token that ends in the middle ends what is left,
and each has an audit entry of its own with what it carried; the entry of the call itself says how many there were.
Creations of people that follow one another pass it together (`newcomers`), up to fifty at a time.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, cast
from uuid import UUID

import structlog

from rollcall.db import is_away, may_be_done, when_back
from rollcall.provisioning import gate, groups, newcomers, refused_departures, users
from rollcall.provisioning.calls import Answer, ReadPayload, given, read_payload, refused
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.newcomers import TakenIn
from rollcall.scim import bulk as protocol
from rollcall.scim.bulk import BulkOperation, BulkPlan, BulkResult, Method
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
    progress = _Progress(admitted, payload, plan, deque(protocol.ordered(plan)))
    while progress.waiting and not plan.ends_after(progress.errors):
        if not gone() and await progress.take_run():
            continue
        operation = progress.waiting.popleft()
        if not gone() or _is_departure(operation):
            await progress.take(operation)
    return protocol.response(progress.results, call.origin.request_id)


@dataclass(slots=True)
class _Progress:
    """How far a bulk request has come."""

    admitted: Admitted
    payload: Mapping[str, object]
    plan: BulkPlan
    waiting: deque[BulkOperation]
    ids: dict[str, str] = field(default_factory=dict[str, str])
    """The ids of what has been created, by bulkId."""
    results: list[BulkResult] = field(default_factory=list[BulkResult])
    errors: int = 0
    singly: int = 0
    """Operations that come by themselves before the next run."""
    pause: int = 1
    """As many as came so after the last run that ended early: most likely, so would the next."""

    async def take(self, operation: BulkOperation) -> None:
        """Carry out an operation by itself."""
        self.singly -= 1
        self._came_to(await _result(self.admitted, operation, _sent(self.payload, operation), self.ids))

    async def take_run(self) -> bool:
        """Carry out the creations of people that come next, as one run; False: there is none, or nothing came of it."""
        run = self._next_run()
        if len(run) < 2:  # one is not a run
            return False
        people = [protocol.resolved_body(each, self.ids) for each in run]
        most = self.plan.errors_left(self.errors)
        try:
            outcomes = await newcomers.create_run(_call(self.admitted.call, run[0], None), people, most_refused=most)
        except Exception as error:
            for operation in run:
                self.waiting.popleft()
                self._came_to(_failed(operation, error, None), goes_on=operation is not run[-1])
            return True
        for operation, outcome in zip(run, outcomes, strict=False):
            self.waiting.popleft()
            self._came_to(self._result_of(operation, outcome))
        if 2 * len(outcomes) >= len(run):
            self.pause = 1
        else:
            self.singly = self.pause = min(2 * self.pause, newcomers.MOST_OF_A_RUN)
        return bool(outcomes)

    def _next_run(self) -> list[BulkOperation]:
        run: list[BulkOperation] = []
        if self.singly > 0:
            return run
        for operation in self.waiting:
            creates = operation.kind is USERS and operation.method == Method.POST and operation.refusal is None
            if len(run) == newcomers.MOST_OF_A_RUN or not creates or not self.ids.keys() >= set(operation.references):
                break
            run.append(operation)
        return run

    def _result_of(self, operation: BulkOperation, outcome: TakenIn | SCIMException) -> BulkResult:
        if isinstance(outcome, SCIMException):
            return BulkResult(operation, outcome.status, refusal=outcome)
        assert operation.bulk_id is not None
        self.ids[operation.bulk_id] = outcome.id
        location = f"{self.admitted.call.context.base_url}{USERS.endpoint}/{outcome.id}"
        return BulkResult(operation, _STATUSES[Method.POST], location, outcome.etag)

    def _came_to(self, result: BulkResult, *, goes_on: bool = False) -> None:
        self.results.append(result)
        self.errors += result.refusal is not None
        if result.status in _OURS and not isinstance(result.refusal, Paused) and not goes_on:
            # Whatever it is that failed us, the others are not tried, and their sender is told so.
            while self.waiting:
                refusal = NotBegun(result.status)
                self.results.append(BulkResult(self.waiting.popleft(), result.status, refusal=refusal))


def _failed(operation: BulkOperation, error: Exception, location: str | None) -> BulkResult:
    """What becomes of an operation that failed on our side."""
    if is_away(error):
        log.warning("unavailable", bulk_operation=operation.index, because=repr(error))
        away = Unavailable(when_back(error), may_be_done=may_be_done(error))
        return BulkResult(operation, away.status, location, refusal=away)
    log.error("failed", bulk_operation=operation.index, exc_info=error)
    return BulkResult(operation, InternalError.status, location, refusal=InternalError())


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
            data = protocol.resolved_body(operation, ids)
        except SCIMException as refusal:
            raise await refused(replace(admitted, call=call), refusal, payload=operation.data) from refusal
        if resource_id is not None:
            location = f"{call.context.base_url}{operation.kind.endpoint}/{resource_id}"
        answer = await _enter(_call(admitted.call, operation, resource_id), operation, resource_id, data)
    except SCIMException as refusal:
        return BulkResult(operation, refusal.status, location, refusal=refusal)
    except Exception as error:
        return _failed(operation, error, location)
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
