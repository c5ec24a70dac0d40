"""What operators may do by their role, and the installation's own keys: operators' and the product's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import select

from rollcall.crypto import NOBODY, TokenKind, digest, new_token
from rollcall.errors import NotFound
from rollcall.journal.events import InstallationKeyIssued, InstallationKeyRevoked
from rollcall.journal.record import record_for_installation
from rollcall.tenancy.models import InstallationKey
from rollcall.work import Fleet


class OperatorRole(StrEnum):
    """What an operator may do, by a key or signed in to the console; `RIGHTS` says what that is."""

    OPS = "ops"
    """Everything."""
    BILLING = "billing"
    """Plans, overrides, lapses, and what was used."""
    SUPPORT = "support"
    """Read, issue tokens for SCIM, and let admins into the console by a link."""


class Right(StrEnum):
    """One thing that operators do; calls of the management API and pages of the console name the one they need."""

    LOOK = "look"
    """See tenants, their plans and their seats."""
    PLANS = "plans"
    """Plans, overrides, lapses, payment and what was used."""
    ALERTS = "alerts"
    """See what somebody should look at."""
    TOKENS = "tokens"  # the name of a right
    """Issue tokens for SCIM."""
    LINKS = "links"
    """Let admins into the console by a link, where nothing is given: no tokens and no roles."""
    PREVIEWS = "previews"
    """See what an edit of a role rule would do."""
    VIEW = "view"
    """See a tenant as its admins see it, its people among it, and change nothing."""
    QUEUES = "queues"
    """See what waits to be delivered, and what was given up."""
    ALL = "all"
    """Everything else: suspend and pause tenants, appoint admins, send again what was given up."""


RIGHTS: Final[Mapping[Right, tuple[OperatorRole, ...]]] = {
    Right.LOOK: (OperatorRole.OPS, OperatorRole.BILLING, OperatorRole.SUPPORT),
    Right.PLANS: (OperatorRole.OPS, OperatorRole.BILLING),
    Right.ALERTS: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.TOKENS: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.LINKS: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.PREVIEWS: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.VIEW: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.QUEUES: (OperatorRole.OPS, OperatorRole.SUPPORT),
    Right.ALL: (OperatorRole.OPS,),
}
"""Which roles may do what, on every surface."""


async def issue_key(fleet: Fleet, kind: TokenKind, *, label: str, role: OperatorRole = OperatorRole.OPS) -> str:
    """Issue a key of the installation. It is returned in clear here and nowhere else.

    *role* counts for an operator's; the product's own has none.
    """
    key_id, given = uuid4(), role.value if kind is TokenKind.OPERATOR else None
    text = new_token(kind, NOBODY, key_id)
    fleet.db.add(InstallationKey(id=key_id, kind=kind.value, label=label, role=given, digest=digest(text)))
    await record_for_installation(
        fleet, InstallationKeyIssued(key_id=key_id, kind=kind.value, label=label, role=given), target=str(key_id)
    )
    return text


async def revoke_key(fleet: Fleet, key_id: UUID, *, now: datetime) -> None:
    """End a key; the next call with it is refused. Doing it twice is the same as doing it once.

    Raises:
        NotFound: there is no such key.
    """
    key = await fleet.db.get(InstallationKey, key_id)
    if key is None:
        raise NotFound("key")
    if key.revoked_at is not None:
        return
    key.revoked_at = now
    await record_for_installation(
        fleet, InstallationKeyRevoked(key_id=key.id, kind=key.kind, label=key.label), target=str(key.id)
    )


async def is_live(fleet: Fleet, key_id: UUID, key_digest: bytes) -> bool:
    """Whether a key we kept in clear still opens this database."""
    found = await fleet.db.scalar(
        select(InstallationKey.id).where(
            InstallationKey.id == key_id,
            InstallationKey.digest == key_digest,
            InstallationKey.revoked_at.is_(None),
        )
    )
    return found is not None


async def every(fleet: Fleet) -> Sequence[InstallationKey]:
    """All keys, oldest first, ended ones too."""
    return (await fleet.db.scalars(select(InstallationKey).order_by(InstallationKey.created_at))).all()
