"""A change of a person on its way: from its caller's context, by what is stored, to the statement that writes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from rollcall.db import Row
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Cause, Document, Stored
from rollcall.directory.user_changes import ChangeKind, UserChange
from rollcall.provisioning import gate, rendering, statements
from rollcall.provisioning.calls import Answer, ReadPayload, depends_on_version, outcome_of, outrun, read_payload
from rollcall.provisioning.calls import refused as written_refusal
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.seats import no_seat
from rollcall.retries import TRIES, before_trying_again
from rollcall.scim import documents
from rollcall.scim.conditions import proceeds
from rollcall.scim.errors import InvalidValue, NotFound, PreconditionFailed, SCIMException, TakenUserName
from rollcall.scim.intent import names_nobody, says_that_somebody_leaves
from rollcall.scim.values import Deviation

Edit = Callable[[Stored, dict[str, object]], documents.Patched]
"""What a PUT or a PATCH makes of a person; the second argument has the attributes that are ours to say."""


_REFUSING_DEPARTURES = (NotFound, PreconditionFailed)
"""What refuses a departure as well as anything else."""

_LONGEST_REASON = 500
"""Characters that the audit keeps of why something was left out."""


class RefusedChange(Exception):
    """A change that can't be made, by what it says and what is stored; with the case that opens by it."""

    def __init__(self, refusal: SCIMException, case: dict[str, Any] | None = None) -> None:
        self.refusal = refusal
        self.case = case


@dataclass(frozen=True, slots=True)
class UserWish:
    """What a PUT or a PATCH asks for."""

    edit: Edit
    deviations: tuple[str, ...]
    about_roles: bool
    names_roles: bool = True
    unjudged: UserChange | None = None
    """The change as it can be tried before what is stored is known: most likely nothing of that decides about it."""


ReadWish = Callable[[dict[str, object], Admitted], UserWish]


async def stored_now(call: Call, person: UUID | None) -> tuple[Admitted, Row]:
    """The caller's context and the person as they are now; the row's ``id`` is None where nobody like that is.

    Raises:
        SCIMException: the gate refuses.
    """
    row = await statements.user_to_change(call, person)
    return await gate.judge_writer(call, row), row


