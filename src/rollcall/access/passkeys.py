"""Passkeys (WebAuthn): registered for a person who may come in, good for opening sessions, closed with them.

Each ceremony has two halves. The first hands out a challenge; the second takes what the person's authenticator made of
it. A challenge is spent by the second half, whatever comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from rollcall import paging
from rollcall.access import authenticators, challenges, sessions
from rollcall.access.accounts import lock_turn, locked_for_issuing
from rollcall.access.authenticators import Assertion, Made, RelyingParty
from rollcall.access.challenges import ChallengeSpent, SignInChallenge
from rollcall.access.models import Account, Passkey
from rollcall.access.sessions import NewSession, Purpose
from rollcall.errors import NotFound, PersonInactive, Refusal, Taken, TooMany
from rollcall.journal.events import PasskeyClosed, PasskeyCopied, PasskeyRegistered
from rollcall.journal.record import record
from rollcall.paging import Page
from rollcall.work import Work

MOST_LIVE = 20
"""Live passkeys a person may have."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The first half of a ceremony: the challenge's id, and what the browser's credentials API is given."""

    id: UUID
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copied:
    """A passkey whose signature was right and whose count went backwards (WebAuthn §6.1.1)."""

    account_id: UUID
    event: PasskeyCopied


class NoPasskeyMade(Refusal):
    """What the authenticator made can't be trusted to be a passkey of this person."""

    code = "no_passkey"
    param = "credential"
    advice = (
        "Begin anew; if it stays, compare the page's address with ROLLCALL_PASSKEY_RP_ID and ROLLCALL_PASSKEY_ORIGINS."
    )

    def __init__(self) -> None:
        super().__init__(
            "credential: the answer does not fit the challenge, the domain or the page's address (see "
            "ROLLCALL_PASSKEY_RP_ID and ROLLCALL_PASSKEY_ORIGINS), or nobody was verified. Begin anew."
        )


class SignInRefused(Refusal):
    """No session for this answer. Why is not told, so that nobody learns who there is and what they have."""

    status = 403
    code = "sign_in_refused"
    advice = "Begin anew; if that is refused too, sign in another way and register a new passkey."

    def __init__(self, copied: Copied | None = None) -> None:
        super().__init__(
            "This passkey opens nothing here, or the answer comes too late. Begin anew; if that is refused too, sign "
            "in another way and register a new passkey."
        )
        self.copied = copied


async def begin_registration(work: Work, party: RelyingParty, account_id: UUID) -> Begun:
    """Start making a passkey for a person.

    Raises:
        NotFound, PersonInactive: they can't be given one.
        TooMany: they have 20.
    """
    account = await locked_for_issuing(work, account_id)
    present = await of_person(work, account.id)
    if len(present) >= MOST_LIVE:
        raise TooMany("passkeys", MOST_LIVE)
    begun = await challenges.make(work, challenges.REGISTRATION, account.id, epoch=account.epoch)
    options = authenticators.registration_options(
        party,
        challenge=begun.challenge,
        person=account.id,
        user_name=account.user_name,
        known=[passkey.credential_id for passkey in present],
        milliseconds=challenges.MILLISECONDS,
    )
    return Begun(begun.id, options)


async def finish_registration(
    work: Work,
    party: RelyingParty,
    account_id: UUID,
    *,
    challenge_id: UUID,
    answer: dict[str, Any],
    label: str | None = None,
) -> Passkey:
    """Keep the passkey that a person's authenticator made.

    Raises:
        ChallengeSpent: it is not one of a registration of theirs, or they left since it began.
        NoPasskeyMade: the authenticator's answer is not right.
        NotFound, PersonInactive: they can't be given one.
        Taken: this passkey was registered before, perhaps by somebody else, perhaps closed since.
        TooMany: they have 20.
    """
    begun = await challenges.spend(work, challenge_id, challenges.REGISTRATION)
    if begun is None or begun.account_id != account_id:
        raise ChallengeSpent
    account = await locked_for_issuing(work, account_id)
    if begun.epoch != account.epoch:
        raise ChallengeSpent
    made = authenticators.made_passkey(party, begun.challenge, answer)
    if made is None:
        raise NoPasskeyMade
    await lock_turn(work, f"passkeys {account.id}")
    if len(await of_person(work, account.id)) >= MOST_LIVE:
        raise TooMany("passkeys", MOST_LIVE)
    passkey = await _keep(work, account, made, label)
    event = PasskeyRegistered(passkey_id=passkey.id, label=label)
    await record(work, event, account_id=account.id, target=str(passkey.id))
    return passkey


