"""How far behind the outside is: what waits in the outbox and for destinations, for figures."""

from collections.abc import Sequence

from rollcall.events import deliveries
from rollcall.journal import outbox
from rollcall.metrics import Waiting
from rollcall.work import Fleet


async def lag(fleet: Fleet) -> Sequence[Waiting]:
    """What waits of each kind, over all tenants."""
    messages, sent = await outbox.backlog(fleet), await deliveries.backlog(fleet)
    return (
        Waiting("message", messages.waiting, messages.dead, messages.oldest_seconds),
        Waiting("delivery", sent.pending, sent.dead, sent.oldest_seconds),
    )