@dataclass(slots=True)
class PendingChange:
    """A change of a person on its way: from its caller's context, by what is stored, to the statement that writes."""

    call: Call
    """The call as it looks at what is stored."""
    admitted: Admitted
    row: Row | None
    """The person as they were last seen; None before they are looked at, and when that is no longer so."""
    person: UUID | None
    read_wish: ReadWish
    payload: dict[str, object] = field(default_factory=dict[str, object])
    wish: UserWish | None = None
    counted: bool = False
    """Whether what it departs from the standard stands in the ledger."""
    left_out: str | None = None
    """Why all but the departure that it says was left out."""

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
                await self._leave_out(refusal)
                return
            await self._look()  # by what is remembered it would be refused; by what is so now, perhaps not
            try:
                self._read()
            except SCIMException as second:
                await self._leave_out(second)

    async def _leave_out(self, refusal: SCIMException) -> None:
        """Go on with the departure alone that the body says, though the rest of it is refused.

        Raises:
            SCIMException: it says none, or this refuses a departure too; that has been written down.
        """
        may_leave = self.admitted.profile.tolerant and not isinstance(refusal, _REFUSING_DEPARTURES)
        if not may_leave or not says_that_somebody_leaves(self.payload) or names_nobody(self.payload):
            raise await self._refused(refusal) from refusal
        self.left_out = (refusal.detail or str(refusal))[:_LONGEST_REASON]

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
        if self.left_out is not None:
            return await self._leave_alone(self.left_out)
        assert self.wish is not None
        unjudged = self.wish.unjudged if self.row is None else None
        if unjudged is not None and unjudged.kind is ChangeKind.DEPARTURE:  # it waits for nobody
            answer, unjudged = await self._try_unjudged(unjudged), None
            if answer is not None:
                return answer
        assert self.person is not None
        async with self.admitted.call.context.writers.at(self.admitted.call.token.tenant_id, self.person):
            if unjudged is not None and (answer := await self._try_unjudged(unjudged)) is not None:
                return answer
            for tried in range(TRIES):
                await before_trying_again(tried)
                if self.row is None:
                    await self._look()
                self._count(self.wish.deviations)
                answer = await self._try_judged(self.wish)
                if answer is not None:
                    return answer
                if self.left_out is not None:
                    return await self._leave_alone(self.left_out)
        raise await self._refused(outrun("person"))

    async def _leave_alone(self, left_out: str) -> Answer:
        """Have the person leave though the rest can't be taken, which is counted."""
        self.admitted.deviated((Deviation.LEFT_OUT,))
        return await self._leave(left_out)

    async def _leave(self, left_out: str | None, *, status: int = 200) -> Answer:
        """Have the person leave, and answer with the resource as it now is; *status* is what the caller is answered.

        Raises:
            SCIMException: the gate refuses by now, or what the call requires of the version is not so.
        """
        change = replace(mapping.departure(cause(self.call)), left_out=left_out)
        for tried in range(TRIES):
            await before_trying_again(tried)
            if self.row is None:
                await self._look()
            if self.row is None or self.row["id"] is None:
                raise await self._refused(NotFound())
            row, admitted = self.row, self.admitted
            try:
                proceeds(self.call.conditions, rendering.etag(row), reading=False)
            except SCIMException as refusal:
                raise await self._refused(refusal) from refusal
            if not row["active"]:
                said = "nothing to change" if left_out is None else f"nothing to change; left out: {left_out}"
                await gate.note(admitted, said, payload=self.payload, user_id=row["id"])
                return rendering.answer(self.call, row, row["document"], row["groups"])
            if depends_on_version(self.call):
                change = replace(change, seen=seen_by(self.call, row))
            result = await statements.save_user(admitted, row["id"], change, self.payload, status=status)
            match await outcome_of(admitted, result):
                case "done":
                    return rendering.answer(self.call, result, result["document"], result["groups"])
                case _:
                    self.row = None
        raise await self._refused(outrun("person"))

    async def _look(self) -> None:
        self.admitted, self.row = await stored_now(self.call, self.person)

    async def _try_unjudged(self, change: UserChange) -> Answer | None:
        """Try it without knowing who is stored; None: that decides, and is known by now, or the context is stale."""
        assert self.person is not None
        admitted = self.admitted
        result = await statements.save_user(admitted, self.person, change, self.payload)
        match await outcome_of(admitted, result):
            case "done":
                self._count(self.wish.deviations if self.wish else ())
                document = result["document"] or orjson.dumps(change.document)
                return rendering.answer(admitted.call, result, document, result["groups"])
            case "judge":
                self.admitted, self.row = gate.passed(admitted, result), result
            case _:
                self.call = admitted.call
        return None

    async def _try_judged(self, wish: UserWish) -> Answer | None:
        """Work it out by who is stored, and write it; None: others were quicker."""
        row, admitted, call = self.row, self.admitted, self.admitted.call
        assert row is not None
        try:
            stored, edited = self._worked_out(row, wish)
            if admitted.takes_only:
                return await self._take(stored, edited)
            judged = judged_roles(
                edited.document,
                lambda: mapping.judge(
                    stored.rule,
                    stored.role_state,
                    edited.document,
                    before=stored,
                    about_roles=wish.about_roles,
                    names_roles=wish.names_roles,
                ),
            )
        except RefusedChange as refused:
            if refused.case is not None:
                raise await refuse(admitted, refused, self.payload, user_id=row["id"]) from refused
            await self._leave_out(refused.refusal)
            return None
        document, deviations = edited.document, edited.deviations + judged.deviations
        if document == stored.document and judged.role_state == stored.role_state:
            self.admitted.deviated(deviations)
            case = mapping.taken_back(document, judged)
            await gate.note(admitted, "nothing to change", payload=self.payload, user_id=row["id"], case=case)
            return rendering.answer(call, row, row["document"], row["groups"])
        change = mapping.changed_user(stored, document, judged, cause(call))
        if depends_on_version(call):
            change = replace(change, seen=seen_by(call, row))
        result = await statements.save_user(admitted, stored.id, change, self.payload)
        match await outcome_of(admitted, result):
            case "done":
                self.admitted.deviated(deviations)
                return rendering.answer(call, result, orjson.dumps(document), row["groups"])
            case "uniqueness":
                if not says_that_somebody_leaves(self.payload) or not admitted.profile.tolerant:
                    raise taken(document, result)
                self.left_out = taken(document, result).detail
                return None
            case "not_found":
                raise NotFound
            case "seats":
                raise await no_seat(admitted, self.payload, target=stored.id)
            case _:
                self.row = None
                return None

    async def _take(self, stored: Stored, edited: documents.Patched) -> Answer:
        """Carry out what takes away of a change, while nothing may be given: that somebody leaves.

        Raises:
            Forbidden, Paused: it says more than that, which was not done.
        """
        call, row, admitted = self.admitted.call, self.row, self.admitted
        assert row is not None
        admitted.deviated(edited.deviations)
        differ = {
            name
            for name in stored.document.keys() | edited.document.keys()
            if stored.document.get(name) != edited.document.get(name)
        }
        leaves = stored.active and "active" in differ
        left = ", ".join(sorted(differ - {"active"} if leaves else differ))
        if not differ:
            await gate.note(admitted, "nothing to change", payload=self.payload, user_id=stored.id)
            return rendering.answer(call, row, row["document"], row["groups"])
        if not leaves:
            raise await self._refused(await gate.not_given(call, left=left))
        if not left:
            return await self._leave(None)
        refusal = await gate.not_given(call, done="the person was deactivated", left=left)
        await self._leave(left, status=refusal.status)
        raise refusal

    def _worked_out(self, row: Row, wish: UserWish) -> tuple[Stored, documents.Patched]:
        if row["id"] is None:
            raise RefusedChange(NotFound())
        stored = _stored(row, self.admitted)
        try:
            proceeds(self.admitted.call.conditions, rendering.etag(row), reading=False)
            edited = wish.edit(stored, rendering.own_attributes(self.admitted.call, row))
            self.admitted.insist_on_standard(edited.deviations)
        except SCIMException as refusal:
            raise RefusedChange(refusal) from refusal
        return stored, edited

    def _count(self, deviations: tuple[str, ...]) -> None:
        if not self.counted:
            self.counted = True
            self.admitted.deviated(deviations)

    async def _refused(self, refusal: SCIMException) -> SCIMException:
        target = None if self.row is None else self.row["id"]
        return await written_refusal(self.admitted, refusal, payload=self.payload, target=target)


