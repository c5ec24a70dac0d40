"""People as their identity provider handles them: the doors of ``/scim/v2/Users``.

Each call is one statement that passes the gate and brings what is stored, and for a change a second one that passes
the gate again and applies it, unless somebody else was quicker: then it is worked out anew from the present state.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from dataclasses import replace as with_changes
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from rollcall.db import Connection, Pool, Row
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Document, Stored
from rollcall.functions import qualified
from rollcall.provisioning import at_once, gate, lookups, rendering
from rollcall.provisioning.calls import (
    Answer,
    ReadPayload,
    admit,
    carried_out,
    check_conditions,
    depends_on_version,
    judged_at_commit,
    permitted,
    read_payload,
    refused,
    trace,
    writing,
)
from rollcall.provisioning.gate import Admitted, Call
from rollcall.scim import documents, profiles
from rollcall.scim.conditions import UNCONDITIONAL, proceeds
from rollcall.scim.errors import InvalidValue, NobodysToken, NotFound, SCIMException, TakenUserName
from rollcall.scim.plain import PlainUser
from rollcall.scim.resources import User

_ADMIT = qualified("SELECT * FROM fn.scim_admit($1, $2, $3, $4, $5, $6, $7)")
_CREATE = writing("scim_create_user", 5)
_SAVE = writing("scim_save_user", 6)
_DELETE = writing("scim_delete_user", 7)
_ME = qualified("SELECT * FROM fn.scim_me($1, $2, $3, $4)")
_OPTIMISTIC_TRIES = 3

Edit = Callable[[Document, str], Document]
"""What a PUT or a PATCH makes of a stored document; the second argument is the person's id."""


async def read(call: Call, user_id: str) -> Answer:
    """The person with this id.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such person.
    """
    row, admitted = await _admit(call, "read", lookups.resource_id(user_id))
    if row["id"] is None:
        raise await refused(admitted, NotFound())
    needed = await check_conditions(admitted, rendering.etag(row), target=row["id"], reading=True)
    trace(admitted, user_id)
    return with_changes(rendering.answer(call, row, row["document"], row["groups"]), known=not needed)


async def me(call: Call, needs: str) -> tuple[Call, str]:
    """The person that ``/Me`` is, the token's owner: their id, and the call as it goes on with it (RFC 7644 §3.11).

    Raises:
        SCIMException: the gate refuses, or nobody owns the token.
    """
    token = call.token
    row = await call.context.pool.fetchrow(_ME, token.tenant_id, token.id, token.digest, needs)
    assert row is not None
    admitted = await gate.judge(call, row)
    if row["id"] is None:
        raise await refused(admitted, NobodysToken())
    return with_changes(call, has_permit=True), str(row["id"])


async def refuse_unread(call: Call, needs: str, refusal: SCIMException) -> SCIMException:
    """Pass the gate for a call whose request can't be read, write the refusal down, and give it back to be raised.

    Raises:
        SCIMException: the gate refuses; that comes first.
    """
    return await refused(await admit(call, needs), refusal)


async def posted(call: Call, read: ReadPayload) -> tuple[Call, dict[str, object]]:
    """Pass the gate and read the body of a search; returns what is left of the call, and the body.

    Raises:
        SCIMException: the gate refuses, or the body can't be read.
    """
    payload = await read_payload(await admit(call, "read"), read)
    return permitted(call), payload


def rendered(call: Call, row: Row) -> bytes:
    """One person of a page."""
    return rendering.answer(call, row, row["document"], row["groups"]).body


@judged_at_commit
async def create(call: Call, read: ReadPayload) -> Answer:
    """Take a new person in. Somebody with the same externalId who was removed takes their account up again.

    Raises:
        SCIMException: the gate refuses, the body can't be read, the userName is taken, or the roles conflict.
    """
    outcome = await at_once.tried(call, partial(at_once.create, read=read))
    return outcome if isinstance(outcome, Answer) else await _create(outcome, read)


async def _create(call: Call, read: ReadPayload) -> Answer:
    """Create a person as `create` promises: the gate is asked, then the body is read, then the change is written."""
    row, admitted = await _admit(call, "write", None)
    payload = await read_payload(admitted, read)
    try:
        document = documents.document(read_user(payload, admitted))
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload) from refusal
    former: Row | None = None
    while True:
        rule = mapping.read_rule(row["rule"])
        before = role_states.fresh(rule) if former is None else mapping.read_role_state(former["role_state"])
        try:
            judged = mapping.judge(rule, mapping.taken_up_again(before), document)
        except role_states.ConflictingRoles as conflict:
            raise await _conflict(admitted, conflict, document, payload) from conflict
        change = mapping.new_user(
            document,
            rule,
            row["rule_version"],
            judged,
            at_once.cause(call),
            former=None if former is None else former["account_id"],
        )
        if former is not None:
            change["former_role_state"] = asdict(before)
        result = await _write(call, _CREATE, change, payload=payload)
        match result["verdict"]:
            case "done":
                admitted.deviated(judged.habits)
                return rendering.answer(call, result, orjson.dumps(document), None)
            case "uniqueness":
                raise _taken(document, result)
            case "former":
                former = result if result["account_id"] is not None else None
            case "stale":
                row = await _admit_again(call, call.context.pool, None)
                if row["verdict"] != "ok":
                    await gate.refuse_verdict(call, row)
            case _:
                await gate.refuse_verdict(call, result)


