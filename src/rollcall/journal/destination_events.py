"""What can happen to destinations and their deliveries; `events` has all of them."""

from dataclasses import dataclass
from uuid import UUID

from rollcall.journal.event import Event


@dataclass(frozen=True, slots=True)
class DestinationCreated(Event):
    topic = "destination.created"
    announced = False
    destination_id: UUID
    kind: str
    label: str
    host: str
    topics: list[str]


@dataclass(frozen=True, slots=True)
class DestinationChanged(Event):
    topic = "destination.changed"
    announced = False
    destination_id: UUID
    changed: list[str]
    host: str


@dataclass(frozen=True, slots=True)
class DestinationSecretRotated(Event):
    topic = "destination.secret_rotated"
    announced = False
    destination_id: UUID
    overlap_seconds: int


@dataclass(frozen=True, slots=True)
class DestinationEnabled(Event):
    topic = "destination.enabled"
    announced = False
    destination_id: UUID


@dataclass(frozen=True, slots=True)
class DestinationDisabled(Event):
    """Nothing more is sent there: somebody said so, or it answered that it is gone, or took nothing for a week."""

    topic = "destination.disabled"
    destination_id: UUID
    label: str
    because: str


@dataclass(frozen=True, slots=True)
class DestinationRemoved(Event):
    topic = "destination.removed"
    announced = False
    destination_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class DestinationTested(Event):
    """Sent to one destination alone, because somebody asked for it."""

    topic = "destination.tested"
    announced = False
    destination_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class DeliveriesReplayed(Event):
    topic = "deliveries.replayed"
    announced = False
    destination_id: UUID
    number: int
