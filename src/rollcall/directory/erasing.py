"""Erasing a person who has left: what names them goes, and that something happened stays.

One transaction takes them out of the directory and out of everything that is looked at; the audit is looked through
after that, in batches, by whoever erases or by housekeeping. Receipts stay as they were signed unless they are to go.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from rollcall.access.models import Account
from rollcall.db import Database
from rollcall.directory import people
from rollcall.errors import Conflict
from rollcall.functions import qualified
from rollcall.journal.events import PersonErased
from rollcall.journal.keeping import Did, in_batches
from rollcall.journal.record import record
from rollcall.proof import mass_changes
from rollcall.work import Work

AT_ONCE: Final = 2000
"""Entries of the audit that are looked through in one transaction."""

_ERASE = text(qualified("SELECT fn.erase_person(:tenant, :account, :request_id, :receipts)"))
_GO_ON = text(qualified("SELECT fn.erase_entries(:tenant, :account, :limit)"))
_BRING_ON = text(qualified("SELECT fn.bring_on_erasures(:limit)"))


class NotErasable(Conflict):
    """The person has not left, or somebody has still to be told that they have."""

    code = "not_erasable"
    advice = "Deactivate the person first and wait until their receipt is complete; then send the call again."


class _OnlyTried(Exception):
    """Has what was tried undone."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure took away, or would."""

    account: Account
    before: bool
    """Whether the person was erased before, so that nothing was left to do."""
    went: Mapping[str, int]
    """How many rows went, by what they were; none that is zero."""
    entries: int
    """Entries of the audit about them, which stay without what they said."""
    receipts_kept: int


async def erase(work: Work, person_id: UUID, *, receipts: bool = False, dry_run: bool = False) -> Erasure:
    """Erase a person who has left, with their *receipts* if those are to go. Twice is the same as once.

    The audit is not done with when this returns: call `go_on` until it says so, or leave it to housekeeping. With
    *dry_run* nothing is changed.

    Raises:
        NotFound: this tenant has no such person.
        NotErasable: they have not left, or somebody has still to be told.
        MassChangeUnderWay: unusually many people are leaving; what can't be undone waits.
    """
    await mass_changes.check(work)
    account = await _account(work, person_id)
    facts = {
        "tenant": work.tenant.id,
        "account": account.id,
        "request_id": work.origin.request_id,
        "receipts": receipts,
    }
    did: dict[str, Any] = {}
    with suppress(_OnlyTried):
        async with work.db.begin_nested():
            did = (await work.db.execute(_ERASE, facts)).scalar_one()
            if dry_run or "refused" in did:
                raise _OnlyTried
    if "refused" in did:
        raise NotErasable(_WHY_NOT[did["refused"]])
    before = "before" in did
    if not before and not dry_run:
        await record(work, PersonErased(), account_id=account.id)
        await work.db.refresh(account)
    entries, kept = int(did.pop("entries", 0)), int(did.pop("receipts_kept", 0))
    return Erasure(account, before, {} if before else {name: n for name, n in did.items() if n}, entries, kept)


async def go_on(work: Work, account_id: UUID) -> int:
    """Look through the next entries of the audit for whom was erased; returns how many, 0 when there are no more."""
    facts = {"tenant": work.tenant.id, "account": account_id, "limit": AT_ONCE}
    return int(await work.db.scalar(_GO_ON, facts) or 0)


async def bring_on(database: Database) -> Did:
    """Look through the audit for everybody whose erasure has begun and not ended."""
    return {"entries_looked_through": await in_batches(database, _BRING_ON)}


async def _account(work: Work, person_id: UUID) -> Account:
    """The person's account: of one that was closed as it was linked, the one that it was linked to."""
    account = (await people.find(work, person_id)).account
    while account.linked_to is not None:
        account = (await people.find(work, account.linked_to)).account
    return account


_WHY_NOT: Final[Mapping[str, str]] = {
    "here": "This person is active, and only somebody who has left can be erased.",
    "told": "Not everybody has been told of this person yet, or their receipt is not complete; that comes first.",
}
