"""New people: what a POST comes to, and runs of them in a Bulk, which one statement takes in.

A run is an order of single creations: each is judged and written as by itself, by the same function of the database,
and has its own entry, messages and outcome. What they share is the gate, the lock on the role rule and the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from rollcall.db import Overtaken, Row, is_away, may_be_done
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Document, Former
from rollcall.directory.user_changes import UserChange
from rollcall.provisioning import gate, statements
from rollcall.provisioning.calls import outcome_of
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.user_change import RefusedChange, cause, judged_roles, taken
from rollcall.scim import documents, profiles
from rollcall.scim.errors import SCIMException

MOST_OF_A_RUN: Final = 50
"""People of one run at the most. Working them out keeps the event loop for some five milliseconds, and each may take an
advisory lock, of which PostgreSQL has room for a few thousand. With more of them a person would hardly cost less."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who is to be taken in."""

    document: Document
    change: UserChange
    deviations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Somebody who was taken in as one of a run."""

    id: str
    etag: str


def newcomer(admitted: Admitted, payload: dict[str, object], former: Former | None = None) -> Newcomer:
    """What a POST comes to, with the account that the person had before if there is one.

    Raises:
        RefusedChange: it can't be read, the tenant takes the standard to the letter, or the roles conflict.
    """
    try:
        given = profiles.read_user(payload)
        admitted.insist_on_standard(given.deviations)
        document = documents.document(given.user)
    except SCIMException as refusal:
        raise RefusedChange(refusal) from refusal
    rule = mapping.read_rule(admitted.caller.rule)
    before = role_states.fresh(rule) if former is None else mapping.taken_up_again(former.role_state)
    judged = judged_roles(document, lambda: mapping.judge(rule, before, document))
    change = mapping.new_user(document, rule, admitted.rule_version, judged, cause(admitted.call), former=former)
    return Newcomer(document, change, given.deviations + judged.deviations)


def former_of(row: Row) -> Former | None:
    """The account that a statement says has to be taken up again; None where it is none."""
    return None if row["account_id"] is None else Former(row["account_id"], mapping.read_role_state(row["role_state"]))


async def create_run(
    call: Call, payloads: Sequence[dict[str, object]], *, most_refused: int
) -> list[TakenIn | SCIMException]:
    """Take new people in by one statement, as far as that goes, but no further than *most_refused* refusals.

    Returns what became of the first of *payloads*. Of those that have no outcome nothing has been done: the next of
    them is to come by itself, which finds out why. A run whose caller is not remembered, or that fails, has none.

    Raises:
        Exception: PostgreSQL has gone (`is_away`, `may_be_done`); it is not known what became of the run.
    """
    admitted = await gate.recall(call)
    if admitted is None:
        return []
    try:
        people = _judged(admitted, payloads)
        if len(people) < 2:  # one is not a run
            return []
        changes = [each.change for each in people]
        # Of two runs that hold a name each which the other one wants, PostgreSQL would undo one, after a second.
        async with call.context.writers.at(call.token.tenant_id, call.token.tenant_id):
            row = await statements.create_users(admitted, changes, payloads[: len(people)], most_refused=most_refused)
    except (statements.EndedMeanwhile, *Overtaken):
        return []
    except Exception as error:
        if is_away(error) and may_be_done(error):
            raise
        log.warning("people not created together; each is tried by itself", error=type(error).__name__)
        return []
    if row["verdict"] != "ok" or row["outcome"] != "done":
        call.context.recent_callers.forget(call.token)
        return []
    columns = (row[name] or () for name in ("outcomes", "reasons", "ids", "versions"))
    outcomes = [
        {"verdict": "ok", "outcome": outcome, "reason": reason, "id": user_id, "version": version}
        for outcome, reason, user_id, version in zip(*columns, strict=True)
    ]
    return [await _outcome(admitted, person, each) for person, each in zip(people, outcomes, strict=False)]


def _judged(admitted: Admitted, payloads: Sequence[dict[str, object]]) -> list[Newcomer]:
    """What the payloads come to, before the first of them that is refused."""
    people: list[Newcomer] = []
    for payload in payloads:
        try:
            people.append(newcomer(admitted, payload))
        except RefusedChange:
            break
    return people


async def _outcome(admitted: Admitted, person: Newcomer, row: Row) -> TakenIn | SCIMException:
    outcome = await outcome_of(admitted, row)
    admitted.deviated(person.deviations)
    if outcome == "uniqueness":
        return taken(person.document, row)
    return TakenIn(str(row["id"]), documents.etag(row["version"]))
