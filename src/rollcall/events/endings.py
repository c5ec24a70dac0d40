"""How a departure's telling ends: the receipt is completed by whatever ends last, the settling or a delivery."""

from uuid import UUID

import structlog
from sqlalchemy import select

from rollcall.access import receipts
from rollcall.access.receipts import Told
from rollcall.access.signing import NoSigningKey
from rollcall.crypto import CannotOpen
from rollcall.events.kinds import Means
from rollcall.events.models import Delivery
from rollcall.journal.models import OutboxMessage
from rollcall.work import Work

log = structlog.get_logger(__name__)

DEPARTURE = "user.deactivated"
SWEEP_AT_MOST = 200


async def complete_receipt(work: Work, message_id: UUID, means: Means) -> bool:
    """Complete the receipt of a departure if everything about it has ended; returns whether this call did.

    The message stays locked until the work ends. So of two that end at the same moment the later one sees what the
    earlier one did, and one of them completes the receipt. When nothing can be signed, what ended has ended all the
    same, and `sweep` completes the receipt later.
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


async def sweep(work: Work, means: Means) -> int:
    """Complete what should have been completed and could not be signed then; returns how many."""
    waiting = await receipts.page(work, limit=SWEEP_AT_MOST, incomplete=True)
    return sum([await complete_receipt(work, receipt.id, means) for receipt in waiting.receipts])


async def _told(work: Work, message_id: UUID) -> list[Told] | None:
    """What became of each destination; ``None`` while one of them still waits."""
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
        told.append(Told(each.destination_id, each.kind, each.label, each.state, each.ended_at, each.attempts))
    return told
