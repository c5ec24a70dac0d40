"""People as their identity provider handles them: the doors of ``/scim/v2/Users``.

A change needs its caller's context, which is remembered or asked for, and what is stored, unless nothing stored decides
about it. Then one statement passes the gate, compares what the change was worked out from, and writes; if that is no
longer so, the change is worked out anew.
"""

from dataclasses import replace as with_changes
from uuid import UUID

import orjson

from rollcall.db import Row
from rollcall.directory import mapping
from rollcall.directory.mapping import Former
from rollcall.directory.user_changes import UserChange
from rollcall.provisioning import gate, lookups, rendering, statements
from rollcall.provisioning.calls import (
    Answer,
    ReadPayload,
    admitted_to_write,
    asked,
    check_conditions,
    depends_on_version,
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
from rollcall.provisioning.newcomers import former_of, newcomer
from rollcall.provisioning.refused_departures import kept_while_suspended
from rollcall.provisioning.seats import no_seat
from rollcall.provisioning.user_change import (
    PendingChange,
    ReadWish,
    RefusedChange,
    UserWish,
    cause,
    refuse,
    seen_by,
    stored_now,
    taken,
)
from rollcall.retries import TRIES, before_trying_again
from rollcall.scim import documents, profiles
from rollcall.scim.conditions import UNCONDITIONAL
from rollcall.scim.errors import NobodysToken, NotFound, SCIMException
from rollcall.scim.intent import names_roles, speaks_of_roles


async def read(call: Call, user_id: str) -> Answer:
    """The person with this id.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such person.
    """
    row = await statements.read_user(call, lookups.resource_id(user_id))
    admitted = await gate.judge(call, row)
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
    row = await statements.own_user(call, needs)
    admitted = await gate.judge(call, row)
    if row["id"] is None:
        raise await refused(admitted, NobodysToken())
    return permitted(call), str(row["id"])


async def refuse_unread(call: Call, needs: str, refusal: SCIMException) -> SCIMException:
    """Pass the gate for a call whose request can't be read, write the refusal down, and give it back to be raised.

    Raises:
        SCIMException: the gate refuses; that comes first.
    """
    return await refused(await gate.ask(call, needs), refusal)


async def posted(call: Call, read: ReadPayload) -> tuple[Call, dict[str, object]]:
    """Pass the gate and read the body of a search; returns what is left of the call, and the body.

    Raises:
        SCIMException: the gate refuses, or the body can't be read.
    """
    payload = await read_payload(await gate.ask(call, "read"), read)
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
    admitted = await admitted_to_write(call)
    await insist_on_giving(admitted, "the person was not created")
    payload = await read_payload(admitted, read)
    former: Former | None = None
    for tried in range(TRIES):
        await before_trying_again(tried)
        await insist_on_giving(admitted, "the person was not created")
        try:
            person = newcomer(admitted, payload, former)
        except RefusedChange as refused_:
            if admitted.asked:
                raise await refuse(admitted, refused_, payload) from refused_
            admitted = await asked(admitted)  # what is remembered would refuse it; what is so now, perhaps not
            continue
        result = await statements.create_user(admitted, person.change, payload)
        match await outcome_of(admitted, result):
            case "done":
                admitted.deviated(person.deviations)
                return rendering.answer(call, result, orjson.dumps(person.document), None)
            case "uniqueness":
                admitted.deviated(person.deviations)
                raise taken(person.document, result)
            case "seats":
                raise await no_seat(admitted, payload)
            case "former":
                former = former_of(result)
            case _:
                admitted = await gate.ask(admitted.call, "write")
    raise await refused(admitted, outrun("person"), payload=payload)


@kept_while_suspended
@judged_at_commit
async def replace(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Replace a person's attributes (RFC 7644 §3.5.1).

    Raises:
        SCIMException: as for `create`, or this tenant has no such person.
    """

    def read_wish(payload: dict[str, object], admitted: Admitted) -> UserWish:
        given = profiles.read_user(payload)
        user = given.user
        plain = mapping.plain_change(documents.document(user), cause(admitted.call)) if user.active is True else None
        return UserWish(
            lambda stored, _own: documents.Patched(documents.replaced(stored.document, user)),
            given.deviations,
            about_roles=True,
            unjudged=plain,
        )

    return await _change(call, user_id, read, read_wish)


@kept_while_suspended
@judged_at_commit
async def patch(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Change some of a person's attributes (RFC 7644 §3.5.2), all of the operations or none.

    Raises:
        SCIMException: as for `replace`.
    """

    def read_wish(payload: dict[str, object], admitted: Admitted) -> UserWish:
        given = profiles.read_patch(payload, admitted.unknown_in_patch)
        operations = given.operations
        unjudged: UserChange | None = None
        about_roles = speaks_of_roles(payload)
        if documents.only_deactivates(operations):
            unjudged = mapping.departure(cause(admitted.call))
        elif (described := documents.only_describes(operations)) is not None:
            unjudged = mapping.attributes_change(described, cause(admitted.call))
        return UserWish(
            lambda stored, own: documents.work_out(stored.document, operations, own=own, spelling=stored.rule.spelling),
            given.deviations,
            about_roles=about_roles,
            names_roles=about_roles and names_roles(payload),
            unjudged=unjudged,
        )

    return await _change(call, user_id, read, read_wish, patched=True)


async def _change(call: Call, user_id: str, read: ReadPayload, read_wish: ReadWish, *, patched: bool = False) -> Answer:
    person = lookups.resource_id(user_id)
    admitted, row = await _context(call, person)
    change = PendingChange(permitted(admitted.call), admitted, row, person, read_wish)
    await change.read(read)
    result = await change.carry_out()
    return rendering.quieted(change.admitted, result) if patched and change.left_out is None else result


async def _context(call: Call, person: UUID | None) -> tuple[Admitted, Row | None]:
    """The caller's context, and the person as they are stored if it was not remembered but asked for."""
    if person is not None and call.conditions == UNCONDITIONAL and (admitted := await gate.recall(call)) is not None:
        return admitted, None
    return await stored_now(call, person)


@kept_while_suspended
@judged_at_commit
async def delete(call: Call, user_id: str) -> None:
    """Take the resource away and close every way in; the account stays, deactivated, with its history.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such person.
    """
    admitted, row = await stored_now(call, lookups.resource_id(user_id))
    call = admitted.call
    for tried in range(TRIES):
        await before_trying_again(tried)
        if row["id"] is None:
            raise await refused(admitted, NotFound())
        await check_conditions(admitted, rendering.etag(row), target=row["id"])
        seen = seen_by(call, row) if depends_on_version(call) else None
        match await outcome_of(admitted, await statements.delete_user(call, row["id"], seen)):
            case "done":
                return
            case "not_found":
                raise NotFound
            case _:
                admitted, row = await stored_now(call, row["id"])
    raise await refused(admitted, outrun("person"), target=row["id"])
