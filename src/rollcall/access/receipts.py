"""Receipts: what the worker does after somebody left, and the proof it leaves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from rollcall.access.models import Receipt, Session
from rollcall.journal import outbox
from rollcall.journal.models import OutboxMessage
from rollcall.work import Work


async def settle(work: Work, message_id: UUID) -> bool:
    """Purge what a departed person left and write the receipt. Doing it twice is the same as doing it once.

    The sessions are refused since the deactivation's commit; here their rows go, digests included, once the receipt
    has counted them. Returns whether this call was the one that did it.
    """
    message = await outbox.open_message(work, message_id)
    if message is None or message.account_id is None:
        return False
    facts = message.payload
    closed_at = datetime.fromisoformat(facts["closed_at"])
    purged: Any = await work.db.execute(
        delete(Session).where(
            Session.tenant_id == work.tenant.id,
            Session.account_id == message.account_id,
            Session.epoch < facts["epoch"],
            Session.closed_at.is_not(None),
        )
    )
    work.db.add(_receipt(work, message, closed_at, {"sessions": int(purged.rowcount)}))
    message.done_at = work.now
    return True


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
