"""Receipts: what the worker does after somebody left, and the signed proof it leaves.

A receipt is settled first: what the departure closed is counted and purged. It is completed when the last destination
is dealt with, and then signed: what the statement says is no longer changed by anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from rollcall.access import accounts, mass_changes, purging, signing
from rollcall.access.models import Receipt
from rollcall.crypto import Sealer
from rollcall.errors import Invalid, NotFound
from rollcall.journal import outbox
from rollcall.journal.models import OutboxMessage
from rollcall.tenancy import tenants
from rollcall.work import Work

KIND = "receipt+jwt"
"""The ``typ`` of a receipt's header."""

BOUND = timedelta(minutes=5)
"""Within which every destination has to know, counted from the arrival of the request."""

DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one destination. In the state ``delivered`` it knows; any other says why it does not."""

    destination_id: UUID
    kind: str
    label: str
    state: str
    at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some receipts, newest first; *next_cursor* continues after them."""

    receipts: Sequence[Receipt]
    next_cursor: str | None


async def settle(work: Work, message_id: UUID) -> bool:
    """Purge what a departed person left and write the receipt. Doing it twice is the same as doing it once.

    What was closed is refused since the deactivation's commit; here the rows go that need not stay, once the receipt
    has counted them. Returns whether this call was the one that did it.
    """
    message = await outbox.open_message(work, message_id)
    if message is None or message.account_id is None:
        return False
    facts = message.payload
    closed_at = datetime.fromisoformat(facts["closed_at"])
    purged = await purging.purge(work, message.account_id, epoch=facts["epoch"])
    work.db.add(_receipt(work, message, closed_at, purged))
    message.done_at = work.now
    await mass_changes.notice(work)
    return True


async def complete(work: Work, sealer: Sealer, message_id: UUID, told: Sequence[Told], *, issuer: str) -> bool:
    """Write down what became of the destinations, and sign. A receipt is completed once and never changed after.

    *message_id* is that of the deactivation's outbox message, *issuer* this installation's public address. Returns
    whether this call was the one that did it; not so either when the receipt has not been settled yet.

    Raises:
        NoSigningKey, CannotOpen: nothing can be signed; nothing is written, and it is to be tried again.
    """
    receipt = await work.db.scalar(
        select(Receipt)
        .where(Receipt.tenant_id == work.tenant.id, Receipt.id == message_id, Receipt.completed_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if receipt is None:
        return False
    destinations = [_destination(receipt, each) for each in sorted(told, key=lambda each: each.destination_id)]
    claims = await _claims(work, receipt, destinations, issuer)
    receipt.statement = await signing.sign(work, sealer, kind=KIND, claims=claims)
    receipt.destinations = destinations
    receipt.completed_at = work.now
    return True


async def of_person(work: Work, account_id: UUID) -> Sequence[Receipt]:
    """A person's receipts, newest first."""
    return (
        await work.db.scalars(
            select(Receipt)
            .where(Receipt.tenant_id == work.tenant.id, Receipt.account_id == account_id)
            .order_by(Receipt.closed_at.desc())
            .limit(100)
        )
    ).all()


async def page(work: Work, *, limit: int, cursor: str | None = None, incomplete: bool = False) -> Page:
    """Some of the tenant's receipts, newest first; with *incomplete* those that wait for a destination.

    Raises:
        Invalid: the cursor is none of ours.
    """
    question = select(Receipt).where(Receipt.tenant_id == work.tenant.id)
    if incomplete:
        question = question.where(Receipt.completed_at.is_(None))
    if cursor is not None:
        question = question.where(Receipt.id < _position(cursor))
    found = (await work.db.scalars(question.order_by(Receipt.id.desc()).limit(limit + 1))).all()
    shown = found[:limit]
    return Page(shown, str(shown[-1].id) if len(found) > limit else None)


async def find(work: Work, receipt_id: UUID) -> Receipt:
    """One receipt.

    Raises:
        NotFound: this tenant has no such receipt.
    """
    receipt = await work.db.scalar(select(Receipt).where(Receipt.tenant_id == work.tenant.id, Receipt.id == receipt_id))
    if receipt is None:
        raise NotFound("receipt")
    return receipt


def _receipt(work: Work, message: OutboxMessage, closed_at: datetime, purged: dict[str, Any]) -> Receipt:
    facts = message.payload
    return Receipt(
        tenant_id=work.tenant.id,
        id=message.id,
        account_id=message.account_id,
        epoch=facts["epoch"],
        reason=facts["reason"],
        request_id=message.request_id,
        transaction_id=facts["transaction_id"],
        arrived_at=datetime.fromisoformat(facts["arrived_at"]),
        closed_at=closed_at,
        closed=facts["closed"],
        settled_at=work.now,
        purged=purged,
    )


def _destination(receipt: Receipt, told: Told) -> dict[str, Any]:
    after = told.at - receipt.arrived_at
    return {
        "id": str(told.destination_id),
        "kind": told.kind,
        "label": told.label,
        "state": told.state,
        "at": _moment(told.at),
        "attempts": told.attempts,
        "seconds": _seconds(after),
        "met": told.state == DELIVERED and after <= BOUND,
    }


async def _claims(
    work: Work, receipt: Receipt, destinations: Sequence[Mapping[str, Any]], issuer: str
) -> dict[str, Any]:
    tenant = await tenants.own(work)
    person = await accounts.find(work, receipt.account_id)
    at = _moment(receipt.closed_at)
    return {
        "iss": issuer,
        "iat": int(work.now.timestamp()),
        "jti": str(receipt.id),
        "sub": str(person.id),
        "tenant": {"id": str(tenant.id), "slug": tenant.slug},
        "person": {"id": str(person.id), "user_name": person.user_name},
        "reason": receipt.reason,
        "request_id": receipt.request_id,
        "transaction_id": receipt.transaction_id,
        "arrived_at": _moment(receipt.arrived_at),
        "closed_at": at,
        "completed_at": _moment(work.now),
        "closed": {
            # One transaction closed them all, or there would be no receipt: none outlived its commit.
            "bound": "commit",
            "met": True,
            "seconds": _seconds(receipt.closed_at - receipt.arrived_at),
            "credentials": [
                {"class": name, "count": count, "at": at} for name, count in sorted(receipt.closed.items())
            ],
        },
        "destinations": {
            "bound_seconds": int(BOUND.total_seconds()),
            "met": all(each["met"] for each in destinations),
            "each": list(destinations),
        },
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(length: timedelta) -> float:
    return round(length.total_seconds(), 3)


def _position(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError:
        msg = "cursor: send what the page before gave as next_cursor, unchanged"
        raise Invalid(msg) from None
