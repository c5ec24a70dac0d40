"""How a departure's telling ends: the receipt is completed by whatever ends last, the settling or a delivery."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select

from rollcall.access import receipts
from rollcall.access.models import Receipt
from rollcall.access.receipts import Told
from rollcall.access.signing import NoSigningKey
from rollcall.crypto import CannotOpen
from rollcall.events.destinations import WHOLE_INSTALLATION
from rollcall.events.kinds import Means
from rollcall.events.models import Delivery
from rollcall.journal.models import OutboxMessage
from rollcall.work import Work

log = structlog.get_logger(__name__)

DEPARTURE = "user.deactivated"
SWEEP_AT_ONCE = 200


async def complete_receipt(work: Work, message_id: UUID, means: Means) -> bool:
    """Complete the receipt of a departure if everything about it has ended; returns whether this call did.

    The message stays locked until the work ends. So of two that end at the same moment the later one sees what the
    earlier one did, and one of them completes the receipt. When nothing can be signed, what ended has ended all the
    same, and housekeeping completes the receipt later.
    """
    message = (
        await work.db.execute(
            select(OutboxMessage.topic, OutboxMessage.done_at, OutboxMessage.fanned_out_at)
            .where(OutboxMessage.tenant_id == work.tenant.id, OutboxMessage.id == message_id)
            .with_for_update(key_share=True)
        )
    ).one_or_none()
    if message is None or message.topic != DEPARTURE or message.done_at is None or message.fanned_out_at is None:
        return False
    told = await _told(work, message_id)
    if told is None:
        return False
    try:
        async with work.db.begin_nested():
            return await receipts.complete(work, means.sealer, message_id, told, issuer=means.public_url)
    except (NoSigningKey, CannotOpen):
        log.exception("a receipt can't be signed; it waits", message_id=str(message_id))
        return False


async def overdue(work: Work, *, after: UUID | None = None) -> Sequence[UUID]:
    """Some receipts that nothing is waited for and that are not complete, oldest first, from the one behind *after*."""
    waited_for = select(Delivery.id).where(
        Delivery.tenant_id == Receipt.tenant_id, Delivery.message_id == Receipt.id, Delivery.ended_at.is_(None)
    )
    found = select(Receipt.id).where(
        Receipt.tenant_id == work.tenant.id, Receipt.completed_at.is_(None), ~waited_for.exists()
    )
    if after is not None:
        found = found.where(Receipt.id > after)
    return (await work.db.scalars(found.order_by(Receipt.id).limit(SWEEP_AT_ONCE))).all()


async def _told(work: Work, message_id: UUID) -> list[Told] | None:
    """What became of each destination; ``None`` while one of them still waits.

    A tenant learns that the installation's own were told, and not what ops call them.
    """
    deliveries = await work.db.scalars(
        select(Delivery)
        .where(Delivery.tenant_id == work.tenant.id, Delivery.message_id == message_id)
        .order_by(Delivery.id)
        .execution_options(populate_existing=True)
    )
    told: list[Told] = []
    for each in deliveries:
        if each.ended_at is None:
            return None
        label = each.label if each.destination_tenant_id == work.tenant.id else WHOLE_INSTALLATION.slug
        told.append(Told(each.destination_id, each.kind, label, each.state, each.ended_at, each.attempts))
    return told
