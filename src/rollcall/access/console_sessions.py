"""Who is signed in to the console: asked of PostgreSQL on every request, so that leaving counts at the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from rollcall.access import statements
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Session
from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.db import Pool
from rollcall.errors import NotFound, PersonInactive, Refusal
from rollcall.journal.console_events import ConsoleConfirmed
from rollcall.journal.record import record
from rollcall.work import Actor, ActorKind, TenantRef, Work

LIFETIME = timedelta(hours=12)
"""How long a session of the console is good for: a working day, and no night."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody in the console, as they stand at this moment."""

    key: TokenText
    """The session as its cookie shows it."""
    account_id: UUID
    tenant: TenantRef
    tenant_name: str
    user_name: str
    role: str
    """What the tenant calls the role they have now."""
    opened_at: datetime
    expires_at: datetime
    is_admin: bool
    intent: str | None
    """The one thing they came for, if a portal link let them in; None for a session of the whole console."""
    return_url: str | None
    """Where the portal leads back to."""
    proved_at: datetime
    """When they last proved who they are: as they signed in, opened the link, or were asked again."""
    contact: str | None
    """Whom the link was for that somebody without an account came by; what they do is in the account's name."""

    @property
    def session_id(self) -> UUID:
        """The session's id."""
        return self.key.id

    @property
    def is_looking(self) -> bool:
        """Whether they see all of it and change nothing, being no person of the tenant's."""
        return False

    @property
    def actor(self) -> Actor:
        """Who the audit names for what they do."""
        name = self.user_name if self.contact is None else f"{self.contact}, by a link of {self.user_name}"
        return Actor(ActorKind.PERSON, name, self.session_id, self.account_id, self.key)

    def is_fresh(self, within: timedelta) -> bool:
        """Whether they have proved who they are no longer ago than that."""
        return datetime.now(UTC) - self.proved_at < within


class NotSignedIn(Refusal):
    """Nobody is signed in, or not any more."""

    status = 403
    code = "not_signed_in"
    advice = "Sign in to the console."

    def __init__(self, *, ended: bool) -> None:
        super().__init__("Your session has ended. Sign in again." if ended else "Sign in first.")
        self.ended = ended


class NotFresh(Refusal):
    """Something that wants a sign-in that is not long ago; *act* is its address, *fields* what its form said."""

    status = 403
    code = "not_fresh"
    advice = "Confirm who you are on the page that asks for it, and go on."

    def __init__(self, act: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__("Confirm that it is you before you go on.")
        self.act, self.fields = act, fields


async def who(pool: Pool, shown: str | None, *, idle: timedelta, sees: bool = True) -> SignedIn:
    """Who the session that somebody shows belongs to. It ends when it is not used for as long as *idle*.

    Without *sees* it does not count as used: nobody does anything.

    Raises:
        NotSignedIn: it is none of the console's, or not good any more.
    """
    if not shown:
        raise NotSignedIn(ended=False)
    token = read_token(shown)
    if token is None or token.kind is not TokenKind.SESSION:
        raise NotSignedIn(ended=True)
    row = await statements.console_session(pool, token, idle, sees=sees)
    if row is None:
        raise NotSignedIn(ended=True)
    return SignedIn(
        key=token,
        account_id=row["account_id"],
        tenant=TenantRef(token.tenant_id, row["slug"]),
        tenant_name=row["tenant_name"],
        user_name=row["user_name"],
        role=row["role"],
        opened_at=row["opened_at"],
        expires_at=row["expires_at"],
        is_admin=row["is_admin"],
        intent=row["intent"],
        return_url=row["return_url"],
        proved_at=row["proved_at"],
        contact=None if row["link_id"] is None else row["label"],
    )


async def hold(work: Work, somebody: SignedIn) -> None:
    """Make sure that somebody is signed in, and keep them from leaving until this work is committed.

    Raises:
        NotSignedIn: they left, or the session was closed, after `who` was asked.
    """
    try:
        account = await locked_for_issuing(work, somebody.account_id)
    except (NotFound, PersonInactive):
        raise NotSignedIn(ended=True) from None
    still = await work.db.scalar(
        select(Session.id).where(
            Session.tenant_id == work.tenant.id,
            Session.id == somebody.session_id,
            Session.epoch == account.epoch,
            Session.closed_at.is_(None),
        )
    )
    if still is None:
        raise NotSignedIn(ended=True)


async def prove(work: Work, somebody: SignedIn, way: str) -> None:
    """Note that somebody has proved who they are again; *way* says by what."""
    await work.db.execute(
        update(Session)
        .where(Session.tenant_id == work.tenant.id, Session.id == somebody.session_id)
        .values(proved_at=work.now)
        .execution_options(synchronize_session=False)
    )
    event = ConsoleConfirmed(session_id=somebody.session_id, way=way)
    await record(work, event, account_id=somebody.account_id, target=str(somebody.session_id))
