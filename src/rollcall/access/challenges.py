"""Challenges: what an authenticator is to sign; made for one purpose, kept for five minutes, answered once."""

import math
import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.sql.dml import ReturningDelete

from rollcall.access.models import PasskeyChallenge
from rollcall.errors import Conflict, TooManyRequests
from rollcall.work import Work

PATIENCE = timedelta(minutes=5)
MILLISECONDS = int(PATIENCE.total_seconds()) * 1000

MOST_SIGN_INS = 5_000
"""Sign-ins of one tenant that may be under way; anybody can begin one, so this is what they can fill the disk with."""

_FORGOTTEN_AT_ONCE = 100

REGISTRATION = "registration"
SIGN_IN = "sign_in"


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
