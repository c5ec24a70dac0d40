"""People as their identity provider handles them: the doors of ``/scim/v2/Users``.

A change needs its caller's context, which is remembered or asked for, and what is stored, unless nothing stored decides
about it. Then one statement passes the gate, compares what the change was worked out from, and writes; if that is no
longer so, the change is worked out anew.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from dataclasses import replace as with_changes
from typing import Any
from uuid import UUID

import orjson

from rollcall.db import Row
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Cause, Document, Stored
from rollcall.provisioning import gate, lookups, rendering, statements
from rollcall.provisioning.calls import (
    TRIES,
    Answer,
    ReadPayload,
    admitted_to_write,
    asked,
    check_conditions,
    depends_on_version,
    judged_at_commit,
    outcome_of,
    outrun,
    read_payload,
    refused,
    trace,
)
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.gate import permitted
from rollcall.scim import documents, profiles
from rollcall.scim.conditions import UNCONDITIONAL, proceeds
from rollcall.scim.errors import InvalidValue, NobodysToken, NotFound, SCIMException, TakenUserName

Edit = Callable[[Document, str], Document]
"""What a PUT or a PATCH makes of a stored document; the second argument is the person's id."""


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


class _Refused(Exception):
    """A change that can't be made, by what it says and what is stored; with the case that opens by it."""

    def __init__(self, refusal: SCIMException, case: dict[str, Any] | None = None) -> None:
        self.refusal = refusal
        self.case = case


@judged_at_commit
async def create(call: Call, read: ReadPayload) -> Answer:
    """Take a new person in. Somebody with the same externalId who was removed takes their account up again.

    Raises:
        SCIMException: the gate refuses, the body can't be read, the userName is taken, or the roles conflict.
    """
    admitted = await admitted_to_write(call)
    payload = await read_payload(admitted, read)
    former: Row | None = None
    for _ in range(TRIES):
        try:
            newcomer = _newcomer(admitted, payload, former)
        except _Refused as refused_:
            if admitted.asked:
                raise await _refuse(admitted, refused_, payload) from refused_
            admitted = await asked(admitted)  # what is remembered would refuse it; what is so now, perhaps not
            continue
        result = await statements.create_user(admitted, newcomer.change, payload)
        match await outcome_of(admitted, result):
            case "done":
                admitted.deviated(newcomer.deviations)
                return rendering.answer(call, result, orjson.dumps(newcomer.document), None)
            case "uniqueness":
                admitted.deviated(newcomer.deviations)
                raise _taken(newcomer.document, result)
            case "former":
                former = result if result["account_id"] is not None else None
            case _:
                admitted = await gate.ask(admitted.call, "write")
    raise await refused(admitted, outrun("person"), payload=payload)


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """Somebody who is to be taken in."""

    document: Document
    change: dict[str, Any]
    deviations: tuple[str, ...]


def _newcomer(admitted: Admitted, payload: dict[str, object], former: Row | None) -> _Newcomer:
    """What a POST comes to, with the account that the person had before if there is one.

    Raises:
        _Refused: it can't be read, the tenant takes the standard to the letter, or the roles conflict.
    """
    try:
        given = profiles.read_user(payload)
        admitted.insist_on_standard(given.deviations)
        document = documents.document(given.user)
    except SCIMException as refusal:
        raise _Refused(refusal) from refusal
    rule = mapping.read_rule(admitted.caller.rule)
    before = role_states.fresh(rule) if former is None else mapping.read_role_state(former["role_state"])
    judged = _judged(document, lambda: mapping.judge(rule, mapping.taken_up_again(before), document))
    account = None if former is None else former["account_id"]
    change = mapping.new_user(document, rule, admitted.rule_version, judged, _cause(admitted.call), former=account)
    if former is not None:
        change["former_role_state"] = asdict(before)
    return _Newcomer(document, change, given.deviations + judged.habits)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a PUT or a PATCH asks for."""

    edit: Edit
    deviations: tuple[str, ...]
    about_roles: bool
    unjudged: dict[str, Any] | None = None
    """The change as it can be tried before what is stored is known: most likely nothing of that decides about it."""


ReadWish = Callable[[dict[str, object], Admitted], _Wish]


@judged_at_commit
async def replace(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Replace a person's attributes (RFC 7644 §3.5.1).

    Raises:
        SCIMException: as for `create`, or this tenant has no such person.
    """

    def read_wish(payload: dict[str, object], admitted: Admitted) -> _Wish:
        given = profiles.read_user(payload)
        user = given.user
        plain = mapping.plain_change(documents.document(user), _cause(admitted.call)) if user.active is True else None
        return _Wish(lambda document, _id: documents.replaced(document, user), given.deviations, True, plain)

    return await _change(call, user_id, read, read_wish)


