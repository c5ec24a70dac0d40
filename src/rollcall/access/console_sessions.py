"""Who is signed in to the console: asked of PostgreSQL on every request, so that leaving counts at the next one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from rollcall.access import statements
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Session
from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.db import Pool
from rollcall.errors import NotFound, PersonInactive, Refusal
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
        return Actor(ActorKind.PERSON, self.user_name, self.session_id, self.account_id, self.key)


class NotSignedIn(Refusal):
    """Nobody is signed in, or not any more."""

    status = 403
    code = "not_signed_in"
    advice = "Sign in to the console."

    def __init__(self, *, ended: bool) -> None:
        super().__init__("Your session has ended. Sign in again." if ended else "Sign in first.")
        self.ended = ended


async def who(pool: Pool, shown: str | None) -> SignedIn:
    """Who the session that somebody shows belongs to.

    Raises:
        NotSignedIn: it is none of the console's, or not good any more.
    """
    if not shown:
        raise NotSignedIn(ended=False)
    token = read_token(shown)
    if token is None or token.kind is not TokenKind.SESSION:
        raise NotSignedIn(ended=True)
    row = await statements.console_session(pool, token)
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
