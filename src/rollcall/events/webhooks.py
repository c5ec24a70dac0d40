"""Webhooks by the Standard Webhooks specification 1.0.0: signed so that the receiver can verify that it was us."""

import base64
import secrets
from datetime import UTC, datetime
from typing import Any

import orjson
from standardwebhooks import Webhook

from rollcall.events.outgoing import Destination, Message, Outgoing
from rollcall.journal.events import TOPICS
from rollcall.work import Work

LARGEST_BODY = 64 * 1024
_SECRET_BYTES = 32
DEPARTURE = ("arrived_at", "closed_at", "transaction_id")
"""What the message of a departure says beyond its event."""


def new_secret() -> str:
    """A fresh secret as receivers take it. It is shown once."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


async def outgoing(work: Work, destination: Destination, message: Message) -> Outgoing:
    """The call that brings *message* to a webhook's receiver, signed with each live secret."""
    body = worded(work, message)
    now = datetime.now(UTC)
    return Outgoing(
        url=destination.url,
        headers={
            "content-type": "application/json",
            "webhook-id": message_id(message),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(destination.secrets, message_id(message), now, body),
        },
        body=body,
    )


def message_id(message: Message) -> str:
    """What the receiver knows a message by; it is the same in every retry and replay."""
    return f"msg_{message.id.hex}"


def signatures(live: tuple[str, ...], identifier: str, now: datetime, body: bytes) -> str:
    """One signature for each live secret, separated by spaces."""
    return " ".join(Webhook(secret).sign(identifier, now, body.decode()) for secret in live)


def worded(work: Work, message: Message) -> bytes:
    """The body. What is larger than a receiver should have to take says so in place of the event's own facts."""
    body = _body(work, message, _facts(message))
    return body if len(body) <= LARGEST_BODY else _body(work, message, {"too_large": True})


def _body(work: Work, message: Message, facts: dict[str, Any]) -> bytes:
    person = None
    if message.account_id is not None:
        person = {"id": str(message.account_id), "user_name": message.user_name}
    about: dict[str, Any] = {"tenant": {"id": str(work.tenant.id), "slug": work.tenant.slug}, "person": person}
    return orjson.dumps(
        {"type": message.topic, "timestamp": message.created_at.isoformat(), "data": {**facts, **about}}
    )


def _facts(message: Message) -> dict[str, Any]:
    """What the table of events promises of this topic; whatever else the outbox keeps is our own."""
    event = TOPICS.get(message.topic)
    promised = () if event is None else tuple(event.__dataclass_fields__)
    if message.topic == "user.deactivated":
        promised += DEPARTURE
    return {name: message.payload[name] for name in promised if name in message.payload}
