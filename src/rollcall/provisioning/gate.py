"""The gate: what a SCIM call passes before anything it sent is looked at.

The decision is PostgreSQL's (the function ``gate`` in the migrations), made from the rows as they are at that moment;
here it is asked, and its verdict becomes an answer.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import orjson
import structlog

from rollcall import metrics
from rollcall.access.dead_tokens import DeadTokens
from rollcall.access.presented import read_scim_token
from rollcall.crypto import TokenText
from rollcall.db import Database, Pool, Row
from rollcall.journal.refusals import Caller
from rollcall.provisioning.batched_entries import BatchedEntries
from rollcall.provisioning.limits import RateLimiter
from rollcall.provisioning.recent_callers import RecentCaller, RecentCallers
from rollcall.scim.conditions import UNCONDITIONAL, Conditions
from rollcall.scim.errors import Forbidden, InvalidSyntax, SCIMException, TooManyRequests, Unauthorized
from rollcall.scim.providers import PROFILES, Profile
from rollcall.scim.values import WITHIN_THE_STANDARD, Unknown
from rollcall.work import ActorKind, Origin

_DEAD = frozenset({"unknown", "revoked", "expired", "owner"})
"""Verdicts on a token that is nobody's, or does not work any more."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """What every SCIM call of a process goes through."""

    database: Database
    limiter: RateLimiter
    batched_entries: BatchedEntries
    base_url: str
    recent_callers: RecentCallers = field(default_factory=RecentCallers)
    dead_tokens: DeadTokens = field(default_factory=DeadTokens)

    @property
    def pool(self) -> Pool:
        """The pool of the hot paths."""
        return self.database.pool


@dataclass(frozen=True, slots=True)
class Call:
    """One SCIM call: the token it presents, what it is about to do, and when it arrived."""

    context: GateContext
    token: TokenText
    origin: Origin
    action: str
    arrived: datetime
    conditions: Conditions = UNCONDITIONAL
    """What it requires of the version of the resource that it names."""
    has_permit: bool = False
    """Whether it is part of a call that took a permit of the rate limit already."""

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
    """A call that has passed: on whose behalf it acts."""

    call: Call
    label: str
    owner_id: UUID | None
    profile: Profile = PROFILES["default"]

    @property
    def unknown_in_patch(self) -> Unknown:
        """What becomes of an attribute nobody has, in a PATCH."""
        if not self.profile.tolerant:
            return Unknown.REFUSED_STRICTLY
        return Unknown.IGNORED if self.profile.unknown_in_patch_ignored else Unknown.REFUSED

    def deviated(self, deviations: Iterable[str]) -> None:
        """Count in what the provider departed from the standard.

        Raises:
            InvalidSyntax: the tenant wants the standard to the letter.
        """
        seen = tuple(deviations)
        if not seen:
            return
        self.call.context.batched_entries.deviated(self.call.token.tenant_id, self.call.arrived, seen)
        departures = [habit for habit in seen if habit.partition(":")[0] not in WITHIN_THE_STANDARD]
        if departures and not self.profile.tolerant:
            named = ", ".join(departures[:5])
            raise InvalidSyntax(detail=f"This tenant takes the standard to the letter, and this is not it: {named}")


def present(
    context: GateContext,
    authorization: str | None,
    origin: Origin,
    action: str,
    *,
    conditions: Conditions = UNCONDITIONAL,
) -> Call:
    """Read the bearer token a caller presents.

    Raises:
        Unauthorized: there is none, or it can't be a SCIM token of ours.
        TooManyRequests: it did not work a moment ago, and too many of those come from this address.
    """
    arrived = datetime.now(UTC)
    try:
        token = read_scim_token(authorization)
    except Unauthorized:
        context.batched_entries.refused(origin.source)
        raise
    call = Call(context, token, origin, action, arrived, conditions)
    _slow_down(call)
    return call


def _slow_down(call: Call) -> None:
    """Refuse a token that did not work a moment ago, and of which there are too many from this address."""
    context, source = call.context, call.origin.source
    is_dead, caller = context.dead_tokens.recall(call.token)
    if not is_dead or not (wait := context.dead_tokens.wait_for(source)):
        return
    refusal = TooManyRequests(retry_after=math.ceil(wait))
    if caller is None:
        context.batched_entries.refused(source)
    else:
        context.batched_entries.refusals.is_entered(caller, call.origin, status=refusal.status, may_be=False)
    raise refusal


