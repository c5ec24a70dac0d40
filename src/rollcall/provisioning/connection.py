"""How a tenant's connection to its identity provider stands: what has been seen of it, step by step and day by day."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select, text

from rollcall.access.models import Token
from rollcall.access.tokens import Scope
from rollcall.directory.models import ConflictCase, UserCount
from rollcall.functions import qualified
from rollcall.journal.models import AuditEntry
from rollcall.tenancy.models import Plan, Tenant
from rollcall.work import Work

FIRST, LATEST = 300, 200
"""Calls that are looked at: the first ones since the token was made, and the latest ones."""

LONGEST_CHART = timedelta(days=30)


class Check(StrEnum):
    """What has to be seen once before a connection is known to work, in this order."""

    CALLED = "called"
    AUTHENTICATED = "authenticated"
    LOOKED_UP = "looked_up"
    CREATED = "created"
    ROLE = "role"
    DEACTIVATED = "deactivated"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class Seen:
    """When something was seen first, and of whom."""

    at: datetime
    account_id: UUID | None = None
    user_name: str | None = None
    """Of whom; None of nobody."""
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been seen since the newest token for SCIM was made."""

    since: datetime | None
    """When that was; None if there is none."""
    seen: dict[Check, Seen] = field(default_factory=dict[Check, Seen])
    refused: Seen | None = None
    """The latest call that was refused, unless one of its kind has passed since."""


_PROGRESS = text(qualified("SELECT * FROM fn.connection_progress(:tenant, :first, :latest)"))


async def progress(work: Work) -> Progress:
    """What has been seen since the newest token for SCIM was made; one bounded look, whatever the tenant's size."""
    rows = await work.db.execute(_PROGRESS, {"tenant": work.tenant.id, "first": FIRST, "latest": LATEST})
    found = {str(row.seen): Seen(row.at, row.account_id, row.user_name, row.said) for row in rows}
    since, refused = found.pop("since", None), found.pop("refused", None)
    return Progress(None if since is None else since.at, {Check(name): seen for name, seen in found.items()}, refused)


async def newest_token(work: Work) -> Token | None:
    """The newest token for SCIM that works, or else that was made; None if there is none."""
    still_open = Token.revoked_at.is_(None) & (Token.expires_at.is_(None) | (Token.expires_at > work.now))
    return await work.db.scalar(
        select(Token)
        .where(Token.tenant_id == work.tenant.id, Token.scopes.overlap([Scope.SCIM, Scope.SCIM_READ]))
        .order_by(still_open.desc(), Token.created_at.desc())
        .limit(1)
    )


async def includes_scim(work: Work) -> tuple[bool, str]:
    """Whether the tenant's plan includes SCIM, and what the plan is called."""
    question = select(Plan.features, Plan.name).join(Tenant, Tenant.plan == Plan.key).where(Tenant.id == work.tenant.id)
    row = (await work.db.execute(question)).one()
    return "scim" in row.features, row.name


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection at a glance."""

    last_call: datetime | None
    last_refusal: AuditEntry | None
    active: int
    inactive: int
    conflicts: int
    unknown_roles: int


async def standing(work: Work) -> Standing:
    """How the connection stands now."""
    mine = (AuditEntry.tenant_id == work.tenant.id, AuditEntry.at > work.now - LONGEST_CHART)
    kept = select(func.sum(UserCount.active), func.sum(UserCount.people)).where(UserCount.tenant_id == work.tenant.id)
    active, people = (int(each or 0) for each in (await work.db.execute(kept)).one())
    cases = await work.db.execute(
        select(ConflictCase.kind, func.count())
        .where(ConflictCase.tenant_id == work.tenant.id, ConflictCase.closed_at.is_(None))
        .group_by(ConflictCase.kind)
    )
    open_cases = {str(row[0]): int(row[1]) for row in cases}
    used = select(func.max(Token.last_used_at)).where(
        Token.tenant_id == work.tenant.id, Token.scopes.overlap([Scope.SCIM, Scope.SCIM_READ])
    )
    refusal = (
        select(AuditEntry)
        .where(*mine, text("audit_entries.outcome = 'refused'"), AuditEntry.actor_kind == "scim_token")
        .order_by(AuditEntry.at.desc())
        .limit(1)
    )
    return Standing(
        last_call=await work.db.scalar(used),
        last_refusal=await work.db.scalar(refusal),
        active=active,
        inactive=people - active,
        conflicts=open_cases.get("conflict", 0),
        unknown_roles=open_cases.get("unknown_role", 0),
    )


@dataclass(frozen=True, slots=True)
class Day:
    """What came on one day, UTC."""

    day: datetime
    calls: int
    refused: int

    @property
    def is_full(self) -> bool:
        """Whether there may have been more calls than were counted."""
        return self.calls >= MOST_OF_A_DAY


MOST_OF_A_DAY = 600
"""Calls of a day that a chart counts, so that a page costs what it costs; a day with more is shown as full."""

_DAYS = text(qualified("SELECT * FROM fn.calls_by_day(:tenant, :since, :days, :most)"))


async def days(work: Work) -> Sequence[Day]:
    """The provider's calls of the last 30 days, a day each."""
    since = work.now.date() - timedelta(days=LONGEST_CHART.days - 1)
    asked = {"tenant": work.tenant.id, "since": since, "days": LONGEST_CHART.days, "most": MOST_OF_A_DAY}
    rows = await work.db.execute(_DAYS, asked)
    found = {row.day: row for row in rows}
    told: list[Day] = []
    for back in range(LONGEST_CHART.days - 1, -1, -1):
        moment = work.now - timedelta(days=back)
        row = found.get(moment.date())
        told.append(Day(moment, 0 if row is None else row.calls, 0 if row is None else row.refused))
    return told