async def begin_sign_in(work: Work, party: RelyingParty, account_id: UUID | None = None) -> Begun:
    """Start a sign-in: by this person, who need not exist, or by whoever the authenticator says it is.

    The options are alike for everybody. They name no passkey: the authenticator finds those of the domain by itself.

    Raises:
        TooManyRequests: as many sign-ins as may be are under way.
    """
    begun = await challenges.make(work, challenges.SIGN_IN, account_id)
    options = authenticators.sign_in_options(party, challenge=begun.challenge, milliseconds=challenges.MILLISECONDS)
    return Begun(begun.id, options)


async def finish_sign_in(
    work: Work,
    party: RelyingParty,
    *,
    challenge_id: UUID,
    answer: dict[str, Any],
    lifetime: timedelta,
    label: str | None = None,
) -> NewSession:
    """Open a session of the product for whoever holds the passkey that signed a challenge that is kept.

    Raises:
        SignInRefused: whatever of it is not right.
        Invalid, Forbidden: as `sessions.open_session` says.
    """
    kept = await challenges.spend(work, challenge_id, challenges.SIGN_IN)
    begun = None if kept is None else SignInChallenge(kept.id, kept.challenge, kept.account_id)
    return await _sign_in(work, party, begun, answer, lifetime=lifetime, label=label, purpose=Purpose.PRODUCT)


async def enter_console(
    work: Work,
    party: RelyingParty,
    *,
    begun: SignInChallenge | None,
    answer: dict[str, Any],
    lifetime: timedelta,
    label: str | None = None,
) -> NewSession:
    """Open a session of the console for whoever holds the passkey that signed a sealed challenge, once.

    *begun* is what was sealed, None if it was not right. The steps are the same then, and where there is nobody.

    Raises:
        SignInRefused: whatever of it is not right.
        Forbidden: as `sessions.open_session` says.
    """
    return await _sign_in(work, party, begun, answer, lifetime=lifetime, label=label, purpose=Purpose.CONSOLE)


async def _sign_in(
    work: Work,
    party: RelyingParty,
    begun: SignInChallenge | None,
    answer: dict[str, Any],
    *,
    lifetime: timedelta,
    label: str | None,
    purpose: Purpose,
) -> NewSession:
    assertion = authenticators.read_assertion(answer)
    if begun is None or assertion is None:
        raise SignInRefused
    account, passkey = await _good(work, assertion, begun)
    count = authenticators.signed_count(party, begun.challenge, assertion, passkey.public_key)
    if count is None:
        raise SignInRefused
    if begun.sealed and not await challenges.remember_answered(work, begun):
        raise SignInRefused
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        event = PasskeyCopied(passkey_id=passkey.id, counted=count, expected_above=passkey.sign_count)
        raise SignInRefused(Copied(account.id, event))
    passkey.sign_count = count
    passkey.last_used_at = work.now
    return await sessions.open_session(work, account.id, lifetime=lifetime, label=label, purpose=purpose)


async def after_refusal(work: Work, challenge_id: UUID, refusal: Refusal) -> None:
    """What stays of a second half that was refused and undone: its challenge is spent, a copied passkey is told of."""
    await challenges.drop(work, challenge_id)
    await _tell_of_a_copy(work, refusal)


