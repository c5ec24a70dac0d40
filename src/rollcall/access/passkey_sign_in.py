"""Signing in with a passkey: a challenge, the answer an authenticator signed, and the session that opens.

A challenge is good once, whatever comes of it. Why an answer opens nothing is said to nobody.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from rollcall.access import authenticators, challenges, sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.authenticators import Assertion, RelyingParty
from rollcall.access.challenges import SignInChallenge
from rollcall.access.models import Account, Passkey
from rollcall.access.passkeys import Begun
from rollcall.access.sessions import NewSession, Purpose
from rollcall.errors import PersonInactive, Refusal
from rollcall.functions import qualified
from rollcall.journal.events import PasskeyCopied
from rollcall.journal.record import record
from rollcall.work import Fleet, TenantRef, Work

_TENANT_OF = text(qualified("SELECT id, slug FROM fn.tenant_of_passkey(:credential, :account)"))


@dataclass(frozen=True, slots=True)
class Copied:
    """A passkey whose signature was right and whose count went backwards (WebAuthn §6.1.1)."""

    account_id: UUID
    event: PasskeyCopied


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


async def begin(work: Work, party: RelyingParty, account_id: UUID | None = None) -> Begun:
    """Start a sign-in: by this person, who need not exist, or by whoever the authenticator says it is.

    The options are alike for everybody. They name no passkey: the authenticator finds those of the domain by itself.

    Raises:
        TooManyRequests: as many sign-ins as may be are under way.
    """
    begun = await challenges.make(work, challenges.SIGN_IN, account_id)
    options = authenticators.sign_in_options(party, challenge=begun.challenge, milliseconds=challenges.MILLISECONDS)
    return Begun(begun.id, options)


async def finish(
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


async def tenant_of(fleet: Fleet, assertion: Assertion | None) -> TenantRef | None:
    """The tenant in which a passkey is whose it says; one statement, whatever was read, and nothing is believed yet."""
    credential = b"" if assertion is None else assertion.credential_id
    account = (None if assertion is None else assertion.account_id) or UUID(int=0)
    row = (await fleet.db.execute(_TENANT_OF, {"credential": credential, "account": account})).one_or_none()
    return None if row is None else TenantRef(row.id, row.slug)


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


async def prove(
    work: Work, party: RelyingParty, account_id: UUID, *, begun: SignInChallenge | None, answer: dict[str, Any]
) -> None:
    """Make sure that a passkey of this person signed a sealed challenge, once; nothing opens.

    Raises:
        SignInRefused: whatever of it is not right.
    """
    account = await _verified(work, party, begun, answer)
    if account.id != account_id:
        raise SignInRefused


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
    account = await _verified(work, party, begun, answer)
    return await sessions.open_session(work, account.id, lifetime=lifetime, label=label, purpose=purpose)


async def _verified(work: Work, party: RelyingParty, begun: SignInChallenge | None, answer: dict[str, Any]) -> Account:
    """Whose passkey signed; it has counted, and a sealed challenge is remembered."""
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
    return account


async def after_refusal(work: Work, challenge_id: UUID, refusal: Refusal) -> None:
    """What stays of a second half that was refused and undone: its challenge is spent, a copied passkey is recorded."""
    await challenges.drop(work, challenge_id)
    await _record_copy(work, refusal)


async def after_console_refusal(work: Work, begun: SignInChallenge | None, refusal: Refusal) -> None:
    """The same for a sealed challenge. Only a right answer could be of use to whoever repeats it, so it is remembered.

    Strangers, who have none, leave nothing behind.
    """
    if begun is not None and (not isinstance(refusal, SignInRefused) or refusal.copied is not None):
        await challenges.remember_answered(work, begun)
    await _record_copy(work, refusal)


async def _record_copy(work: Work, refusal: Refusal) -> None:
    if isinstance(refusal, SignInRefused) and refusal.copied is not None:
        event = refusal.copied.event
        await record(work, event, account_id=refusal.copied.account_id, target=str(event.passkey_id))


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