async def judge(call: Call, row: Row) -> Admitted:
    """Turn the gate's verdict into an answer, with a permit of the tenant's rate limit.

    A live token takes the permit before a refusal is written down: without one it is only counted.

    Raises:
        Unauthorized, Forbidden, TooManyRequests: the call ends here; the refusal has been kept.
    """
    wait = 0.0
    if row["verdict"] not in _DEAD and not call.has_permit:
        wait = await call.context.limiter.wait_for(call.token.tenant_id, rate=row["rate"], burst=row["burst"])
    if row["verdict"] != "ok":
        await refuse_verdict(call, row, has_permit=not wait)
    _name_token(call)
    metrics.profile_of_call.set(row["profile"])
    admitted = Admitted(call, row["token_label"], row["owner_id"], PROFILES[row["profile"]])
    if wait:
        refusal = TooManyRequests(retry_after=math.ceil(wait))
        await refuse(admitted, refusal)
        raise refusal
    call.context.batched_entries.used(call.token.tenant_id, call.token.id, call.arrived, call.origin.source)
    return admitted


def remember(admitted: Admitted, row: Row) -> None:
    """Remember a caller who was admitted to write, so that their next change can be tried at once."""
    caller = RecentCaller(
        admitted.label,
        admitted.owner_id,
        admitted.profile,
        row["rate"],
        row["burst"],
        row["rule"],
        row["rule_version"],
    )
    admitted.call.context.recent_callers.keep(admitted.call.token, caller)


async def admit_remembered(call: Call, caller: RecentCaller) -> Admitted | None:
    """Take a permit for a caller whose change asks the gate itself; None when there is none to be had at once."""
    if await call.context.limiter.wait_for(call.token.tenant_id, rate=caller.rate, burst=caller.burst):
        return None
    _name_token(call)
    metrics.profile_of_call.set(caller.profile.key)
    return Admitted(replace(call, has_permit=True), caller.label, caller.owner_id, caller.profile)


async def refuse_verdict(call: Call, row: Row, *, has_permit: bool = True) -> None:
    """Raise what the gate's verdict means, after it was kept; without a permit of the rate limit it is only counted.

    Raises:
        Unauthorized, Forbidden: always one of them.
    """
    refusal = await _meaning(call, row)
    metrics.figures().verdicts.labels(row["verdict"]).inc()
    label: str | None = row["token_label"]
    if row["verdict"] in _DEAD:
        caller = None if label is None else _caller(call, label, row["owner_id"])
        call.context.dead_tokens.keep(call.token, caller)
    if label is None:
        call.context.batched_entries.refused(call.origin.source)
    else:
        _name_token(call)
        await refuse(Admitted(call, label, row["owner_id"]), refusal, has_permit=has_permit)
    raise refusal


async def ended(call: Call) -> SCIMException | None:
    """Why a call that is still sending its body need not go on: its token is not good any more. None while it is."""
    who = (call.token.tenant_id, call.token.id, call.token.digest)
    row = await call.context.pool.fetchrow("SELECT * FROM gate($1, $2, $3, 'read')", *who)
    assert row is not None
    return None if row["verdict"] == "ok" else await _meaning(call, row)


def _name_token(call: Call) -> None:
    """Say in what is logged of this call whose it is, now that its token is known."""
    structlog.contextvars.bind_contextvars(tenant=str(call.token.tenant_id), key_id=str(call.token.id))


async def refuse(
    admitted: Admitted,
    refusal: SCIMException,
    *,
    payload: object = None,
    user_id: UUID | None = None,
    case: dict[str, Any] | None = None,
    has_permit: bool = True,
) -> None:
    """Keep that a call was refused, in a transaction of its own, and the conflict case if that was why.

    A case is product state: it is opened, and counts, for every refused conflict, one that has no entry too.
    """
    entered = is_entered(admitted.call, admitted.label, admitted.owner_id, refusal, has_permit=has_permit)
    if entered or case is not None:
        await note(
            admitted,
            "refused",
            refusal.status,
            refusal.detail,
            payload=payload,
            user_id=user_id,
            case=case,
            entered=entered,
        )


def is_entered(
    call: Call, label: str, owner_id: UUID | None, refusal: SCIMException, *, has_permit: bool = True
) -> bool:
    """Count a refused call of a known token; whether it is to have an entry of its own."""
    return call.context.batched_entries.refusals.is_entered(
        _caller(call, label, owner_id), call.origin, status=refusal.status, code=refusal.scim_type, may_be=has_permit
    )


