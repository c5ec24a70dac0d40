"""One delivery as somebody looks at it: what was sent, and what came of it."""

from dataclasses import dataclass
from uuid import UUID

import orjson

from rollcall.events import deliveries, webhooks
from rollcall.events.models import Delivery
from rollcall.events.wording import messages_of
from rollcall.work import Work


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery, and the body that its receiver is sent."""

    row: Delivery
    message_id: str
    """What the receiver knows it by."""
    body: str | None
    """As JSON with line breaks; None for a logout token, which is signed anew for each call."""


async def shown(work: Work, destination_id: UUID, delivery_id: UUID) -> Attempt:
    """A delivery of a tenant's own destination, with its body.

    Raises:
        NotFound: there is no such destination or delivery.
    """
    row = await deliveries.find(work, destination_id, delivery_id)
    message = (await messages_of(work, [row.message_id]))[row.message_id]
    body = None
    if row.kind == "webhook":
        body = orjson.dumps(orjson.loads(webhooks.worded(work, message)), option=orjson.OPT_INDENT_2).decode()
    return Attempt(row, webhooks.message_id(message), body)