@judged_at_commit
async def patch(call: Call, user_id: str, read: ReadPayload) -> Answer:
    """Change some of a person's attributes (RFC 7644 §3.5.2), all of the operations or none.

    Raises:
        SCIMException: as for `replace`.
    """

    def read_wish(payload: dict[str, object], admitted: Admitted) -> _Wish:
        given = profiles.read_patch(payload, admitted.unknown_in_patch)
        operations = given.operations
        departure = mapping.departure(_cause(admitted.call)) if documents.only_deactivates(operations) else None
        return _Wish(
            lambda document, own_id: documents.patched(document, operations, id=own_id),
            given.deviations,
            mapping.speaks_of_roles(payload),
            departure,
        )

    return await _change(call, user_id, read, read_wish, patched=True)


async def _change(call: Call, user_id: str, read: ReadPayload, read_wish: ReadWish, *, patched: bool = False) -> Answer:
    person = lookups.resource_id(user_id)
    admitted, row = await _context(call, person)
    change = _Change(permitted(admitted.call), admitted, row, person, read_wish)
    await change.read(read)
    result = await change.carry_out()
    return rendering.quieted(change.admitted, result) if patched else result


async def _context(call: Call, person: UUID | None) -> tuple[Admitted, Row | None]:
    """The caller's context, and the person as they are stored if it was not remembered but asked for."""
    if person is not None and call.conditions == UNCONDITIONAL and (admitted := await gate.recall(call)) is not None:
        return admitted, None
    return await _stored_now(call, person)


async def _stored_now(call: Call, person: UUID | None) -> tuple[Admitted, Row]:
    row = await statements.user_to_change(call, person)
    return await gate.judge_writer(call, row), row


@dataclass(slots=True)
class _Change:
    """A change of a person on its way: from its caller's context, by what is stored, to the statement that writes."""

    call: Call
    """The call as it looks at what is stored."""
    admitted: Admitted
    row: Row | None
    """The person as they were last seen; None before they are looked at, and when that is no longer so."""
    person: UUID | None
    read_wish: ReadWish
    payload: dict[str, object] = field(default_factory=dict[str, object])
    wish: _Wish | None = None
    counted: bool = False
    """Whether what it departs from the standard stands in the ledger."""

    async def read(self, read: ReadPayload) -> None:
        """Read what is asked for.

        Raises:
            SCIMException: it can't be read, or nobody like that is there; that has been written down.
        """
        self.payload = await read_payload(self.admitted, read)
        try:
            self._read()
        except SCIMException as refusal:
            if self.row is not None:
                raise await self._refused(refusal) from refusal
            await self._look()  # by what is remembered it would be refused; by what is so now, perhaps not
            try:
                self._read()
            except SCIMException as second:
                raise await self._refused(second) from second

    def _read(self) -> None:
        if self.row is not None and self.row["id"] is None:
            raise NotFound
        self.wish = self.read_wish(self.payload, self.admitted)
        self.admitted.insist_on_standard(self.wish.deviations)

    async def carry_out(self) -> Answer:
        """Make the change, as often as others are quicker, and answer it.

        Raises:
            SCIMException: it can't be made; that has been written down.
        """
        assert self.wish is not None
        if self.row is None and self.wish.unjudged is not None:
            answer = await self._try_unjudged(self.wish.unjudged)
            if answer is not None:
                return answer
        assert self.person is not None
        async with self.admitted.call.context.writers.at(self.admitted.call.token.tenant_id, self.person):
            for _ in range(TRIES):
                if self.row is None:
                    await self._look()
                self._count(self.wish.deviations)
                answer = await self._try_judged(self.wish)
                if answer is not None:
                    return answer
        raise await self._refused(outrun("person"))

    async def _look(self) -> None:
        self.admitted, self.row = await _stored_now(self.call, self.person)

    async def _try_unjudged(self, change: dict[str, Any]) -> Answer | None:
        """Try it without knowing who is stored; None: that decides, and is known by now, or the context is stale."""
        assert self.person is not None
        admitted = self.admitted
        result = await statements.save_user(admitted, self.person, change, self.payload)
        match await outcome_of(admitted, result):
            case "done":
                self._count(self.wish.deviations if self.wish else ())
                document = result["document"] or orjson.dumps(change["document"])
                return rendering.answer(admitted.call, result, document, result["groups"])
            case "judge":
                self.admitted, self.row = gate.passed(admitted), result
            case _:
                self.call = admitted.call
        return None

    async def _try_judged(self, wish: _Wish) -> Answer | None:
        """Work it out by who is stored, and write it; None: others were quicker."""
        row, admitted, call = self.row, self.admitted, self.admitted.call
        assert row is not None
        try:
            stored, document, judged = self._worked_out(row, wish)
        except _Refused as refused_:
            raise await _refuse(admitted, refused_, self.payload, user_id=row["id"]) from refused_
        if document == stored.document and judged.role_state == stored.role_state:
            self._count(judged.habits, again=True)
            case = mapping.taken_back(document, judged)
            await gate.note(admitted, "nothing to change", payload=self.payload, user_id=row["id"], case=case)
            return rendering.answer(call, row, row["document"], row["groups"])
        change = mapping.changed_user(stored, document, judged, _cause(call))
        if depends_on_version(call):
            change["seen"] = _seen(call, row)
        result = await statements.save_user(admitted, stored.id, change, self.payload)
        match await outcome_of(admitted, result):
            case "done":
                self._count(judged.habits, again=True)
                return rendering.answer(call, result, orjson.dumps(document), row["groups"])
            case "uniqueness":
                raise _taken(document, result)
            case "not_found":
                raise NotFound
            case _:
                self.row = None
                return None

    def _worked_out(self, row: Row, wish: _Wish) -> tuple[Stored, Document, mapping.Judged]:
        if row["id"] is None:
            raise _Refused(NotFound())
        stored = _stored(row, self.admitted)
        try:
            proceeds(self.admitted.call.conditions, rendering.etag(row), reading=False)
            document = wish.edit(stored.document, str(stored.id))
        except SCIMException as refusal:
            raise _Refused(refusal) from refusal
        judged = _judged(
            document,
            lambda: mapping.judge(
                stored.rule, stored.role_state, document, before=stored, about_roles=wish.about_roles
            ),
        )
        return stored, document, judged

    def _count(self, deviations: tuple[str, ...], *, again: bool = False) -> None:
        if again or not self.counted:
            self.counted = self.counted or not again
            self.admitted.deviated(deviations)

    async def _refused(self, refusal: SCIMException) -> SCIMException:
        target = None if self.row is None else self.row["id"]
        return await refused(self.admitted, refusal, payload=self.payload, target=target)


