"""What a kind of destination is: something that words a message for it. The next kind is one more module here.

A kind is a module with ``async def outgoing(work, destination, message) -> Outgoing | None``. It says what to send and
sends nothing itself: leases, order, retries, addresses and the log are the same for every kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, cast
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
    """Somebody outside who subscribes, as a kind sees them."""

    tenant_id: UUID
    """Whose destination it is; ``journal.record.INSTALLATION`` for one that subscribes to every tenant."""
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
        """The call to make now; ``None`` when this message is not for this destination."""
        ...


MODULES = {"webhook": "rollcall.events.webhooks", "logout": "rollcall.events.logout"}
"""Each kind and the module that words its messages."""

TOPICS: dict[str, tuple[str, ...]] = {
    "logout": ("user.deactivated", "session.closed"),
}
"""What a kind can say at all; a kind that is not here can say everything."""


def kind_of(destination: Destination) -> DestinationKind:
    """The module that words messages for *destination*."""
    return cast("DestinationKind", import_module(MODULES[destination.kind]))
