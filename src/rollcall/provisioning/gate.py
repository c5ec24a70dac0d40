"""The gate: what a SCIM call passes before anything it sent is looked at.

The decision is PostgreSQL's (``sql/gate.sql``), made from the rows as they are at that moment; here it is asked, and
its verdict becomes an answer.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rollcall import metrics
from rollcall.access.presented import read_scim_token
from rollcall.current_call import name_key, name_profile
from rollcall.db import Row
from rollcall.journal.refusals import RefusedCaller
from rollcall.provisioning import lapse_wording as wording
from rollcall.provisioning import plan_statements, statements
from rollcall.provisioning.context import Admitted, Call, GateContext
from rollcall.provisioning.recent_callers import RecentCaller
from rollcall.scim.conditions import UNCONDITIONAL, Conditions
from rollcall.scim.errors import Forbidden, Paused, SCIMException, Suspended, TooManyRequests, Unauthorized
from rollcall.scim.providers import PROFILES
from rollcall.work import ActorKind, RequestOrigin

TAKES = frozenset({"takes_only", "paused", "restricted"})
"""Verdicts by which a call goes on for what only takes away."""

LETS = TAKES | {"ok"}
"""Verdicts by which a call goes on."""

_DEAD = frozenset({"unknown", "revoked", "expired", "owner"})
"""Verdicts on a token that is nobody's, or does not work any more."""


