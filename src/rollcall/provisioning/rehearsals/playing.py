"""Rehearsals are played: one at a time in a process, one of a tenant, each within seconds."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from rollcall import metrics
from rollcall.errors import TooManyRequests
from rollcall.provisioning.batched_entries import BatchedEntries
from rollcall.provisioning.context import GateContext
from rollcall.provisioning.limits import RateLimiter
from rollcall.provisioning.rehearsals.performing import Answers, Performance, Rehearsed
from rollcall.provisioning.rehearsals.providers import DIALECTS
from rollcall.provisioning.rehearsals.stage import RehearsalRunning, open_stage
from rollcall.work import RequestOrigin, TenantRef

MOST_NAMES = 20
"""Names of groups that are pushed in one rehearsal."""

LONGEST_NAME = 200

LONGEST = 10.0
"""Seconds that a rehearsal may take; then it is undone as it is."""

LONGEST_WAIT, MOST_WAITING = 5.0, 8
"""Seconds that one waits for another tenant's, in a process, and how many may."""

AFTER = 5
"""Seconds after which whoever found no room may come again."""


class Rehearsals:
    """Plays rehearsals, one at a time in a process and of a tenant, on a connection of their own."""

    def __init__(self, engine: AsyncEngine, answers: Answers, limiter: RateLimiter, address: str) -> None:
        self._engine = engine
        self._answers = answers
        self._limiter = limiter
        self._address = address
        self._playing = asyncio.Lock()
        self._under_way: set[UUID] = set()

    async def play(self, tenant: TenantRef, origin: RequestOrigin, provider: str, names: Sequence[str]) -> Rehearsed:
        """Rehearse *provider* with *tenant*'s rule, plan and profile; with *names* of groups, or else the rule's own.

        Raises:
            RehearsalRunning: this tenant has one under way.
            TooManyRequests: other tenants' are under way, and this one has waited for them.
            TimeoutError: it took too long, and was undone.
        """
        if tenant.id in self._under_way:
            raise RehearsalRunning
        if len(self._under_way) > MOST_WAITING:
            raise _no_room()
        self._under_way.add(tenant.id)
        try:
            await self._turn()
            try:
                # A task of its own: what its calls say of themselves in log lines is not said of this one.
                async with asyncio.timeout(LONGEST):
                    return await asyncio.create_task(self._play(tenant, origin, provider, names))
            finally:
                self._playing.release()
        finally:
            self._under_way.discard(tenant.id)

    async def close(self) -> None:
        """Give the connection back."""
        await self._engine.dispose()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._playing.acquire()
        except TimeoutError:
            raise _no_room() from None

    async def _play(self, tenant: TenantRef, origin: RequestOrigin, provider: str, names: Sequence[str]) -> Rehearsed:
        with structlog.contextvars.bound_contextvars(rehearsal_of=tenant.slug), metrics.uncounted():
            async with open_stage(self._engine, tenant, origin) as stage:
                entries = BatchedEntries(stage.database.pool)
                context = GateContext(stage.database, self._limiter, entries, self._address)
                performance = Performance(stage, origin, context, self._answers, DIALECTS[provider])
                return await performance.play(provider, names)


def _no_room() -> TooManyRequests:
    msg = f"Other companies' rehearsals are running. Try again in {AFTER} seconds."
    return TooManyRequests(msg, retry_after=AFTER)


def names_in(text: str) -> list[str]:
    """The names of groups that somebody wrote, one a line; each once, without what nobody sees."""
    lines = ("".join(each for each in line if each.isprintable()).strip()[:LONGEST_NAME] for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))[:MOST_NAMES]
