"""Challenges: what an authenticator is to sign; made for one purpose, kept for five minutes, answered once.

Anybody can begin to sign in to the console, so its challenge is not kept: it goes out as sealed text, and comes back
with the answer. What is kept, until it could not be answered any more, is the id of one that was answered rightly.
"""

import json
import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete

from rollcall.access.models import PasskeyChallenge
from rollcall.crypto import CannotOpen, Sealer
from rollcall.errors import Conflict, TooManyRequests
from rollcall.work import Work

PATIENCE = timedelta(minutes=5)
MILLISECONDS = int(PATIENCE.total_seconds()) * 1000

MOST_SIGN_INS = 5_000
"""Sign-ins of one tenant to the product that may be under way; the product begins one for anybody who asks it to."""

_FORGOTTEN_AT_ONCE = 100
_CONSOLE = "sign-in to the console"

REGISTRATION = "registration"
SIGN_IN = "sign_in"
ANSWERED = "answered"

_LONGEST_SEALED = 1000
"""Characters of a sealed challenge that are looked at; ours have about 250."""


@dataclass(frozen=True, slots=True)
class SignInChallenge:
    """What is to be signed, and by whom if that was said: kept here, or come back as sealed text."""

    id: UUID
    challenge: bytes
    account_id: UUID | None = None
    sealed: bool = False
    expires_at: datetime | None = None


class ChallengeSpent(Conflict):
    """There is no such challenge to answer, or not any more."""

    code = "challenge_spent"
    param = "challenge"
    advice = "Begin the ceremony anew; a challenge is good for one answer and five minutes."

    def __init__(self) -> None:
        super().__init__(
            "There is no such challenge: it was answered before, is older than five minutes, or is not this person's. "
            "Begin anew."
        )


async def make(work: Work, purpose: str, account_id: UUID | None, *, epoch: int | None = None) -> PasskeyChallenge:
    """Make a challenge. Some of those that nobody answered in time are forgotten on the way.

    Raises:
        TooManyRequests: as many sign-ins as may be are under way.
    """
    await _forget_stale(work)
    if purpose == SIGN_IN:
        await _check_room(work)
    made = PasskeyChallenge(
        tenant_id=work.tenant.id,
        id=uuid4(),
        purpose=purpose,
        account_id=account_id,
        epoch=epoch,
        challenge=secrets.token_bytes(32),
        expires_at=work.now + PATIENCE,
    )
    work.db.add(made)
    return made


async def spend(work: Work, challenge_id: UUID, purpose: str) -> PasskeyChallenge | None:
    """Take a challenge away, so that of two who answer it at the same moment one finds it; None for the other.

    Where what follows is refused and undone, the challenge is back; `drop` it then.
    """
    return await work.db.scalar(
        _gone(work, challenge_id).where(PasskeyChallenge.purpose == purpose, PasskeyChallenge.expires_at > work.now)
    )


async def drop(work: Work, challenge_id: UUID) -> None:
    """Make sure that nobody answers this challenge any more."""
    await work.db.execute(_gone(work, challenge_id))


def _gone(work: Work, challenge_id: UUID) -> ReturningDelete[PasskeyChallenge]:
    return (
        delete(PasskeyChallenge)
        .where(PasskeyChallenge.tenant_id == work.tenant.id, PasskeyChallenge.id == challenge_id)
        .returning(PasskeyChallenge)
        .execution_options(synchronize_session=False)
    )


def seal(sealer: Sealer, workspace: str) -> tuple[str, bytes]:
    """Make a challenge for a sign-in to the console that is kept nowhere: as sealed text, and what is to be signed."""
    challenge = secrets.token_bytes(32)
    said = {
        "id": str(uuid4()),
        "for": f"{_CONSOLE} {workspace}",
        "challenge": challenge.hex(),
        "until": (datetime.now(UTC) + PATIENCE).isoformat(),
    }
    return sealer.seal(json.dumps(said).encode()), challenge


def unseal(sealer: Sealer, text: str, workspace: str) -> SignInChallenge | None:
    """The challenge that comes back; None if it is none of ours, another workspace's or too old."""
    if len(text) > _LONGEST_SEALED:
        return None
    try:
        opened: object = json.loads(sealer.open(text))
    except (CannotOpen, ValueError):
        return None
    said = cast("dict[str, Any]", opened) if isinstance(opened, dict) else {}
    if said.get("for") != f"{_CONSOLE} {workspace}":  # what else is sealed under these keys says something else
        return None
    until = datetime.fromisoformat(said["until"])
    if until <= datetime.now(UTC):
        return None
    return SignInChallenge(UUID(said["id"]), bytes.fromhex(said["challenge"]), sealed=True, expires_at=until)


async def remember_answered(work: Work, begun: SignInChallenge) -> bool:
    """Remember that a sealed challenge was answered; False for whoever comes second, who waits for the first."""
    await _forget_stale(work)
    statement = (
        insert(PasskeyChallenge)
        .values(
            tenant_id=work.tenant.id,
            id=begun.id,
            purpose=ANSWERED,
            challenge=b"",
            expires_at=begun.expires_at,
        )
        .on_conflict_do_nothing(index_elements=[PasskeyChallenge.tenant_id, PasskeyChallenge.id])
        .returning(PasskeyChallenge.id)
    )
    return await work.db.scalar(statement) is not None


async def _check_room(work: Work) -> None:
    """Refuse beyond the limit. Those who come at the same moment may pass it by a few: nobody waits for a count."""
    live = (
        select(PasskeyChallenge.expires_at)
        .where(
            PasskeyChallenge.tenant_id == work.tenant.id,
            PasskeyChallenge.purpose == SIGN_IN,
            PasskeyChallenge.expires_at > work.now,
        )
        .order_by(PasskeyChallenge.expires_at)
        .limit(MOST_SIGN_INS)
        .subquery()
    )
    number, first = (await work.db.execute(select(func.count(), func.min(live.c.expires_at)).select_from(live))).one()
    if number >= MOST_SIGN_INS:
        msg = f"{MOST_SIGN_INS} sign-ins with passkeys have begun and are not finished; try again in a while."
        raise TooManyRequests(msg, retry_after=math.ceil((first - work.now).total_seconds()))


async def _forget_stale(work: Work) -> None:
    """Two who come at the same moment pass each other by."""
    stale = (
        select(PasskeyChallenge.id)
        .where(PasskeyChallenge.tenant_id == work.tenant.id, PasskeyChallenge.expires_at <= work.now)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await work.db.execute(
        delete(PasskeyChallenge)
        .where(PasskeyChallenge.tenant_id == work.tenant.id, PasskeyChallenge.id.in_(stale))
        .execution_options(synchronize_session=False)
    )