def present(
    context: GateContext,
    authorization: str | None,
    origin: RequestOrigin,
    action: str,
    *,
    conditions: Conditions = UNCONDITIONAL,
    agent: str | None = None,
    asked: str | None = None,
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
    call = Call(context, token, origin, action, arrived, conditions, agent=agent, asked=asked)
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


async def ask(call: Call, needs: str) -> Admitted:
    """Pass the gate for a call that names no resource.

    Raises:
        Unauthorized, Forbidden, TooManyRequests: as for `judge`.
    """
    row = await statements.gate(call, needs)
    return await (judge_writer(call, row) if needs == "write" else judge(call, row))


async def judge(call: Call, row: Row) -> Admitted:
    """Turn the gate's verdict into an answer, with a permit of the tenant's rate limit.

    A live token takes the permit before a refusal is written down: without one it is only counted.

    Raises:
        Unauthorized, Forbidden, TooManyRequests: the call ends here; the refusal has been kept.
    """
    wait = 0.0
    if row["verdict"] not in _DEAD and not call.has_permit:
        wait = await call.context.limiter.wait_for(call.token.tenant_id, rate=row["rate"], burst=row["burst"])
    if row["verdict"] not in LETS:
        await refuse_verdict(call, row, has_permit=not wait)
    profile = PROFILES[row["profile"]]
    _name(call, profile.key)
    caller = RecentCaller(row["token_label"], row["owner_id"], profile, row["rate"], row["burst"])
    admitted = Admitted(call, caller, takes_only=row["verdict"] in TAKES)
    if wait:
        refusal = TooManyRequests(retry_after=math.ceil(wait))
        await refuse(admitted, refusal)
        raise refusal
    was_used(call)
    return admitted


async def judge_writer(call: Call, row: Row) -> Admitted:
    """`judge` for a call that is to write: its row has the role rule too, and its caller is remembered for a minute.

    One who may only take away is not: what they are refused has to be so now.

    Raises:
        Unauthorized, Forbidden, TooManyRequests: as for `judge`.
    """
    admitted = await judge(call, row)
    caller = replace(admitted.caller, rule=row["rule"], rule_version=row["rule_version"])
    if not admitted.takes_only:
        call.context.recent_callers.keep(call.token, caller)
    return replace(admitted, call=permitted(call), caller=caller)


async def recall(call: Call) -> Admitted | None:
    """The context of a caller who was admitted to write lately; a permit is taken of the rate limit as it was then.

    None: there was none, or there is no permit to be had at once; then the gate has to be asked.
    """
    caller = call.context.recent_callers.recall(call.token)
    if caller is None:
        return None
    limiter = call.context.limiter
    if not call.has_permit and await limiter.wait_for(call.token.tenant_id, rate=caller.rate, burst=caller.burst):
        return None
    _name(call, caller.profile.key)
    return Admitted(call, caller, asked=False)


async def charge(admitted: Admitted, permits: int) -> None:
    """Have a call that passed owe the rate limit what it costs beyond its one permit."""
    caller, call = admitted.caller, admitted.call
    await call.context.limiter.charge(call.token.tenant_id, permits, rate=caller.rate, burst=caller.burst)


def passed(admitted: Admitted, row: Row) -> Admitted:
    """The same call after a statement has asked the gate for it, and *row* has the verdict."""
    was_used(admitted.call)
    return replace(admitted, asked=True, takes_only=row["verdict"] in TAKES)


def permitted(call: Call) -> Call:
    """What is left to do of a call that has taken its permit of the rate limit: it may pass the gate again."""
    return replace(call, has_permit=True)


def was_used(call: Call) -> None:
    """Count the use of a token that has passed, and what its caller can be recognised by."""
    entries = call.context.batched_entries
    entries.used(call.token.tenant_id, call.token.id, call.arrived, call.origin.source)
    entries.evidence.called(call.token.tenant_id, call.arrived, call.agent, call.asked)


async def refuse_verdict(call: Call, row: Row, *, has_permit: bool = True) -> None:
    """Raise what the gate's verdict means, after it was kept; without a permit of the rate limit it is only counted.

    Raises:
        Unauthorized, Forbidden: always one of them.
    """
    refusal = await _meaning(call, row, has_permit=has_permit)
    metrics.figures().verdicts.labels(row["verdict"]).inc()
    label: str | None = row["token_label"]
    if row["verdict"] in _DEAD:
        caller = None if label is None else _caller(call, label, row["owner_id"])
        call.context.dead_tokens.keep(call.token, caller)
    if label is None:
        call.context.batched_entries.refused(call.origin.source)
    else:
        name_key(call.token.tenant_id, call.token.id)
        refused = Admitted(call, RecentCaller(label, row["owner_id"], PROFILES["default"], 0, 0))
        await refuse(refused, refusal, has_permit=has_permit)
    raise refusal


async def ended(call: Call) -> SCIMException | None:
    """Why a call that is still sending its body need not go on: its token is not good any more. None while it is, or
    while only its tenant is suspended, for it may say that somebody leaves (`refused_departures`)."""
    row = await statements.gate(call, "read")
    return None if row["verdict"] in LETS or row["verdict"] == "suspended" else await _meaning(call, row)


def _name(call: Call, profile: str) -> None:
    """Say whose call this is in its log lines, and by which profile it is read in its figures."""
    name_key(call.token.tenant_id, call.token.id)
    name_profile(profile)


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
    entered = is_entered(admitted, refusal, has_permit=has_permit)
    if entered or case is not None:
        described = described_refusal(admitted.call, payload, refusal.status, entered=entered)
        await statements.note_call(
            admitted, described, "refused", refusal.status, refusal.detail, user_id=user_id, case=case
        )


def is_entered(admitted: Admitted, refusal: SCIMException, *, has_permit: bool = True) -> bool:
    """Count a refused call of a known token; whether it is to have an entry of its own."""
    call = admitted.call
    return call.context.batched_entries.refusals.is_entered(
        _caller(call, admitted.label, admitted.owner_id),
        call.origin,
        status=refusal.status,
        code=refusal.scim_type,
        may_be=has_permit,
    )


def _caller(call: Call, label: str, owner_id: UUID | None) -> RefusedCaller:
    return RefusedCaller(call.token.tenant_id, ActorKind.SCIM_TOKEN, call.token.id, label, owner_id)


def described_refusal(call: Call, payload: object, status: int, *, entered: bool) -> dict[str, Any]:
    """A refused call as a database function takes it, which enters it or leaves that out."""
    return call.described(payload) | {"counted": [] if entered else [status]}


async def note(
    admitted: Admitted,
    detail: str | None,
    *,
    payload: object = None,
    user_id: UUID | None = None,
    case: dict[str, Any] | None = None,
) -> None:
    """Write down a call that was answered 200 and changed nothing."""
    described = described_refusal(admitted.call, payload, 200, entered=True)
    await statements.note_call(admitted, described, "done", 200, detail, user_id=user_id, case=case)


async def not_given(call: Call, *, done: str | None = None, left: str | None = None) -> Forbidden | Paused:
    """The refusal of what gives, for plan, pause or owner: what was *done* of the call, and what *left*."""
    facts = await plan_statements.lapse_facts(call)
    if facts["stands"] == "restricted":
        return Forbidden(detail=wording.without_owner(done=done, left=left))
    if facts["state"] in ("active", "grace"):
        return Paused(wording.paused(done=done, left=left), retry_after=max(1, facts["paused_seconds"] or 1))
    names = await plan_statements.plans_with_scim(call.context.pool)
    return Forbidden(detail=wording.without_scim(facts, names, done=done, left=left))


async def _meaning(call: Call, row: Row, *, has_permit: bool = True) -> SCIMException:  # noqa: PLR0911  # one for each
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
            return Suspended(has_permit=has_permit)
        case "plan" | "takes_only" | "paused" | "restricted":
            return await not_given(call)
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
