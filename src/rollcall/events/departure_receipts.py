"""How a departure's telling ends: the receipt is completed by whatever ends last, the settling or a delivery."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import select

from rollcall.crypto import CannotOpen
from rollcall.events import statements
from rollcall.events.destinations import WHOLE_INSTALLATION
from rollcall.events.models import Delivery
from rollcall.events.outgoing import Signing
from rollcall.proof import receipts
from rollcall.proof.models import Receipt
from rollcall.proof.receipts import Outcome
from rollcall.proof.signing import NoSigningKey
from rollcall.work import Work

log = structlog.get_logger(__name__)

DEPARTURE = "user.deactivated"
SWEEP_AT_ONCE = 50


async def settle(work: Work, message_ids: Sequence[UUID], signing: Signing) -> Sequence[UUID]:
    """Settle departures, and complete the receipts that wait for no destination; returns which this call settled."""
    settled = await receipts.settle(work, *message_ids)
    await complete_receipts(work, settled, signing)
    return settled


async def complete_receipts(work: Work, message_ids: Sequence[UUID], signing: Signing) -> int:
    """Complete the receipts of departures about which everything has ended; returns how many this call completed.

    The messages stay locked until the work ends. So of two that end at the same moment the later one sees what the
    earlier one did, and one of them completes the receipt. When nothing can be signed, what ended has ended all the
    same, and housekeeping completes the receipts later.
    """
    outcomes = await _outcomes(work, message_ids)
    try:
        return len(await receipts.complete(work, signing.sealer, outcomes, issuer=signing.public_url))
    except (NoSigningKey, CannotOpen):
        log.exception("receipts can't be signed; they wait", message_ids=[str(each) for each in outcomes])
        return 0


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


async def _outcomes(work: Work, message_ids: Sequence[UUID]) -> dict[UUID, list[Outcome]]:
    """What became of each destination, for the departures that wait for none.

    A tenant learns what became of the installation's own, and not what ops call them.
    """
    outcomes: dict[UUID, list[Outcome]] = {}
    for row in await statements.told_of_departures(work, message_ids):
        those = outcomes.setdefault(row.message_id, [])
        if row.destination_id is not None:
            label = row.label if row.owner_id == work.tenant.id else WHOLE_INSTALLATION.slug
            those.append(Outcome(row.destination_id, row.kind, label, row.state, row.ended_at, row.attempts))
    return outcomes
