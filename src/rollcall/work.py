"""One transaction, for one tenant, by one actor; and its sibling for the few things done across tenants."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from rollcall.crypto import TokenText
from rollcall.db import FLEET_ROLE, SET_LONG_WORK, Connection, Database, DatabaseError, has_ended
from rollcall.errors import KeyEnded, Refusal
from rollcall.functions import qualified


class ActorKind(StrEnum):
    """Through which kind of key somebody acts."""

    SCIM_TOKEN = "scim_token"  # noqa: S105  # the name of a kind
    PERSON = "person"
    AUDITOR = "auditor"
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
    key: TokenText | None = None
    """What they presented to act; it is judged once more as what they did is committed."""
    role: str | None = None
    """What an operator's key may do, one of `tenancy.operators.OperatorRole`; None for everybody else."""


SYSTEM = Actor(kind=ActorKind.SYSTEM, label="rollcall")
"""Rollcall itself: the worker, the relay, the clock."""


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant as everything below needs it."""

    id: UUID
    slug: str


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a call came from; it stands in the audit entry."""

    request_id: str
    source: str | None = None
    method: str | None = None
    path: str | None = None

    def facts(self) -> dict[str, str | None]:
        """The origin as an audit entry says it."""
        path = None if self.path is None else storable(self.path)
        return {"request_id": self.request_id, "method": self.method, "path": path, "source": self.source}


def storable(said: str) -> str:
    """What somebody said, with what PostgreSQL can't keep of it replaced: NUL, and halves of surrogate pairs."""
    return said.replace("\x00", "\ufffd").encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Work:
    """One transaction, for one tenant, by one actor, at one time."""

    db: AsyncSession
    tenant: TenantRef
    actor: Actor
    origin: RequestOrigin
    now: datetime


@dataclass(frozen=True, slots=True)
class Fleet:
    """One transaction across tenants, under the narrow fleet role."""

    db: AsyncSession
    actor: Actor
    origin: RequestOrigin
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
        await self.db.execute(_STEP)

    @asynccontextmanager
    async def within_each(self) -> AsyncGenerator[AsyncSession]:
        """Give up the fleet's rights for functions that turn to one tenant after the other by themselves.

        In each they have the rights of any work there. As with `within` nothing is left but to roll back after an
        exception.
        """
        await self.db.flush()
        await self.db.execute(text("SET LOCAL ROLE NONE"))
        yield self.db
        await _leave_tenant(self.db)
        await self.db.execute(_STEP)


_PLANS = "set_config('plan_cache_mode', 'force_custom_plan', true)"
"""Each statement is planned for what it asks. PostgreSQL would keep one plan for all tenants after five times, by their
average; for one with a hundred thousand people among a thousand small ones that reads whole tables."""

_ENTER = text(f"SELECT set_config('rollcall.tenant', :id, true), {_PLANS}")
_ENTER_LONG = text(f"{SET_LONG_WORK}, set_config('rollcall.tenant', :id, true), {_PLANS}")
# Compiling to machine code takes longer than a search runs. One text, for which there are no parameters, is one round
# trip; an id is nothing but digits, letters and hyphens.
_READ = (
    f"BEGIN READ ONLY; SELECT set_config('rollcall.tenant', '{{tenant}}', true), {_PLANS}, "
    "set_config('statement_timeout', '{longest:g}s', true), set_config('jit', 'off', true)"
)
_STEP = text(f"SET LOCAL ROLE {FLEET_ROLE}")
_STEP_LONG = text(f"{SET_LONG_WORK}, set_config('role', '{FLEET_ROLE}', true)")


async def enter_tenant(db: AsyncSession, tenant_id: UUID) -> None:
    """Make row-level security show this tenant's rows until the transaction ends."""
    await db.execute(_ENTER, {"id": str(tenant_id)})


async def take_long(db: AsyncSession) -> None:
    """Give the rest of a transaction the bounds of `LONG_WORK` instead of those that a request has."""
    await db.execute(text(SET_LONG_WORK))


async def _leave_tenant(db: AsyncSession) -> None:
    await db.execute(text("SELECT set_config('rollcall.tenant', '', true)"))