def _judged(document: Document, judge: Callable[[], mapping.Judged]) -> mapping.Judged:
    """What the roles in a document come to.

    Raises:
        _Refused: they conflict, and the rule rejects that.
    """
    try:
        return judge()
    except role_states.ConflictingRoles as conflict:
        refusal = InvalidValue(
            attribute="roles",
            detail=f"roles: {conflict.detail}; a person has one, so nothing was changed. "
            "Leave the person one of them at the identity provider",
        )
        raise _Refused(refusal, mapping.case_of(document, conflict.reading)) from conflict


async def _refuse(
    admitted: Admitted, refused_: _Refused, payload: dict[str, object], *, user_id: UUID | None = None
) -> SCIMException:
    """Write a refusal down, with its case, and give it back to be raised."""
    await gate.refuse(admitted, refused_.refusal, payload=payload, user_id=user_id, case=refused_.case)
    return refused_.refusal


@judged_at_commit
async def delete(call: Call, user_id: str) -> None:
    """Take the resource away and close every way in; the account stays, deactivated, with its history.

    Raises:
        SCIMException: the gate refuses, or this tenant has no such person.
    """
    admitted, row = await _stored_now(call, lookups.resource_id(user_id))
    call = admitted.call
    for _ in range(TRIES):
        if row["id"] is None:
            raise await refused(admitted, NotFound())
        await check_conditions(admitted, rendering.etag(row), target=row["id"])
        seen = _seen(call, row) if depends_on_version(call) else None
        match await outcome_of(admitted, await statements.delete_user(call, row["id"], seen)):
            case "done":
                return
            case "not_found":
                raise NotFound
            case _:
                admitted, row = await _stored_now(call, row["id"])
    raise await refused(admitted, outrun("person"), target=row["id"])


def _cause(call: Call) -> Cause:
    """What stands in the records about a provider's change."""
    return Cause(call.origin.request_id, call.arrived, "deactivated by the identity provider")


def _taken(document: Document, result: Row) -> TakenUserName:
    return TakenUserName(str(document["userName"]), result["id"], active=result["reason"] is None)


def _stored(row: Row, admitted: Admitted) -> Stored:
    return Stored(
        id=row["id"],
        account_id=row["account_id"],
        document=orjson.loads(row["document"]),
        version=row["version"],
        active=row["active"],
        role_state=mapping.read_role_state(row["role_state"]),
        rule=mapping.read_rule(admitted.caller.rule),
        rule_version=admitted.rule_version,
        groups=mapping.group_names(row["groups"]),
        group_revision=row["group_revision"],
    )


def _seen(call: Call, row: Row) -> dict[str, object]:
    """What an entity tag stands for, so that the database can tell whether the person is still so."""
    return {"version": row["version"], "groups": row["groups"], "base": call.context.base_url}