def judged_roles(document: Document, judge: Callable[[], mapping.Judged]) -> mapping.Judged:
    """What the roles in a document come to.

    Raises:
        RefusedChange: they conflict, and the rule rejects that.
    """
    try:
        return judge()
    except role_states.ConflictingRoles as conflict:
        refusal = InvalidValue(
            attribute="roles",
            detail=f"roles: {conflict.detail}; a person has one, so nothing was changed. "
            "Leave the person one of them at the identity provider",
        )
        raise RefusedChange(refusal, mapping.case_of(document, conflict.reading)) from conflict


async def refuse(
    admitted: Admitted, refused: RefusedChange, payload: dict[str, object], *, user_id: UUID | None = None
) -> SCIMException:
    """Write a refusal down, with its case, and give it back to be raised."""
    await gate.refuse(admitted, refused.refusal, payload=payload, user_id=user_id, case=refused.case)
    return refused.refusal


def cause(call: Call) -> Cause:
    """What stands in the records about a provider's change."""
    return Cause(call.origin.request_id, call.arrived, "deactivated by the identity provider")


def taken(document: Document, result: Row) -> TakenUserName:
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


def seen_by(call: Call, row: Row) -> dict[str, object]:
    """What an entity tag stands for, so that the database can tell whether the person is still so."""
    return {"version": row["version"], "groups": row["groups"], "base": call.context.base_url}
