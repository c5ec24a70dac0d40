"""What every SCIM call on a resource has in common: its caller's context, its body, its refusals, its answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from rollcall.db import Row
from rollcall.provisioning import gate, statements
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.gate import permitted
from rollcall.retries import TRIES, before_trying_again
from rollcall.scim import reader
from rollcall.scim.conditions import proceeds
from rollcall.scim.errors import Conflict, InvalidValue, NotFound, SCIMException, Uniqueness

P = ParamSpec("P")
R = TypeVar("R")

ReadBody = Callable[[], Awaitable[bytes]]
"""Reads the request's body; called once the caller has passed the gate, lately at least, and not before."""

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


async def admitted_to_write(call: Call) -> Admitted:
    """The context of a call that is to change something: remembered, or asked for now.

    Raises:
        SCIMException: the gate refuses.
    """
    return await gate.recall(call) or await gate.ask(call, "write")


async def asked(admitted: Admitted) -> Admitted:
    """The same call once it has passed the gate itself, as before it is refused or begins anew.

    Raises:
        SCIMException: the gate refuses.
    """
    return admitted if admitted.asked else await gate.ask(permitted(admitted.call), "write")


async def insist_on_giving(admitted: Admitted, what: str) -> None:
    """See that a call which gives may do so; *what* says what is not done otherwise.

    Raises:
        Forbidden, Paused: the plan includes SCIM no more, or the tenant is paused; that has been written down.
    """
    if admitted.takes_only:
        raise await refused(admitted, await gate.not_given(admitted.call, left=what))


async def outcome_of(admitted: Admitted, row: Row) -> str:
    """What became of a change by the statement that was to carry it out.

    What the database has refused, and entered, is counted here.

    Raises:
        SCIMException: the gate refuses by now.
    """
    call, outcome = admitted.call, row["outcome"]
    if row["verdict"] in gate.TAKES and outcome is None:
        outcome = "stale"  # it would give, and was worked out before that was all that is left
    elif row["verdict"] not in gate.LETS:
        call.context.recent_callers.forget(call.token)
        await gate.refuse_verdict(call, row)
    if outcome == "stale":
        call.context.recent_callers.forget(call.token)
    elif not admitted.asked and outcome != "judge":
        gate.was_used(call)
    if (refusal := _REFUSED.get(outcome)) is not None:
        gate.is_entered(admitted, refusal)
    return outcome


def judged_at_commit(
    enter: Callable[Concatenate[Call, P], Awaitable[R]],
) -> Callable[Concatenate[Call, P], Awaitable[R]]:
    """Enter again with a call whose token ended meanwhile, where the gate says why and notes it, or whose tenant's
    profile changed; `TRIES` times in all."""

    @wraps(enter)
    async def judged(call: Call, *args: P.args, **kwargs: P.kwargs) -> R:
        for tried in range(TRIES):
            await before_trying_again(tried)
            try:
                return await enter(call, *args, **kwargs)
            except statements.EndedMeanwhile:
                call.context.recent_callers.forget(call.token)
                call = permitted(call)
        raise await refused(await gate.ask(call, "write"), outrun("tenant's profile"))

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


LARGE = 262_144
"""Bytes of a body that is read beside the event loop, one at a time: a megabyte takes a tenth of a second."""


def payload_in(body: ReadBody, content_type: str | None, reading_large: asyncio.Lock) -> ReadPayload:
    """How the payload of a body is read: once, whoever asks, with the same outcome each time.

    A `LARGE` one waits for *reading_large*, which all calls of a process share.
    """

    read_before: list[dict[str, object] | SCIMException] = []

    async def read() -> dict[str, object]:
        if not read_before:
            try:
                reader.check_media_type(content_type)
                text = await body()
                if len(text) < LARGE:
                    read_before.append(reader.read_json(text))
                else:
                    async with reading_large:
                        read_before.append(await asyncio.to_thread(reader.read_json, text))
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
    """Write a refusal down and give it back to be raised; the gate comes first.

    Raises:
        SCIMException: the gate refuses.
    """
    await gate.refuse(await asked(admitted), refusal, payload=payload, user_id=target)
    return refusal


def outrun(what: str) -> Conflict:
    """The refusal of a change that was worked out `TRIES` times, and each time others were quicker."""
    return Conflict(detail=f"Others change this {what}, or what group names mean, too quickly; try again")


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
