"""What can happen, in the past tense: the table of contents of the product, and what customers can rely on.

An event's topic is its public name. Its fields are its payload. Events that the outside may hear go to the outbox as
well as into the audit; the others are only written down.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    topic: ClassVar[str]
    announced: ClassVar[bool] = True

    def payload(self) -> dict[str, Any]:
        """The event's facts as JSON can carry them."""
        return {name: str(value) if isinstance(value, UUID) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class PlanDefined(Event):
    topic = "plan.defined"
    announced = False
    key: str
    features: list[str]


@dataclass(frozen=True, slots=True)
class TenantCreated(Event):
    topic = "tenant.created"
    slug: str
    plan: str


@dataclass(frozen=True, slots=True)
class TenantChanged(Event):
    topic = "tenant.changed"
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TenantPlanChanged(Event):
    topic = "tenant.plan_changed"
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TenantSuspended(Event):
    topic = "tenant.suspended"


@dataclass(frozen=True, slots=True)
class TenantResumed(Event):
    topic = "tenant.resumed"


@dataclass(frozen=True, slots=True)
class TenantWithoutAdmin(Event):
    """The last active admin has left: an alert for ops, who can appoint another one."""

    topic = "tenant.without_admin"


@dataclass(frozen=True, slots=True)
class RoleRuleChanged(Event):
    topic = "role_rule.changed"
    version: int
    people_changed: int
    cases_opened: int


@dataclass(frozen=True, slots=True)
class UserProvisioned(Event):
    topic = "user.provisioned"
    role: str
    relinked: bool = False


@dataclass(frozen=True, slots=True)
class UserUpdated(Event):
    topic = "user.updated"


@dataclass(frozen=True, slots=True)
class UserRoleChanged(Event):
    topic = "user.role_changed"
    before: str
    after: str
    origin: str


@dataclass(frozen=True, slots=True)
class UserDeactivated(Event):
    """Every way in was closed in the transaction that says so; *closed* counts each credential class."""

    topic = "user.deactivated"
    reason: str
    closed: dict[str, int]


@dataclass(frozen=True, slots=True)
class UserReactivated(Event):
    topic = "user.reactivated"


@dataclass(frozen=True, slots=True)
class UserRemoved(Event):
    """The SCIM resource was deleted; the account and its history stay."""

    topic = "user.removed"


@dataclass(frozen=True, slots=True)
class GroupCreated(Event):
    topic = "group.created"
    group_id: UUID
    display_name: str


@dataclass(frozen=True, slots=True)
class GroupChanged(Event):
    topic = "group.changed"
    group_id: UUID
    display_name: str


@dataclass(frozen=True, slots=True)
class GroupRemoved(Event):
    topic = "group.removed"
    group_id: UUID
    display_name: str


@dataclass(frozen=True, slots=True)
class ConflictOpened(Event):
    topic = "conflict.opened"
    roles: list[str]


@dataclass(frozen=True, slots=True)
class ConflictClosed(Event):
    topic = "conflict.closed"


@dataclass(frozen=True, slots=True)
class TokenIssued(Event):
    topic = "token.issued"
    token_id: UUID
    label: str
    scopes: list[str]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class TokenRotated(Event):
    topic = "token.rotated"
    token_id: UUID
    replaced_by: UUID
    overlap_seconds: int


@dataclass(frozen=True, slots=True)
class TokenRevoked(Event):
    topic = "token.revoked"
    token_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class InstallationKeyIssued(Event):
    topic = "installation_key.issued"
    announced = False
    key_id: UUID
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    topic = "session.opened"
    announced = False
    session_id: UUID


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    topic = "session.closed"
    session_id: UUID


def message(event: Event) -> dict[str, Any]:
    """An event as the SQL functions that write the outbox take it."""
    return {"topic": event.topic, **event.payload()}


def _every(kind: type[Event]) -> dict[str, type[Event]]:
    return {event.topic: event for event in kind.__subclasses__()}


TOPICS = _every(Event)
"""Every event by its topic."""
