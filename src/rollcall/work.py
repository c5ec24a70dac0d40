"""One transaction, for one tenant, by one actor; and its sibling for the few things done across tenants."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from rollcall.db import FLEET_ROLE, Database
from rollcall.errors import Refusal


class ActorKind(StrEnum):
    """Through which kind of key somebody acts."""

    SCIM_TOKEN = "scim_token"  # noqa: S105  # the name of a kind
    PERSON = "person"
    OPERATOR = "operator"
    APPLICATION = "application"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the key, a name people recognise, and the person behind it where there is one."""

    kind: ActorKind
    label: str
    id: UUID | None = None
    owner_id: UUID | None = None


SYSTEM = Actor(kind=ActorKind.SYSTEM, label="rollcall")
"""Rollcall itself: the worker, the relay, the clock."""


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant as everything below needs it."""

    id: UUID
    slug: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call came from; it stands in the audit entry."""

    request_id: str
    source: str | None = None
    method: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One transaction, for one tenant, by one actor, at one time."""

    db: AsyncSession
    tenant: TenantRef
    actor: Actor
    origin: Origin
    now: datetime


@dataclass(frozen=True, slots=True)
class Fleet:
    """One transaction across tenants, under the narrow fleet role."""

    db: AsyncSession
    actor: Actor
    origin: Origin
    now: datetime

    async def within(self, tenant: TenantRef) -> Work:
        """Turn to one tenant inside this transaction, still as the fleet role."""
        await enter_tenant(self.db, tenant.id)
        return Work(self.db, tenant, self.actor, self.origin, self.now)


async def enter_tenant(db: AsyncSession, tenant_id: UUID) -> None:
    """Make row-level security show this tenant's rows until the transaction ends."""
    await db.execute(text("SELECT set_config('rollcall.tenant', :id, true)"), {"id": str(tenant_id)})


RefusalWriter = Callable[[Work, Refusal], Awaitable[None]]
"""Writes down that a piece of work was refused."""


@asynccontextmanager
async def open_work(
    database: Database,
    tenant: TenantRef,
    actor: Actor,
    origin: Origin,
    *,
    on_refusal: RefusalWriter | None = None,
) -> AsyncGenerator[Work]:
    """Open a transaction for *tenant* and commit it as the block ends.

    What the block does runs in a savepoint: a refusal undoes it, *on_refusal* may write that down, and that commits.
    Any other exception leaves nothing behind.
    """
    async with database.sessions() as db, db.begin():
        await enter_tenant(db, tenant.id)
        work = Work(db, tenant, actor, origin, datetime.now(UTC))
        refused: Refusal | None = None
        try:
            async with db.begin_nested():
                yield work
        except Refusal as refusal:
            refused = refusal
            if on_refusal is not None:
                await on_refusal(work, refusal)
    if refused is not None:
        raise refused


@asynccontextmanager
async def open_fleet(database: Database, actor: Actor, origin: Origin) -> AsyncGenerator[Fleet]:
    """Open a transaction across tenants and commit it as the block ends."""
    async with database.sessions() as db, db.begin():
        await db.execute(text(f"SET LOCAL ROLE {FLEET_ROLE}"))
        yield Fleet(db, actor, origin, datetime.now(UTC))