def _caller(call: Call, label: str, owner_id: UUID | None) -> Caller:
    return Caller(call.token.tenant_id, ActorKind.SCIM_TOKEN, call.token.id, label, owner_id)


def described_refusal(call: Call, payload: object, status: int, *, entered: bool) -> dict[str, Any]:
    """A refused call as a database function takes it, which enters it or leaves that out."""
    return call.described(payload) | {"counted": [] if entered else [status]}


async def note(
    admitted: Admitted,
    outcome: str,
    status: int,
    detail: str | None,
    *,
    payload: object = None,
    user_id: UUID | None = None,
    case: dict[str, Any] | None = None,
    entered: bool = True,
) -> None:
    """Write down a call that changed nothing."""
    call = admitted.call
    await call.context.pool.fetchrow(
        "SELECT scim_note($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        call.token.tenant_id,
        call.token.id,
        admitted.owner_id,
        admitted.label,
        orjson.dumps(described_refusal(call, payload, status, entered=entered)).decode(),
        outcome,
        status,
        detail,
        user_id,
        None if case is None else orjson.dumps(case).decode(),
    )


async def _meaning(call: Call, row: Row) -> SCIMException:  # noqa: PLR0911  # one for each verdict
    match row["verdict"]:
        case "revoked":
            return Unauthorized(
                detail="This token has been revoked. Ask an admin of the tenant or the vendor's support for a new one, "
                "and put it into the identity provider."
            )
        case "expired":
            return Unauthorized(
                detail="This token has expired or was replaced and its overlap is over. "
                "Put the new one into the identity provider, or ask an admin of the tenant for one."
            )
        case "owner":
            return Unauthorized(
                detail="The owner of this token is no longer an active admin, so it no longer works. "
                "Have an active admin or the vendor's support issue a new one, and put it into the identity provider."
            )
        case "suspended":
            return Forbidden(
                detail="This tenant is suspended; ask the vendor's support to resume it. The token stays as it is."
            )
        case "plan":
            plans = await call.context.pool.fetch("SELECT name FROM plans WHERE 'scim' = ANY (features) ORDER BY name")
            has = await call.context.pool.fetchval("SELECT name FROM plans WHERE key = $1", row["plan"])
            names = " or ".join(plan["name"] for plan in plans) or "none at present"
            return Forbidden(
                detail=f"The plan {has} does not include SCIM; the plans that do: {names}. "
                "Ask the vendor to change the plan; the token stays as it is."
            )
        case "scope":
            return Forbidden(
                detail="This token may read only (scope scim:read); changes need the scope scim. "
                "Issue a token with the scope scim, and put it into the identity provider."
            )
        case _:
            return Unauthorized(
                detail="This token is well-formed and not known here. Perhaps it is one of another installation "
                f"(a test one, say): this one's SCIM base URL is {call.context.base_url}. "
                "See that both are from the same place, or ask for a new token."
            )


_SECRETS = ("password", "token", "secret", "authorization")
_SECRET_NAME = re.compile(rf"(?<![\w$-])(?:{'|'.join(_SECRETS)})(?![\w$-])", re.IGNORECASE)
"""A secret attribute, anywhere in a name or a path: behind a URN, before a sub-attribute or a filter."""


def masked(payload: object) -> object:
    """What a caller sent with the values of secret attributes replaced, wherever they stand."""
    text = orjson.dumps(payload).decode().casefold()
    return _masked(payload) if any(word in text for word in _SECRETS) else payload


def _masked(payload: object) -> object:
    match payload:
        case dict():
            members = cast("dict[str, object]", payload)
            return {
                key: "***" if _is_secret(key) or _writes_secret(members, key) else _masked(value)
                for key, value in members.items()
            }
        case list():
            return [_masked(item) for item in cast("list[object]", payload)]
        case _:
            return payload


def _is_secret(key: object) -> bool:
    return _SECRET_NAME.search(str(key)) is not None


def _writes_secret(operation: dict[str, object], key: str) -> bool:
    """Whether *key* is the value of a PATCH operation whose path names a secret attribute."""
    return str(key).casefold() == "value" and any(
        str(name).casefold() == "path" and _is_secret(path) for name, path in operation.items()
    )