@judged_at_commit
async def replace(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Replace a person's attributes (RFC 7644 §3.5.1).

    Raises:
        SCIMException: as for `create`, or this tenant has no such person.
    """

    def read_edit(payload: dict[str, object], admitted: Admitted) -> Edit:
        user = read_user(payload, admitted)
        return lambda document, _id: documents.replaced(document, user)

    outcome = await _tried(call, user_id, partial(at_once.replace, read=read))
    return outcome if isinstance(outcome, Answer) else await _change(outcome, user_id, read, read_edit)


@judged_at_commit
async def patch(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Change some of a person's attributes (RFC 7644 §3.5.2), all of the operations or none.

    Raises:
        SCIMException: as for `replace`.
    """

    def read_edit(payload: dict[str, object], admitted: Admitted) -> Edit:
        given = profiles.read_patch(payload, admitted.unknown_in_patch)
        admitted.deviated(given.deviations)
        operations = given.operations
        return lambda document, own_id: documents.patched(document, operations, id=own_id)

    outcome = await _tried(call, user_id, partial(at_once.deactivate, read=read))
    return outcome if isinstance(outcome, Answer) else await _change(outcome, user_id, read, read_edit)


async def _tried(call: Call, user_id: str, attempt: Callable[..., Awaitable[Answer | None]]) -> Answer | Call:
    """Try a change of a person at once; one that depends on what is stored is not for that."""
    person = lookups.resource_id(user_id)
    if person is None or call.conditions != UNCONDITIONAL:
        return call
    return await at_once.tried(call, partial(attempt, person))


@judged_at_commit
async def delete(call: Call, user_id: str) -> None:
    """Take the resource away and close every way in; the account stays, deactivated, with its history.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such person.
    """
    row, admitted = await _admit(call, "write", lookups.resource_id(user_id))
    while True:
        if row["id"] is None:
            raise await refused(admitted, NotFound())
        await check_conditions(admitted, rendering.etag(row), target=row["id"])
        result = await _remove(call, row)
        match result["verdict"]:
            case "done":
                return
            case "not_found":
                raise NotFound
            case "stale":
                row = await _admit_again(call, call.context.pool, row["id"])
                if row["verdict"] != "ok":
                    await gate.refuse_verdict(call, row)
            case _:
                await gate.refuse_verdict(call, result)


async def _remove(call: Call, row: Row) -> Row:
    return await carried_out(
        call,
        _DELETE,
        row["id"],
        call.arrived,
        mapping.as_json(call.described()),
        mapping.as_json(_seen(call, row)) if depends_on_version(call) else None,
    )


def read_user(payload: dict[str, object], admitted: Admitted) -> User | PlainUser:
    """The person a body describes; what is unusual about it is counted.

    Raises:
        SCIMException: it can't be read, or the tenant takes the standard to the letter.
    """
    read = profiles.read_user(payload)
    admitted.deviated(read.deviations)
    return read.user


async def _change(
    call: Call,
    user_id: str,
    read: ReadPayload,
    read_edit: Callable[[dict[str, object], Admitted], Edit],
) -> Answer:
    row, admitted = await _admit(call, "write", lookups.resource_id(user_id))
    payload = await read_payload(admitted, read)
    if row["id"] is None:
        raise await refused(admitted, NotFound(), payload=payload)
    try:
        edit = read_edit(payload, admitted)
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload, target=row["id"]) from refusal
    for _ in range(_OPTIMISTIC_TRIES):
        attempt = await _attempt(call, None, row, edit, payload)
        if not attempt.stale:
            return await _conclude(admitted, attempt, payload)
        row = await _admit_again(call, call.context.pool, row["id"])
    async with call.context.pool.acquire() as connection, connection.transaction():
        row = await _admit_again(call, connection, row["id"], lock=True)
        attempt = await _attempt(call, connection, row, edit, payload)
    assert not attempt.stale, "with the rows locked nobody can have been quicker"
    return await _conclude(admitted, attempt, payload)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of working a change out from *row* and writing it: refused here, nothing to write, or *result*.

    It is only reported, so that nothing is written down or raised while the rows are locked: the pool's other
    connections may all be waiting for them, and an exception would undo the audit entry that the database has made.
    """

    row: Row
    document: Document | None = None
    result: Row | None = None
    refusal: SCIMException | None = None
    case: dict[str, Any] | None = None
    habits: tuple[str, ...] = ()
    """What it says that the ledger counts once it is answered."""

    @property
    def stale(self) -> bool:
        """Whether the stored state had moved on since *row* was read."""
        return self.result is not None and self.result["verdict"] == "stale"


async def _attempt(
    call: Call, through: Connection | None, row: Row, edit: Edit, payload: dict[str, object]
) -> _Attempt:
    """Work the change out from *row* and, if there is anything to write, write it."""
    if row["verdict"] != "ok":
        return _Attempt(row, result=row)
    if row["id"] is None:
        return _Attempt(row, refusal=NotFound())
    stored = _stored(row)
    try:
        proceeds(call.conditions, rendering.etag(row), reading=False)
        document = edit(stored.document, str(stored.id))
    except SCIMException as refusal:
        return _Attempt(row, refusal=refusal)
    try:
        about_roles = mapping.speaks_of_roles(payload)
        judged = mapping.judge(stored.rule, stored.role_state, document, before=stored, about_roles=about_roles)
    except role_states.ConflictingRoles as conflict:
        return _Attempt(row, refusal=_refusal_of(conflict), case=mapping.case_of(document, conflict.reading))
    if document == stored.document and judged.role_state == stored.role_state:
        return _Attempt(row, case=mapping.taken_back(document, judged), habits=judged.habits)
    change = mapping.changed_user(stored, document, judged, at_once.cause(call))
    if through is None and depends_on_version(call):
        change["seen"] = _seen(call, row)
    result = await _write(call, _SAVE, change, stored.id, payload=payload, through=through)
    return _Attempt(row, document, result, habits=judged.habits)


async def _conclude(admitted: Admitted, attempt: _Attempt, payload: dict[str, object]) -> Answer:
    """Answer an attempt, or raise what refused it; what the database has not written down is written down here."""
    call, row, result = admitted.call, attempt.row, attempt.result
    if attempt.refusal is not None:
        await gate.refuse(admitted, attempt.refusal, payload=payload, user_id=row["id"], case=attempt.case)
        raise attempt.refusal
    if result is None or result["verdict"] == "done":
        admitted.deviated(attempt.habits)
    if result is None:
        await gate.note(
            admitted, "done", 200, "nothing to change", payload=payload, user_id=row["id"], case=attempt.case
        )
        return rendering.quieted(admitted, rendering.answer(call, row, row["document"], row["groups"]))
    match result["verdict"]:
        case "done":
            return rendering.quieted(
                admitted, rendering.answer(call, result, orjson.dumps(attempt.document), row["groups"])
            )
        case "uniqueness":
            raise _taken(attempt.document or {}, result)
        case "not_found":
            raise NotFound
        case _:
            await gate.refuse_verdict(call, result)
    raise AssertionError("the gate's verdict has been raised")


async def _admit(call: Call, needs: str, user_id: UUID | None) -> tuple[Row, Admitted]:
    token = call.token
    row = await call.context.pool.fetchrow(
        _ADMIT, token.tenant_id, token.id, token.digest, needs, user_id, False, call.context.base_url
    )
    assert row is not None
    admitted = await gate.judge(call, row)
    if needs == "write":
        gate.remember(admitted, row)
    return row, admitted


async def _admit_again(call: Call, through: Pool | Connection, user_id: UUID | None, *, lock: bool = False) -> Row:
    """Look at the stored state once more, in the same call: it takes no second permit of the rate limit.

    The verdict is the caller's to judge.
    """
    token = call.token
    row = await through.fetchrow(
        _ADMIT, token.tenant_id, token.id, token.digest, "write", user_id, lock, call.context.base_url
    )
    assert row is not None
    return row


async def _write(
    call: Call,
    statement: str,
    change: dict[str, Any],
    *more: object,
    payload: dict[str, object],
    through: Connection | None = None,
) -> Row:
    what = (*more, mapping.as_json(change), mapping.as_json(call.described(payload)))
    return await carried_out(call, statement, *what, through=through)


async def _conflict(
    admitted: Admitted,
    conflict: role_states.ConflictingRoles,
    document: Document,
    payload: dict[str, object],
    *,
    user_id: UUID | None = None,
) -> SCIMException:
    """The refusal of a role conflict; its case is opened with the audit entry."""
    refusal = _refusal_of(conflict)
    case = mapping.case_of(document, conflict.reading)
    await gate.refuse(admitted, refusal, payload=payload, user_id=user_id, case=case)
    return refusal


def _refusal_of(conflict: role_states.ConflictingRoles) -> InvalidValue:
    return InvalidValue(
        attribute="roles",
        detail=f"roles: {conflict.detail}; a person has one, so nothing was changed. "
        "Leave the person one of them at the identity provider",
    )


def _taken(document: Document, result: Row) -> TakenUserName:
    return TakenUserName(str(document["userName"]), result["id"], active=result["reason"] is None)


def _stored(row: Row) -> Stored:
    return Stored(
        id=row["id"],
        account_id=row["account_id"],
        document=orjson.loads(row["document"]),
        version=row["version"],
        active=row["active"],
        role_state=mapping.read_role_state(row["role_state"]),
        rule=mapping.read_rule(row["rule"]),
        rule_version=row["rule_version"],
        groups=mapping.group_names(row["groups"]),
        group_revision=row["group_revision"],
    )


def _seen(call: Call, row: Row) -> dict[str, object]:
    """What an entity tag stands for, so that the database can tell whether the person is still so."""
    return {"version": row["version"], "groups": row["groups"], "base": call.context.base_url}
