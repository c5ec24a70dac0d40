"""What every SCIM call on a resource has in common: its body read after the gate, its refusals, its answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from rollcall.db import Connection, DatabaseError, Row, fetchrow_again, has_ended
from rollcall.functions import qualified
from rollcall.provisioning import gate
from rollcall.provisioning.gate import Admitted, Call
from rollcall.scim import reader
from rollcall.scim.conditions import proceeds
from rollcall.scim.errors import InvalidValue, NotFound, SCIMException, Uniqueness

P = ParamSpec("P")
R = TypeVar("R")

_TRIES = 3
_ADMIT = qualified("SELECT * FROM fn.gate($1, $2, $3, $4)")

ReadBody = Callable[[], Awaitable[bytes]]
"""Reads the request's body; called once the caller has passed the gate, and not before."""

ReadPayload = Callable[[], Awaitable[dict[str, object]]]
"""Reads what a request carries, or says why it can't be read; called as a `ReadBody` is."""


_REFUSED = {
    "not_found": NotFound(),
    "uniqueness": Uniqueness("userName"),
    "cycle": InvalidValue(),
    "unknown_member": InvalidValue(),
    "unknown_members": InvalidValue(),
}
"""What a database function refuses by itself, and enters unless it was told that this is counted by now."""


class EndedMeanwhile(Exception):
    """The gate let the call in, and would not have any more when all it waited for was over; nothing was done."""


def writing(function: str, arguments: int) -> str:
    """The statement that carries a change out by a database function, and asks the gate again when it has.

    The function's first three *arguments* are the token's tenant, id and digest. It may wait for others; what decides
    that the token may act is true after that.
    """
    given = ", ".join(f"${number}" for number in range(1, arguments + 1))
    good = "CASE r.verdict WHEN 'done' THEN fn.still_good('scim', $1, $2, $3) END"
    return qualified(f"SELECT r.*, {good} FROM fn.{function}({given}) r")  # noqa: S608  # names of ours


async def carried_out(call: Call, statement: str, *what: object, through: Connection | None = None) -> Row:
    """Carry a change out by a statement that `writing` made, by itself or *through* a connection in a transaction.

    Raises:
        EndedMeanwhile: the token ended while the statement waited.
    """
    who = (call.token.tenant_id, call.token.id, call.token.digest)
    try:
        if through is None:
            row = await fetchrow_again(call.context.pool, statement, *who, *what)
        else:
            row = await through.fetchrow(statement, *who, *what)
    except DatabaseError as error:
        if has_ended(error):
            raise EndedMeanwhile from error
        raise
    assert row is not None
    if (refusal := _REFUSED.get(row["verdict"])) is not None:
        _count(call, row, refusal)
    return row


def _count(call: Call, row: Row, refusal: SCIMException) -> None:
    """Count what the database has refused; not every function says whose token it was, but that was seen just now."""
    label, owner_id = row["token_label"], row["owner_id"]
    if label is None and (caller := call.context.recent_callers.recall(call.token)) is not None:
        label, owner_id = caller.label, caller.owner_id
    gate.is_entered(call, label or "not known any more", owner_id, refusal)


def judged_at_commit(
    door: Callable[Concatenate[Call, P], Awaitable[R]],
) -> Callable[Concatenate[Call, P], Awaitable[R]]:
    """A door that a call goes through once more if its token ended meanwhile: there the gate says why, and notes it."""

    @wraps(door)
    async def judged(call: Call, *args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(_TRIES - 1):
            try:
                return await door(call, *args, **kwargs)
            except EndedMeanwhile:
                call = permitted(call)
        return await door(call, *args, **kwargs)

    return judged


@dataclass(frozen=True, slots=True)
class Answer:
    """A resource as it is answered: the bytes, and what the headers repeat."""

    body: bytes
    location: str
    etag: str
    known: bool = False
    """Whether the sender has this version already, as If-None-Match says, and needs no body."""
    quiet: bool = False
    """Whether the provider's profile wants a PATCH answered without the body."""


def payload_in(body: ReadBody, content_type: str | None) -> ReadPayload:
    """How the payload of a body is read: once, whoever asks, with the same outcome each time."""

    read_before: list[dict[str, object] | SCIMException] = []

    async def read() -> dict[str, object]:
        if not read_before:
            try:
                reader.check_media_type(content_type)
                read_before.append(reader.read_json(await body()))
            except SCIMException as refusal:
                read_before.append(refusal)
        outcome = read_before[0]
        if isinstance(outcome, SCIMException):
            raise outcome
        return outcome

    return read


def given(payload: dict[str, object]) -> ReadPayload:
    """How a payload is read that has been read already."""

    async def read() -> dict[str, object]:
        return payload

    return read


async def admit(call: Call, needs: str) -> Admitted:
    """Pass the gate for a call that names no resource.

    Raises:
        SCIMException: the gate refuses.
    """
    token = call.token
    row = await call.context.pool.fetchrow(_ADMIT, token.tenant_id, token.id, token.digest, needs)
    assert row is not None
    return await gate.judge(call, row)


def permitted(call: Call) -> Call:
    """What is left to do of a call that has taken its permit of the rate limit: it may pass the gate again."""
    return replace(call, has_permit=True)


async def read_payload(admitted: Admitted, payload: ReadPayload) -> dict[str, object]:
    """Read what the request carries, only now that the caller has passed the gate.

    Raises:
        SCIMException: it can't be read; the refusal has been written down.
    """
    try:
        return await payload()
    except SCIMException as refusal:
        raise await refused(admitted, refusal) from refusal


async def refused(
    admitted: Admitted,
    refusal: SCIMException,
    *,
    payload: object = None,
    target: UUID | None = None,
) -> SCIMException:
    """Write a refusal down and give it back to be raised."""
    await gate.refuse(admitted, refusal, payload=payload, user_id=target)
    return refusal


async def check_conditions(
    admitted: Admitted, version: str, *, target: UUID, reading: bool = False, payload: object = None
) -> bool:
    """Whether the call is to be carried out on a resource of this version; False only says that a reader has it.

    Raises:
        PreconditionFailed: it is not; that has been written down.
    """
    try:
        return proceeds(admitted.call.conditions, version, reading=reading)
    except SCIMException as refusal:
        raise await refused(admitted, refusal, payload=payload, target=target) from refusal


def depends_on_version(call: Call) -> bool:
    """Whether the call's conditions hold for one version and not for another; ``*`` is every version."""
    wanted = (call.conditions.if_match, call.conditions.if_none_match)
    return any(text is not None and text.strip() not in ("", "*") for text in wanted)


def id_of(text: str) -> UUID | None:
    """The id, if it can be one of ours; anything else is simply nobody's."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def trace(admitted: Admitted, target: str | None) -> None:
    """Leave the entry of a successful read."""
    call = admitted.call
    call.context.batched_entries.read(
        call.token.tenant_id,
        call.token.id,
        call.arrived,
        call.origin,
        action=call.action,
        label=admitted.label,
        owner_id=admitted.owner_id,
        target=target,
    )
