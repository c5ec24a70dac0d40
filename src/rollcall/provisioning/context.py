"""What a SCIM call is made of: the process it came to, the call, and on whose behalf it acts."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from rollcall.access.dead_tokens import DeadTokens
from rollcall.crypto import TokenText
from rollcall.db import Database, Pool
from rollcall.provisioning.batched_entries import BatchedEntries
from rollcall.provisioning.limits import RateLimiter
from rollcall.provisioning.masking import masked
from rollcall.provisioning.one_writer import OneWriter
from rollcall.provisioning.recent_callers import RecentCaller, RecentCallers
from rollcall.scim.conditions import UNCONDITIONAL, Conditions
from rollcall.scim.errors import InvalidSyntax
from rollcall.scim.providers import Profile
from rollcall.scim.values import WITHIN_THE_STANDARD, Unknown
from rollcall.work import RequestOrigin


@dataclass(frozen=True, slots=True)
class GateContext:
    """What every SCIM call of a process goes through."""

    database: Database
    limiter: RateLimiter
    batched_entries: BatchedEntries
    base_url: str
    recent_callers: RecentCallers = field(default_factory=RecentCallers)
    dead_tokens: DeadTokens = field(default_factory=DeadTokens)
    writers: OneWriter = field(default_factory=OneWriter)
    reading_large: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a large body is read."""

    @property
    def pool(self) -> Pool:
        """The pool of the hot paths."""
        return self.database.pool


@dataclass(frozen=True, slots=True)
class Call:
    """One SCIM call: the token it presents, what it is about to do, and when it arrived."""

    context: GateContext
    token: TokenText
    origin: RequestOrigin
    action: str
    arrived: datetime
    conditions: Conditions = UNCONDITIONAL
    """What it requires of the version of the resource that it names."""
    has_permit: bool = False
    """Whether it is part of a call that took a permit of the rate limit already."""
    agent: str | None = None
    """What the caller calls itself: its User-Agent."""
    asked: str | None = None
    """The mark of a provider that a list request is, if it is one."""

    def described(self, payload: object = None) -> dict[str, Any]:
        """The call as its audit entry says it; the gate adds whose token it was, and leaves out what is counted."""
        call: dict[str, Any] = {"action": self.action, **self.origin.facts()}
        if counted := self.context.batched_entries.refusals.counted_by_now(self.token.tenant_id, self.token.id):
            call["counted"] = counted
        if payload is not None:
            call["payload"] = masked(payload)
        return call


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that has passed, or whose caller has lately: on whose behalf it acts."""

    call: Call
    caller: RecentCaller
    asked: bool = True
    """Whether the gate was asked in this call. If not, the statement that writes asks it; where that finds that what is
    remembered is no longer so, the permit that was taken by it does not count either, and the call begins anew."""
    takes_only: bool = False
    """Whether the tenant's plan includes SCIM no more, so that only what takes away may be done."""

    @property
    def label(self) -> str:
        """What the token is called."""
        return self.caller.label

    @property
    def owner_id(self) -> UUID | None:
        """The account of the token's owner; None for one of the tenant's own."""
        return self.caller.owner_id

    @property
    def profile(self) -> Profile:
        """How the tenant's provider is read."""
        return self.caller.profile

    @property
    def rule_version(self) -> int:
        """The version of the role rule that a change is worked out by."""
        return self.caller.rule_version

    @property
    def remembered(self) -> dict[str, Any]:
        """What a statement has to find as it was, beside the version of the role rule."""
        return {"profile": self.profile.key, "rate": self.caller.rate, "burst": self.caller.burst}

    @property
    def unknown_in_patch(self) -> Unknown:
        """What becomes of an attribute nobody has, in a PATCH."""
        if not self.profile.tolerant:
            return Unknown.REFUSED_STRICTLY
        return Unknown.IGNORED if self.profile.unknown_in_patch_ignored else Unknown.REFUSED

    def insist_on_standard(self, deviations: Iterable[str]) -> None:
        """See that the tenant takes what departs from the standard; where it does not, that is counted.

        Raises:
            InvalidSyntax: the tenant takes the standard to the letter.
        """
        if self.profile.tolerant:
            return
        departures = [each for each in deviations if each.partition(":")[0] not in WITHIN_THE_STANDARD]
        if departures:
            if self.asked:
                self.deviated(deviations)
            named = ", ".join(departures[:5])
            raise InvalidSyntax(detail=f"This tenant takes the standard to the letter, and this is not it: {named}")

    def deviated(self, deviations: Iterable[str]) -> None:
        """Count in what the provider departed from the standard."""
        if seen := tuple(deviations):
            self.call.context.batched_entries.deviated(self.call.token.tenant_id, self.call.arrived, seen)
