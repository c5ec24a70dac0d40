"""What can happen, in the past tense: the table of contents of the product, and what customers can rely on.

An event's topic is its public name. Its fields are its payload. Announced events go to the outbox as
well as into the audit; the others are only written down.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rollcall.journal import admin_events, console_events, destination_events, operator_events, plan_events
from rollcall.journal.event import Event

PARTS = (admin_events, console_events, destination_events, operator_events, plan_events)
"""Where more events stand."""


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
class TenantProfileTaken(Event):
    """The provider was recognised, and its profile taken; *evidence* are the marks by which that was so."""

    topic = "tenant.profile_taken"
    profile: str
    evidence: list[str]


@dataclass(frozen=True, slots=True)
class TenantPlanChanged(Event):
    topic = "tenant.plan_changed"
    mailed = True
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TenantLapsed(Event):
    """The plan has lost SCIM: from *offboarding_from* on only what takes away passes, from *closes_at* on nothing."""

    topic = "tenant.lapsed"
    plan: str
    offboarding_from: str
    closes_at: str | None


@dataclass(frozen=True, slots=True)
class TenantLapseChanged(Event):
    topic = "tenant.lapse_changed"
    mailed = True
    offboarding_from: str
    closes_at: str | None


@dataclass(frozen=True, slots=True)
class TenantLapseEnded(Event):
    topic = "tenant.lapse_ended"
    plan: str


@dataclass(frozen=True, slots=True)
class TenantSuspended(Event):
    topic = "tenant.suspended"
    mailed = True


@dataclass(frozen=True, slots=True)
class TenantResumed(Event):
    topic = "tenant.resumed"
    mailed = True


@dataclass(frozen=True, slots=True)
class TenantWithoutAdmin(Event):
    """The last active admin has left: an alert for ops, who can appoint another one."""

    topic = "tenant.without_admin"


@dataclass(frozen=True, slots=True)
class TenantMassChange(Event):
    """More people left within an hour than the tenant's threshold: an alert. What can't be undone waits."""

    topic = "tenant.mass_change"
    mailed = True
    mass_change_id: UUID
    began_at: str
    departures: int
    threshold: int


@dataclass(frozen=True, slots=True)
class TenantMassChangeReleased(Event):
    """Somebody has looked at a mass change: what can't be undone may be done again."""

    topic = "tenant.mass_change_released"
    mailed = True
    mass_change_id: UUID


@dataclass(frozen=True, slots=True)
class AlertOpened(Event):
    """Somebody should look at something; *kind* says at what, and *stage* how near it is where it comes nearer."""

    topic = "alert.opened"
    alert_id: UUID
    kind: str
    subject: str
    stage: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AlertClosed(Event):
    """What an alert was about is no longer so."""

    topic = "alert.closed"
    alert_id: UUID
    kind: str
    subject: str
    stage: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRetentionShortened(Event):
    """From *counts_from* on entries of the audit are deleted after *after* days; until then, after *before*."""

    topic = "audit.retention_shortened"
    before: int
    after: int
    counts_from: str


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
class UserLinked(Event):
    """An admin said who somebody is: their resource is that of a former account now, and the one they had is closed."""

    topic = "user.linked"
    role: str
    active: bool
    closed_person_id: UUID


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
class UnknownRoleOpened(Event):
    topic = "unknown_role.opened"
    names: list[str]


@dataclass(frozen=True, slots=True)
class UnknownRoleClosed(Event):
    topic = "unknown_role.closed"


@dataclass(frozen=True, slots=True)
class TokenIssued(Event):
    topic = "token.issued"
    mailed = True
    token_id: UUID
    label: str
    scopes: list[str]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class TokenRotated(Event):
    topic = "token.rotated"
    mailed = True
    token_id: UUID
    replaced_by: UUID
    overlap_seconds: int


@dataclass(frozen=True, slots=True)
class TokenHandedOver(Event):
    """Another admin has taken a connection over, with the same secret; it ends at *rotate_by* unless it is rotated."""

    topic = "token.handed_over"
    mailed = True
    token_id: UUID
    label: str
    former_owner_id: UUID | None
    owner_id: UUID
    rotate_by: str


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
    role: str | None


@dataclass(frozen=True, slots=True)
class InstallationKeyRevoked(Event):
    topic = "installation_key.revoked"
    announced = False
    key_id: UUID
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class SigningKeyPublished(Event):
    """A new key for receipts and logout tokens stands in the JWKS; it signs from *active_from* on."""

    topic = "signing_key.published"
    announced = False
    kid: str
    active_from: str


@dataclass(frozen=True, slots=True)
class SigningKeyRevoked(Event):
    """A key that others may have stands in no JWKS any more, and nothing signed with it is believed."""

    topic = "signing_key.revoked"
    announced = False
    kid: str


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    topic = "session.opened"
    announced = False
    session_id: UUID


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    topic = "session.closed"
    session_id: UUID


@dataclass(frozen=True, slots=True)
class PasskeyRegistered(Event):
    topic = "passkey.registered"
    passkey_id: UUID
    label: str | None


@dataclass(frozen=True, slots=True)
class PasskeyClosed(Event):
    topic = "passkey.closed"
    passkey_id: UUID
    label: str | None


@dataclass(frozen=True, slots=True)
class PasskeyCopied(Event):
    """A sign-in was refused because the passkey counted backwards: a second device seems to hold a copy of it."""

    topic = "passkey.copy_suspected"
    passkey_id: UUID
    counted: int
    expected_above: int


@dataclass(frozen=True, slots=True)
class ExternalCredentialRegistered(Event):
    topic = "external_credential.registered"
    credential_id: UUID
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ExternalCredentialClosed(Event):
    topic = "external_credential.closed"
    credential_id: UUID
    kind: str
    name: str


def message(event: Event) -> dict[str, Any]:
    """An event as the SQL functions that write the outbox take it."""
    return {"topic": event.topic, **event.payload()}


TOPICS = {event.topic: event for event in Event.__subclasses__()}
"""Every event by its topic."""
