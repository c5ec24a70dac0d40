"""What can happen to operators as people, and what they do to the outbox. `events.TOPICS` lists all."""

from dataclasses import dataclass
from uuid import UUID

from rollcall.journal.event import Event


@dataclass(frozen=True, slots=True)
class OperatorInvited(Event):
    """A link was made with which an operator registers a passkey, once."""

    topic = "operator.invited"
    announced = False
    operator_id: UUID
    name: str
    role: str
    link_id: UUID


@dataclass(frozen=True, slots=True)
class OperatorInvitationUsed(Event):
    topic = "operator.invitation_used"
    announced = False
    operator_id: UUID
    link_id: UUID


@dataclass(frozen=True, slots=True)
class OperatorPasskeyRegistered(Event):
    topic = "operator.passkey_registered"
    announced = False
    operator_id: UUID
    passkey_id: UUID
    label: str | None


@dataclass(frozen=True, slots=True)
class OperatorPasskeyCopied(Event):
    """A passkey's signature was right and its count was not above the last one: there are two of it."""

    topic = "operator.passkey_copied"
    announced = False
    operator_id: UUID
    passkey_id: UUID


@dataclass(frozen=True, slots=True)
class OperatorSignedIn(Event):
    topic = "operator.signed_in"
    announced = False
    operator_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class OperatorSignedOut(Event):
    topic = "operator.signed_out"
    announced = False
    operator_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class OperatorRoleChanged(Event):
    """An operator has another role; their sessions were closed by it."""

    topic = "operator.role_changed"
    announced = False
    operator_id: UUID
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class OperatorRemoved(Event):
    """An operator is one no longer; their sessions, links and passkeys were closed by it."""

    topic = "operator.removed"
    announced = False
    operator_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class OutboxRevived(Event):
    """Messages that were given up are tried again."""

    topic = "outbox.revived"
    announced = False
    messages: int
