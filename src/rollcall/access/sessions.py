"""Sessions: opened for a person who may come in, closed with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Session
from rollcall.crypto import TokenKind, digest, new_token
from rollcall.errors import Forbidden, Invalid, NotFound
from rollcall.journal.events import SessionClosed, SessionOpened
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.work import Work

LONGEST = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it is handed out once: the row and the text the product keeps in its cookie."""

    row: Session
    text: str


async def open_session(work: Work, account_id: UUID, *, lifetime: timedelta, label: str | None = None) -> NewSession:
    """Open a session for a person. Its text is returned in clear here and nowhere else.

    Raises:
        Invalid: the lifetime is not between one second and 90 days.
        NotFound: this tenant has no such person.
        PersonInactive: they may not come in.
        Forbidden: the tenant is suspended.
    """
    if not timedelta(seconds=1) <= lifetime <= LONGEST:
        msg = f"lifetime: choose 1 second to {LONGEST.days} days"
        raise Invalid(msg)
    if (await tenants.own(work)).status != "active":
        msg = "This tenant is suspended; its sessions are not good, and none is opened, until it is resumed."
        raise Forbidden(msg)
    account = await locked_for_issuing(work, account_id)
    session_id = uuid4()
    opened_by = new_token(TokenKind.SESSION, work.tenant.id, session_id)
    row = Session(
        tenant_id=work.tenant.id,
        id=session_id,
        account_id=account.id,
        epoch=account.epoch,
        digest=digest(opened_by),
        label=label,
        created_at=work.now,
        expires_at=work.now + lifetime,
    )
    work.db.add(row)
    await record(work, SessionOpened(session_id=session_id), account_id=account.id, target=str(session_id))
    return NewSession(row, opened_by)


async def close(work: Work, session_id: UUID) -> None:
    """Close one session, from the commit on. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant has no such session.
    """
    session = await work.db.scalar(
        select(Session).where(Session.tenant_id == work.tenant.id, Session.id == session_id).with_for_update()
    )
    if session is None:
        raise NotFound("session")
    if session.closed_at is None:
        session.closed_at = work.now
        session.closed_because = "closed"
        await record(work, SessionClosed(session_id=session_id), account_id=session.account_id, target=str(session_id))


async def of_person(work: Work, account_id: UUID) -> Sequence[Session]:
    """A person's open sessions, newest first."""
    return (
        await work.db.scalars(
            select(Session)
            .where(
                Session.tenant_id == work.tenant.id,
                Session.account_id == account_id,
                Session.closed_at.is_(None),
                Session.expires_at > work.now,
            )
            .order_by(Session.created_at.desc())
            .limit(500)
        )
    ).all()