_STILL_GOOD = text(qualified("SELECT fn.still_good(:kind, :tenant, :id, :digest)"))

RefusalWriter = Callable[[Work, Refusal], Awaitable[None]]
"""Writes down that a piece of work was refused."""


@asynccontextmanager
async def open_work(
    database: Database,
    tenant: TenantRef,
    actor: Actor,
    origin: RequestOrigin,
    *,
    on_refusal: RefusalWriter | None = None,
    judged: bool = True,
) -> AsyncGenerator[Work]:
    """Open a transaction for *tenant* and commit it as the block ends.

    What the block does runs in a savepoint, if something is done after a refusal: that undoes it, *on_refusal* may
    write it down, and that commits. Any other exception leaves nothing behind.

    The actor's key is judged once more after all that the block waited for, and nothing is done if it has ended
    meanwhile. Only work that changes nothing, or writes a refusal down, is opened with *judged* false.

    Raises:
        KeyEnded: the actor's key was good when the call arrived, and is not any more.
    """
    _check_key(actor)
    async with database.turns.turn(tenant.id), database.sessions() as db, db.begin():
        await db.execute(_ENTER_LONG if database.long_work else _ENTER, {"id": str(tenant.id)})
        work = Work(db, tenant, actor, origin, datetime.now(UTC))
        if actor.key is None and on_refusal is None:  # then nothing is left of it after a refusal
            yield work
            return
        refused: Refusal | None = None
        try:
            async with db.begin_nested():
                yield work
        except Refusal as refusal:
            refused = refusal
        if judged:
            await _judge_again(db, actor)
        if refused is not None and on_refusal is not None:
            await on_refusal(work, refused)
    if refused is not None:
        raise refused


@asynccontextmanager
async def open_reading(database: Database, tenant_id: UUID, longest: float) -> AsyncGenerator[Connection]:
    """Lend a connection for statements that read as *tenant_id*, change nothing, and take *longest* seconds each.

    They are one transaction of as few round trips as can be. Nobody is judged again: who may read has been asked.
    """
    async with database.turns.turn(tenant_id), database.engine.connect() as lent:
        driver: Any = (await lent.get_raw_connection()).driver_connection
        try:
            await driver.execute(_READ.format(tenant=tenant_id, longest=longest))
            yield cast("Connection", driver)
            await driver.execute("COMMIT")
        except DatabaseError:
            with suppress(OSError, TimeoutError, *DatabaseError):
                await driver.execute("ROLLBACK")
            raise
        finally:
            # The engine knows nothing of this transaction, so it would lend the connection on in the middle of it.
            if driver.is_closed() or driver.is_in_transaction():
                await lent.invalidate()


@asynccontextmanager
async def open_fleet(
    database: Database, actor: Actor, origin: RequestOrigin, *, judged: bool = True
) -> AsyncGenerator[Fleet]:
    """Open a transaction across tenants and commit it as the block ends; *judged* is as for `open_work`.

    Raises:
        KeyEnded: the actor's key was good when the call arrived, and is not any more.
    """
    _check_key(actor)
    async with database.turns.turn(None), database.sessions() as db, db.begin():
        await db.execute(_STEP_LONG if database.long_work else _STEP)
        yield Fleet(db, actor, origin, datetime.now(UTC))
        if judged:
            await _judge_again(db, actor)


def _check_key(actor: Actor) -> None:
    """Whoever is not Rollcall itself acts by a key, or could not be judged again."""
    assert (actor.kind is ActorKind.SYSTEM) == (actor.key is None), f"{actor.kind} acts without a key"


async def _judge_again(db: AsyncSession, actor: Actor) -> None:
    """Raise if the key ended while its call was under way; what this transaction itself did to it does not count."""
    key = actor.key
    if key is None:
        return
    await db.flush()
    facts = {"kind": key.kind.value, "tenant": key.tenant_id, "id": key.id, "digest": key.digest}
    try:
        await db.execute(_STILL_GOOD, facts)
    except DBAPIError as error:
        if has_ended(error.orig):
            raise KeyEnded from error
        raise
