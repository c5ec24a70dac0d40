"""How a tenant's connection to its identity provider stands: what has been seen of it, step by step and day by day."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Date, cast, func, select, text

from rollcall.access import tokens
from rollcall.access.models import Account, Token
from rollcall.access.tokens import Scope
from rollcall.directory.models import ConflictCase
from rollcall.directory.role_states import RoleOrigin
from rollcall.journal.models import AuditEntry
from rollcall.proof.models import Receipt
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
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been seen since the newest token for SCIM was made."""

    since: datetime | None
    """When that was; None if there is none."""
    seen: dict[Check, Seen] = field(default_factory=dict[Check, Seen])
    refused: Seen | None = None
    """The latest call that was refused, unless one of its kind has passed since."""


_LOOKS_UP = frozenset({"scim.users.list", "scim.users.search", "scim.search", "scim.users.read"})


async def progress(work: Work) -> Progress:
    """What has been seen since the newest token for SCIM was made; a few bounded looks, whatever the tenant's size."""
    newest = await newest_token(work)
    if newest is None:
        return Progress(None)
    calls = await _calls(work, newest.created_at)
    seen: dict[Check, Seen] = {}
    refused: Seen | None = None
    for call in calls:
        seen.setdefault(Check.CALLED, Seen(call.at, said=call.source))
        if call.outcome == "refused":
            refused = Seen(call.at, call.account_id, call.detail)
            continue
        refused = None
        seen.setdefault(Check.AUTHENTICATED, Seen(call.at, said=call.actor_label))
        if call.action in _LOOKS_UP:
            seen.setdefault(Check.LOOKED_UP, Seen(call.at))
        if "user.provisioned" in call.events:
            seen.setdefault(Check.CREATED, Seen(call.at, call.account_id))
        if "user.deactivated" in call.events:
            seen.setdefault(Check.DEACTIVATED, Seen(call.at, call.account_id))
    concerned = {call.account_id for call in calls if call.account_id is not None and call.outcome == "done"}
    if (role := await _role_read(work, [*concerned][:LATEST])) is not None:
        seen[Check.ROLE] = role
    if (receipt := await _receipt(work, newest.created_at)) is not None:
        seen[Check.RECEIPT] = receipt
    return Progress(newest.created_at, seen, refused)


async def newest_token(work: Work) -> Token | None:
    """The newest token for SCIM that works, or else that was made; None if there is none."""
    made = [each for each in await tokens.every(work) if {Scope.SCIM, Scope.SCIM_READ} & set(each.scopes)]
    live = [each for each in made if tokens.is_open(each, work.now)]
    return next(iter([*live, *made]), None)


async def includes_scim(work: Work) -> tuple[bool, str]:
    """Whether the tenant's plan includes SCIM, and what the plan is called."""
    question = select(Plan.features, Plan.name).join(Tenant, Tenant.plan == Plan.key).where(Tenant.id == work.tenant.id)
    row = (await work.db.execute(question)).one()
    return "scim" in row.features, row.name


async def _calls(work: Work, since: datetime) -> Sequence[AuditEntry]:
    """The first calls of the provider since then and the latest ones, in their order."""
    mine = (
        AuditEntry.tenant_id == work.tenant.id,
        AuditEntry.at >= since,
        AuditEntry.at <= work.now + timedelta(minutes=1),
        AuditEntry.actor_kind == "scim_token",
    )
    first = (await work.db.scalars(select(AuditEntry).where(*mine).order_by(AuditEntry.at).limit(FIRST))).all()
    if len(first) < FIRST:
        return first
    latest = await work.db.scalars(select(AuditEntry).where(*mine).order_by(AuditEntry.at.desc()).limit(LATEST))
    known = {entry.id for entry in first}
    return [*first, *(entry for entry in reversed(latest.all()) if entry.id not in known)]


async def _role_read(work: Work, account_ids: Sequence[UUID]) -> Seen | None:
    if not account_ids:
        return None
    row = (
        await work.db.execute(
            select(Account.id, Account.role, Account.created_at)
            .where(Account.tenant_id == work.tenant.id, Account.id.in_(account_ids))
            .where(Account.role_state["origin"].astext == RoleOrigin.PROVIDER.value)
            .order_by(Account.created_at)
            .limit(1)
        )
    ).first()
    return None if row is None else Seen(row.created_at, row.id, row.role)


async def _receipt(work: Work, since: datetime) -> Seen | None:
    row = (
        await work.db.execute(
            select(Receipt.account_id, Receipt.settled_at)
            .where(Receipt.tenant_id == work.tenant.id, Receipt.closed_at >= since)
            .order_by(Receipt.closed_at)
            .limit(1)
        )
    ).first()
    return None if row is None else Seen(row.settled_at, row.account_id)


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
    counted = await work.db.execute(
        select(Account.active, func.count()).where(Account.tenant_id == work.tenant.id).group_by(Account.active)
    )
    people = {bool(row[0]): int(row[1]) for row in counted}
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
        active=people.get(True, 0),
        inactive=people.get(False, 0),
        conflicts=open_cases.get("conflict", 0),
        unknown_roles=open_cases.get("unknown_role", 0),
    )


@dataclass(frozen=True, slots=True)
class Day:
    """What came on one day, UTC."""

    day: datetime
    calls: int
    refused: int


MOST_COUNTED = 50_000
"""Calls that a chart counts, the latest ones, so that a page costs what it costs."""


async def days(work: Work) -> Sequence[Day]:
    """The provider's calls of the last 30 days, a day each."""
    day: ColumnElement[object] = cast(func.timezone("UTC", AuditEntry.at), Date)
    latest = (
        select(day.label("day"), AuditEntry.outcome.label("outcome"))
        .where(
            AuditEntry.tenant_id == work.tenant.id,
            AuditEntry.at > work.now - LONGEST_CHART,
            AuditEntry.actor_kind == "scim_token",
        )
        .order_by(AuditEntry.at.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    rows = await work.db.execute(
        select(
            latest.c.day,
            func.count().label("calls"),
            func.count().filter(latest.c.outcome == "refused").label("refused"),
        ).group_by(latest.c.day)
    )
    found = {row.day: row for row in rows}
    told: list[Day] = []
    for back in range(LONGEST_CHART.days - 1, -1, -1):
        moment = work.now - timedelta(days=back)
        row = found.get(moment.date())
        told.append(Day(moment, 0 if row is None else row.calls, 0 if row is None else row.refused))
    return told
