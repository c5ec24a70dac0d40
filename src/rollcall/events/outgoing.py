"""What is told to whom, as every kind of destination sees it: destination, message, and the call to make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from rollcall.crypto import Sealer
from rollcall.work import Work


@dataclass(frozen=True, slots=True)
class Signing:
    """What a process that sends has, beyond the database."""

    sealer: Sealer
    public_url: str
    """The address of this installation, without a slash at its end; the issuer of what it signs."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Somebody outside who wants to hear, as a kind sees them."""

    tenant_id: UUID
    """Whose destination it is; ``journal.record.INSTALLATION`` for one that hears of every tenant."""
    id: UUID
    kind: str
    url: str
    label: str
    audience: str | None
    """The client that a logout token is for."""
    secrets: tuple[str, ...] = field(repr=False)
    """The live secrets in clear, newest first; none for kinds that sign otherwise."""
    signing: Signing = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What happened, as the outbox keeps it. The work it is worded in is its tenant's."""

    id: UUID
    """Stays the same however often the message is sent."""
    topic: str
    account_id: UUID | None
    user_name: str | None
    """What the person is called today; ``None`` when the message is about nobody."""
    payload: Mapping[str, Any]
    request_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST to make. A redirect is not followed, and anything but a 2xx is a failure."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class DestinationKind(Protocol):
    """A way of telling somebody."""

    async def outgoing(self, work: Work, destination: Destination, message: Message) -> Outgoing | None:
        """The call to make now; ``None`` when this destination has nothing to hear of this message."""
        ...
