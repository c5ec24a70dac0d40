"""Receipts: what the worker does after somebody left, and the signed proof it leaves.

A receipt is settled first: what the departure closed is counted and purged. It is completed when the last destination
is dealt with, and then signed: what the statement says is no longer changed by anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select

from rollcall import paging
from rollcall.crypto import Sealer
from rollcall.errors import NotFound
from rollcall.paging import Page
from rollcall.proof import mass_changes, signing, statements
from rollcall.proof.models import Receipt
from rollcall.proof.signing import Signer
from rollcall.work import Work

log = structlog.get_logger(__name__)

KIND = "receipt+jwt"
"""The ``typ`` of a receipt's header."""

BOUND = timedelta(minutes=5)
"""Within which every destination has to know, counted from the arrival of the request."""

DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one destination. In the state ``delivered`` it knows; any other says why it does not."""

    destination_id: UUID
    kind: str
    label: str
    state: str
    at: datetime
    attempts: int


async def settle(work: Work, *message_ids: UUID) -> Sequence[UUID]:
    """Purge what departed people left and write their receipts. Doing it twice is the same as doing it once.

    What was closed is refused since each deactivation's commit; here the rows go that need not stay, once the receipt
    has counted them. The messages are those of the deactivations; returns those that this call was the one to settle.
    """
    settled = await statements.settle_departures(work, message_ids)
    if settled:
        await mass_changes.notice(work)
    return settled


async def complete(
    work: Work, sealer: Sealer, outcomes: Mapping[UUID, Sequence[Outcome]], *, issuer: str
) -> Sequence[UUID]:
    """Write down what became of the destinations, and sign. A receipt is completed once and never changed after.

    *outcomes* are by the deactivations' outbox messages, *issuer* this installation's public address. Returns the
    receipts that this call completed: none that was complete before, or has not been settled yet, or can't be worded.

    Raises:
        NoSigningKey, CannotOpen: nothing can be signed; nothing is written, and it is to be tried again.
    """
    if not outcomes:
        return []
    held = await statements.hold_receipts(work, outcomes)
    if not held:
        return []
    signer = await signing.signer(work, sealer, signing.FOR_RECEIPTS)
    completed: list[dict[str, Any]] = []
    for receipt in held:
        try:
            completed.append(_completed(work, signer, receipt, outcomes[receipt.id], issuer))
        except Exception:  # whatever is wrong with one, the others are complete
            log.exception("a receipt can't be worded; it waits", receipt_id=str(receipt.id))
    await statements.complete_receipts(work, completed)
    return [UUID(each["id"]) for each in completed]


async def page(
    work: Work,
    *,
    account_id: UUID | None = None,
    incomplete: bool = False,
    limit: int = paging.USUAL,
    cursor: str | None = None,
) -> Page[Receipt]:
    """The tenant's receipts, or one person's, newest first; with *incomplete* those that wait for a destination.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    question = select(Receipt).where(Receipt.tenant_id == work.tenant.id)
    if incomplete:
        question = question.where(Receipt.completed_at.is_(None))
    if account_id is None:
        return await paging.page(work.db, question, Receipt.id, limit=limit, cursor=cursor, descending=True)
    of_person = question.where(Receipt.account_id == account_id)
    by = (Receipt.closed_at, Receipt.id)  # the index of a person's receipts; by id alone the tenant's would be read
    return await paging.page(work.db, of_person, *by, limit=limit, cursor=cursor, descending=True)


async def count(work: Work, *, most: int) -> int:
    """How many receipts the tenant has, *most* at most."""
    mine = select(Receipt.id).where(Receipt.tenant_id == work.tenant.id).limit(most).subquery()
    return int(await work.db.scalar(select(func.count()).select_from(mine)) or 0)


async def find(work: Work, receipt_id: UUID) -> Receipt:
    """One receipt.

    Raises:
        NotFound: this tenant has no such receipt.
    """
    receipt = await work.db.scalar(select(Receipt).where(Receipt.tenant_id == work.tenant.id, Receipt.id == receipt_id))
    if receipt is None:
        raise NotFound("receipt")
    return receipt


def _completed(work: Work, signer: Signer, receipt: Any, outcomes: Sequence[Outcome], issuer: str) -> dict[str, Any]:
    destinations = [_destination(receipt, each) for each in sorted(outcomes, key=lambda each: each.destination_id)]
    return {
        "id": str(receipt.id),
        "completed_at": moment(receipt.now),
        "destinations": destinations,
        "statement": signer.sign(KIND, _claims(work, receipt, destinations, issuer)),
    }


def _destination(receipt: Any, outcome: Outcome) -> dict[str, Any]:
    after = outcome.at - receipt.arrived_at
    return {
        "id": str(outcome.destination_id),
        "kind": outcome.kind,
        "label": outcome.label,
        "state": outcome.state,
        "at": moment(outcome.at),
        "attempts": outcome.attempts,
        "seconds": _seconds(after),
        "met": outcome.state == DELIVERED and after <= BOUND,
    }


def _claims(work: Work, receipt: Any, destinations: Sequence[Mapping[str, Any]], issuer: str) -> dict[str, Any]:
    at = moment(receipt.closed_at)
    return {
        "iss": issuer,
        "iat": int(receipt.now.timestamp()),
        "jti": str(receipt.id),
        "sub": str(receipt.account_id),
        "tenant": {"id": str(work.tenant.id), "slug": receipt.slug},
        "person": {"id": str(receipt.account_id), "user_name": receipt.user_name},
        "reason": receipt.reason,
        "request_id": receipt.request_id,
        "transaction_id": receipt.transaction_id,
        "arrived_at": moment(receipt.arrived_at),
        "closed_at": at,
        "completed_at": moment(receipt.now),
        "closed": {
            # One transaction closed them all, or there would be no receipt: none outlived its commit.
            "bound": "commit",
            "met": True,
            "seconds": _seconds(receipt.closed_at - receipt.arrived_at),
            "credentials": [
                {"class": name, "count": count, "at": at} for name, count in sorted(receipt.closed.items())
            ],
            **_restricted(receipt),
        },
        "destinations": {
            "bound_seconds": int(BOUND.total_seconds()),
            "met": all(each["met"] for each in destinations),
            "each": list(destinations),
        },
    }


def _restricted(receipt: Any) -> dict[str, Any]:
    """What was not closed, as the tenant has chosen that it goes on for what only takes away."""
    found: dict[str, int] = receipt.restricted or {}
    said = [{"class": name, "count": count} for name, count in sorted(found.items())]
    return {"restricted": said} if said else {}


def moment(at: datetime) -> str:
    """A moment as statements say it: RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(length: timedelta) -> float:
    return round(length.total_seconds(), 3)
