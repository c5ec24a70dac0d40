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

    def facts(self) -> dict[str, str | None]:
        """The origin as an audit entry says it; what PostgreSQL can't keep of a path is replaced."""
        path = self.path
        if path is not None:
            path = path.replace("\x00", "\ufffd").encode(errors="replace").decode()
        return {"request_id": self.request_id, "method": self.method, "path": path, "source": self.source}


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

    @asynccontextmanager
    async def within(self, tenant: TenantRef) -> AsyncGenerator[Work]:
        """Turn to one tenant inside this transaction, with the rights of any other work there and no more.

        Rows are written under the role that changed them, so both ways begin with a flush. After an exception the
        transaction is only good for being rolled back: it has neither the fleet's rights nor another tenant's rows.
        """
        await self.db.flush()
        await self.db.execute(text("SET LOCAL ROLE NONE"))
        await enter_tenant(self.db, tenant.id)
        yield Work(self.db, tenant, self.actor, self.origin, self.now)
        await self.db.flush()
        await _leave_tenant(self.db)
        await self.db.execute(text(f"SET LOCAL ROLE {FLEET_ROLE}"))


async def enter_tenant(db: AsyncSession, tenant_id: UUID) -> None:
    """Make row-level security show this tenant's rows until the transaction ends."""
    await db.execute(text("SELECT set_config('rollcall.tenant', :id, true)"), {"id": str(tenant_id)})


async def _leave_tenant(db: AsyncSession) -> None:
    await db.execute(text("SELECT set_config('rollcall.tenant', '', true)"))


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
