"""Operators' passkeys: one is made on the visit that an invitation opens, and signs in from then on.

A challenge is sealed, and kept nowhere: its id becomes the session's or the passkey's, so it is answered once.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from rollcall.access import authenticators, challenges, operator_sessions, operators
from rollcall.access.authenticators import Made, RelyingParty
from rollcall.access.challenges import ChallengeSpent, SignInChallenge
from rollcall.access.models import Operator, OperatorPasskey, OperatorSession
from rollcall.access.operator_sessions import Opened, OperatorNotSignedIn, SignedInOperator
from rollcall.access.passkey_sign_in import SignInRefused
from rollcall.access.passkeys import MOST_LIVE, NoPasskeyMade
from rollcall.crypto import Sealer
from rollcall.errors import Taken, TooMany
from rollcall.journal.operator_events import OperatorPasskeyCopied, OperatorPasskeyRegistered
from rollcall.journal.record import record_for_installation
from rollcall.work import Fleet

_KEPT = timedelta(days=30)
_FORGOTTEN_AT_ONCE = 100
_SIGN_IN = "/operators"
"""What a challenge is sealed for, where others have a workspace's slug; no slug has a slash."""


async def begin_registration(
    fleet: Fleet, party: RelyingParty, sealer: Sealer, somebody: SignedInOperator
) -> tuple[str, dict[str, Any]]:
    """Start making a passkey; returns the sealed challenge and what the browser is given."""
    sealed, challenge = challenges.seal(sealer, _registering(somebody.operator_id))
    present = await fleet.db.scalars(
        select(OperatorPasskey.credential_id).where(
            OperatorPasskey.operator_id == somebody.operator_id, OperatorPasskey.closed_at.is_(None)
        )
    )
    options = authenticators.registration_options(
        party,
        challenge=challenge,
        person=somebody.operator_id,
        user_name=somebody.name,
        known=present.all(),
        milliseconds=challenges.MILLISECONDS,
    )
    return sealed, options


async def finish_registration(
    fleet: Fleet,
    party: RelyingParty,
    sealer: Sealer,
    somebody: SignedInOperator,
    *,
    sealed: str,
    answer: dict[str, Any],
    label: str | None,
) -> Opened:
    """Keep the passkey that an operator's authenticator made, and sign them in; the visit for that is over.

    Raises:
        OperatorNotSignedIn: the visit has ended, or they are no operator any more, or have another role.
        ChallengeSpent: the challenge is none, too old, or not theirs.
        NoPasskeyMade: the authenticator's answer is not right.
        Taken: this passkey was registered before.
        TooMany: they have 20.
    """
    operator = await operators.locked(fleet, somebody.operator_id)
    if operator is None or not await operator_sessions.spent(
        fleet, somebody.key, operator, "registration", "registered"
    ):
        raise OperatorNotSignedIn(ended=True)
    begun = challenges.unseal(sealer, sealed, _registering(operator.id))
    if begun is None:
        raise ChallengeSpent
    made = authenticators.made_passkey(party, begun.challenge, answer)
    if made is None:
        raise NoPasskeyMade
    kept = await _keep(fleet, operator, begun.id, made, label)
    registered = OperatorPasskeyRegistered(operator_id=operator.id, passkey_id=kept, label=label)
    await operator_sessions.record_as(fleet, operator, registered)
    return await operator_sessions.open_console(fleet, operator, uuid4(), label)


def begin_sign_in(party: RelyingParty, sealer: Sealer) -> tuple[str, dict[str, Any]]:
    """Start a sign-in: the sealed challenge and what the browser is given, alike for everybody."""
    sealed, challenge = challenges.seal(sealer, _SIGN_IN)
    return sealed, authenticators.sign_in_options(party, challenge=challenge, milliseconds=challenges.MILLISECONDS)


def challenge_of(sealer: Sealer, sealed: str) -> SignInChallenge | None:
    """The challenge of a sign-in that comes back; None if it is none of ours or too old."""
    return challenges.unseal(sealer, sealed, _SIGN_IN)


async def sign_in(
    fleet: Fleet, party: RelyingParty, begun: SignInChallenge | None, answer: dict[str, Any], *, label: str | None
) -> Opened:
    """Open a session for whoever holds the passkey that signed a sealed challenge, once.

    Raises:
        CopiedPasskey: the signature is right, and the passkey's count was not above the last one.
        SignInRefused: whatever else of it is not right.
    """
    assertion = authenticators.read_assertion(answer)
    if begun is None or assertion is None:
        raise SignInRefused
    theirs = OperatorPasskey.credential_id == assertion.credential_id
    operator_id = await fleet.db.scalar(select(OperatorPasskey.operator_id).where(theirs))
    operator = None if operator_id is None else await operators.locked(fleet, operator_id)
    if operator is None or not assertion.is_of(operator.id, has_to_say=True):
        raise SignInRefused
    passkey = await fleet.db.scalar(select(OperatorPasskey).where(theirs).with_for_update())
    if passkey is None or passkey.closed_at is not None:
        raise SignInRefused
    count = authenticators.signed_count(party, begun.challenge, assertion, passkey.public_key)
    if count is None:
        raise SignInRefused
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        raise CopiedPasskey(OperatorPasskeyCopied(operator_id=operator.id, passkey_id=passkey.id))
    passkey.sign_count = count
    passkey.last_used_at = fleet.now
    await _forget_ended(fleet)
    return await operator_sessions.open_console(fleet, operator, begun.id, label)


class CopiedPasskey(SignInRefused):
    """There are two of a passkey; to whoever shows one it is refused like any other (WebAuthn §6.1.1)."""

    def __init__(self, event: OperatorPasskeyCopied) -> None:
        super().__init__()
        self.event = event


async def record_copy(fleet: Fleet, refusal: CopiedPasskey) -> None:
    """Write down that a passkey was copied, after what came of it was undone."""
    await record_for_installation(fleet, refusal.event, target=str(refusal.event.operator_id))


async def _keep(fleet: Fleet, operator: Operator, passkey_id: UUID, made: Made, label: str | None) -> UUID:
    live = select(OperatorPasskey.id).where(
        OperatorPasskey.operator_id == operator.id, OperatorPasskey.closed_at.is_(None)
    )
    if len((await fleet.db.scalars(live.limit(MOST_LIVE))).all()) >= MOST_LIVE:
        raise TooMany("passkeys", MOST_LIVE)
    kept = await fleet.db.scalar(
        insert(OperatorPasskey)
        .values(
            id=passkey_id,
            operator_id=operator.id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=[*made.transports],
            aaguid=made.aaguid,
            label=label,
            created_at=fleet.now,
        )
        .on_conflict_do_nothing()
        .returning(OperatorPasskey.id)
    )
    if kept is None:
        msg = "This passkey is registered here already, or was; have the authenticator make a new one."
        raise Taken(msg, param="credential")
    return kept


def _registering(operator_id: UUID) -> str:
    return f"{_SIGN_IN}/{operator_id}/register"


async def _forget_ended(fleet: Fleet) -> None:
    """Forget some sessions that ended long ago; two who come at the same moment pass each other by."""
    old = (
        select(OperatorSession.id)
        .where(OperatorSession.expires_at < fleet.now - _KEPT)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await fleet.db.execute(
        delete(OperatorSession).where(OperatorSession.id.in_(old)).execution_options(synchronize_session=False)
    )