async def after_console_refusal(work: Work, begun: SignInChallenge | None, refusal: Refusal) -> None:
    """The same for a sealed challenge. Only a right answer could be of use to whoever repeats it, so it is remembered.

    Strangers, who have none, leave nothing behind.
    """
    if begun is not None and (not isinstance(refusal, SignInRefused) or refusal.copied is not None):
        await challenges.remember_answered(work, begun)
    await _tell_of_a_copy(work, refusal)


async def _tell_of_a_copy(work: Work, refusal: Refusal) -> None:
    if isinstance(refusal, SignInRefused) and refusal.copied is not None:
        event = refusal.copied.event
        await record(work, event, account_id=refusal.copied.account_id, target=str(event.passkey_id))


async def of_person(work: Work, account_id: UUID) -> Sequence[Passkey]:
    """A person's live passkeys, newest first."""
    return (await work.db.scalars(_live(work, account_id).order_by(Passkey.created_at.desc()))).all()


async def page(work: Work, account_id: UUID, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Passkey]:
    """Some of a person's live passkeys, newest first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    by = (Passkey.created_at, Passkey.id)
    return await paging.page(work.db, _live(work, account_id), *by, limit=limit, cursor=cursor, descending=True)


async def close(work: Work, account_id: UUID, passkey_id: UUID) -> None:
    """Close one of a person's passkeys, from the commit on. Doing it twice is the same as doing it once.

    Raises:
        NotFound: the person has no such passkey.
    """
    passkey = await work.db.scalar(
        select(Passkey)
        .where(Passkey.tenant_id == work.tenant.id, Passkey.id == passkey_id, Passkey.account_id == account_id)
        .with_for_update()
    )
    if passkey is None:
        raise NotFound("passkey")
    if passkey.closed_at is None:
        passkey.closed_at = work.now
        passkey.closed_because = "closed"
        event = PasskeyClosed(passkey_id=passkey.id, label=passkey.label)
        await record(work, event, account_id=account_id, target=str(passkey.id))


async def _good(work: Work, assertion: Assertion, begun: SignInChallenge) -> tuple[Account, Passkey]:
    """Whose passkey is said to have signed, and the passkey, both held: the account first, as a deactivation does."""
    theirs = Passkey.tenant_id == work.tenant.id, Passkey.credential_id == assertion.credential_id
    account_id = await work.db.scalar(select(Passkey.account_id).where(*theirs))
    if account_id is None or begun.account_id not in (None, account_id):
        raise SignInRefused
    try:
        account = await locked_for_issuing(work, account_id)
    except PersonInactive:
        raise SignInRefused from None
    passkey = await work.db.scalar(select(Passkey).where(*theirs).with_for_update())
    if passkey is None or passkey.closed_at is not None or passkey.epoch != account.epoch:
        raise SignInRefused
    if not assertion.is_of(account.id, has_to_say=begun.account_id is None):
        raise SignInRefused
    return account, passkey


async def _keep(work: Work, account: Account, made: Made, label: str | None) -> Passkey:
    """Write the row; the index decides who is first, when two register one passkey at the same moment."""
    kept = await work.db.scalar(
        insert(Passkey)
        .values(
            tenant_id=work.tenant.id,
            id=uuid4(),
            account_id=account.id,
            epoch=account.epoch,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=[*made.transports],
            aaguid=made.aaguid,
            label=label,
            created_at=work.now,
        )
        .on_conflict_do_nothing(index_elements=[Passkey.tenant_id, Passkey.credential_id])
        .returning(Passkey)
    )
    if kept is None:
        msg = "This passkey is registered here already, or was; have the authenticator make a new one."
        raise Taken(msg, param="credential")
    return kept


def _live(work: Work, account_id: UUID) -> Select[Passkey]:
    return select(Passkey).where(
        Passkey.tenant_id == work.tenant.id, Passkey.account_id == account_id, Passkey.closed_at.is_(None)
    )
