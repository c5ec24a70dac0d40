"""Passkeys (WebAuthn): registered for a person who may come in, closed with them; `passkey_sign_in` opens sessions.

Each ceremony has two halves. The first hands out a challenge; the second takes what the person's authenticator made of
it. A challenge is spent by the second half, whatever comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from rollcall import paging
from rollcall.access import authenticators, challenges
from rollcall.access.accounts import lock_name, locked_for_issuing
from rollcall.access.authenticators import Made, RelyingParty
from rollcall.access.challenges import ChallengeSpent
from rollcall.access.models import Account, Passkey
from rollcall.errors import NotFound, Refusal, Taken, TooMany
from rollcall.journal.events import PasskeyClosed, PasskeyRegistered
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
    await lock_name(work, f"passkeys {account.id}")
    if len(await of_person(work, account.id)) >= MOST_LIVE:
        raise TooMany("passkeys", MOST_LIVE)
    passkey = await _keep(work, account, made, label)
    event = PasskeyRegistered(passkey_id=passkey.id, label=label)
    await record(work, event, account_id=account.id, target=str(passkey.id))
    return passkey


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
