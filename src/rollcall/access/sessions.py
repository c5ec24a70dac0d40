"""Sessions: opened for a person who may come in, closed with them.

Most are the product's. The console's own are rows of the same table, and so is the code that opens one of those: one
door closes them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select, text

from rollcall import paging
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Account, Session
from rollcall.crypto import TokenKind, digest, new_token
from rollcall.errors import Forbidden, Invalid, NotFound
from rollcall.journal.console_events import (
    ConsoleCodeWithdrawn,
    ConsoleSignedIn,
    ConsoleSignedOut,
    ContactLinkWithdrawn,
    PortalLeft,
    PortalLinkWithdrawn,
)
from rollcall.journal.event import Event
from rollcall.journal.events import SessionClosed, SessionOpened
from rollcall.journal.record import record
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.work import Actor, ActorKind, Work

LONGEST = timedelta(days=90)

MOST_OF_CONSOLE = 20
"""Open sessions of the console, and of the portal, that a person may have; with one more the oldest is closed."""


OF_CONSOLE = text("sessions.purpose <> 'product'")
"""Written out, as it stands in the predicate of an index: a plan kept for any value could not use that."""


class Purpose(StrEnum):
    """What a session opens. Only a product's is known to introspection, only the others to the console."""

    PRODUCT = "product"
    CONSOLE = "console"
    CONSOLE_CODE = "console_code"
    PORTAL = "portal"
    """The console, for one intent, opened by a link of the product's."""
    PORTAL_LINK = "portal_link"
    """That link."""
    CONTACT_LINK = "contact_link"
    """A link that opens sessions of the portal for somebody without an account, until its end."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it is handed out once: the row and the text the product keeps in its cookie."""

    row: Session
    text: str


async def open_session(
    work: Work,
    account_id: UUID,
    *,
    lifetime: timedelta,
    label: str | None = None,
    purpose: Purpose = Purpose.PRODUCT,
    code_id: UUID | None = None,
    way: str = "passkey",
) -> NewSession:
    """Open a session for a person. Its text is returned in clear here and nowhere else.

    A session of the console is opened by the person themself; *way* says by what, the code *code_id* by which.

    Raises:
        Invalid: the lifetime is not between one second and 90 days.
        NotFound: this tenant has no such person.
        PersonInactive: they may not come in.
        Forbidden: the tenant is suspended.
    """
    if not timedelta(seconds=1) <= lifetime <= LONGEST:
        msg = f"lifetime: choose 1 second to {LONGEST.days} days"
        raise Invalid(msg, param="lifetime_seconds")
    await check_tenant(work)
    account = await locked_for_issuing(work, account_id)
    session_id = uuid4()
    opened_by = new_token(TokenKind.SESSION, work.tenant.id, session_id)
    if purpose is Purpose.CONSOLE:
        await make_room(work, account, Purpose.CONSOLE)
    row = keep(work, account, session_id, opened_by, lifetime=lifetime, label=label, purpose=purpose)
    if purpose is Purpose.CONSOLE:
        event: Event = ConsoleSignedIn(session_id=session_id, code_id=code_id, way=way)
        work = Work(work.db, work.tenant, the_person(account, session_id), work.origin, work.now)
    else:
        event = SessionOpened(session_id=session_id)
    await record(work, event, account_id=account.id, target=str(session_id))
    return NewSession(row, opened_by)


async def check_tenant(work: Work) -> None:
    """Refuse to open anything in a tenant that is suspended.

    Raises:
        Forbidden: it is.
    """
    if (await tenants.own(work)).status != "active":
        msg = "This tenant is suspended; its sessions are not good, and none is opened, until it is resumed."
        raise Forbidden(msg)


def keep(
    work: Work,
    account: Account,
    session_id: UUID,
    opened_by: str,
    *,
    lifetime: timedelta,
    label: str | None,
    purpose: Purpose,
) -> Session:
    """Write the row of a session that *opened_by* opens, for the doors that hold the account and have decided."""
    row = Session(
        tenant_id=work.tenant.id,
        id=session_id,
        account_id=account.id,
        epoch=account.epoch,
        digest=digest(opened_by),
        purpose=purpose.value,
        label=label,
        created_at=work.now,
        expires_at=work.now + lifetime,
    )
    work.db.add(row)
    return row


def the_person(account: Account, session_id: UUID) -> Actor:
    """A person who acts through a session of the console."""
    return Actor(ActorKind.PERSON, account.user_name, session_id, account.id)


async def close(work: Work, session_id: UUID, *, account_id: UUID | None = None) -> None:
    """Close one session, from the commit on. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant, or the person if one is named, has no such session.
    """
    wanted = [Session.tenant_id == work.tenant.id, Session.id == session_id]
    if account_id is not None:
        wanted.append(Session.account_id == account_id)
    session = await work.db.scalar(
        select(Session).where(*wanted).with_for_update().execution_options(populate_existing=True)
    )
    if session is None:
        raise NotFound("session")
    if session.closed_at is None:
        await _close(work, session)


async def close_others(work: Work, account_id: UUID, kept: UUID) -> int:
    """Close every open session of a person but *kept*, the product's too. Returns how many that were."""
    return await _close_all(work, (*_open(work, account_id), Session.id != kept))


async def close_of_link(work: Work, account_id: UUID, link_id: UUID) -> int:
    """Close what a link for somebody without an account has opened. Returns how many that were."""
    return await _close_all(work, (*_open(work, account_id), Session.link_id == link_id))


async def of_person(work: Work, account_id: UUID, *, limit: int = 500, offset: int = 0) -> Sequence[Session]:
    """A person's open sessions, newest first."""
    return (
        await work.db.scalars(
            select(Session)
            .where(*_open(work, account_id))
            .order_by(Session.created_at.desc(), Session.id)
            .limit(limit)
            .offset(offset)
        )
    ).all()


async def page(work: Work, account_id: UUID, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Session]:
    """Some of a person's open sessions, newest first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Session).where(*_open(work, account_id))
    by = (Session.created_at, Session.id)
    return await paging.page(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)


async def of_console(work: Work, *, limit: int = 50) -> Sequence[Session]:
    """The open sessions of the console that the tenant's people have, those by a portal link too, newest first."""
    purposes = (Purpose.CONSOLE.value, Purpose.PORTAL.value)
    return (
        await work.db.scalars(
            select(Session)
            .where(Session.tenant_id == work.tenant.id, OF_CONSOLE, Session.purpose.in_(purposes))
            .where(Session.closed_at.is_(None), Session.expires_at > work.now)
            .order_by(Session.created_at.desc(), Session.id)
            .limit(limit)
        )
    ).all()


async def count(work: Work, account_id: UUID) -> int:
    """How many sessions a person has open."""
    return int(await work.db.scalar(select(func.count()).select_from(Session).where(*_open(work, account_id))) or 0)


async def count_in_tenant(work: Work) -> int:
    """How many sessions the tenant's people have open."""
    still_open = (Session.tenant_id == work.tenant.id, Session.closed_at.is_(None), Session.expires_at > work.now)
    return int(await work.db.scalar(select(func.count()).select_from(Session).where(*still_open)) or 0)


async def find(work: Work, account_id: UUID, session_id: UUID) -> Session:
    """A person's session with this id, open or not.

    Raises:
        NotFound: they have none.
    """
    session = await work.db.scalar(
        select(Session).where(
            Session.tenant_id == work.tenant.id, Session.id == session_id, Session.account_id == account_id
        )
    )
    if session is None:
        raise NotFound("session")
    return session


def _open(work: Work, account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        Session.tenant_id == work.tenant.id,
        Session.account_id == account_id,
        Session.closed_at.is_(None),
        Session.expires_at > work.now,
    )


def _closing(session: Session) -> Event:
    """Only a product's session is announced; nobody outside knows the others."""
    match Purpose(session.purpose):
        case Purpose.PRODUCT:
            return SessionClosed(session_id=session.id)
        case Purpose.CONSOLE:
            return ConsoleSignedOut(session_id=session.id)
        case Purpose.CONSOLE_CODE:
            return ConsoleCodeWithdrawn(code_id=session.id)
        case Purpose.PORTAL:
            return PortalLeft(session_id=session.id)
        case Purpose.PORTAL_LINK:
            return PortalLinkWithdrawn(link_id=session.id)
        case Purpose.CONTACT_LINK:
            return ContactLinkWithdrawn(link_id=session.id)


async def make_room(work: Work, account: Account, purpose: Purpose) -> None:
    """Close a person's oldest sessions of the console, or of the portal, until one more is not too many."""
    alike = (*_open(work, account.id), Session.purpose == purpose)
    newest_first = select(Session.id).where(*alike).order_by(Session.created_at.desc(), Session.id)
    too_many = (await work.db.scalars(newest_first.offset(MOST_OF_CONSOLE - 1))).all()
    if too_many:
        await _close_all(work, (*alike, Session.id.in_(too_many)))


async def _close_all(work: Work, wanted: tuple[ColumnElement[bool], ...]) -> int:
    """Close these sessions, locked in the order of their keys: another lock order could deadlock with a departure."""
    rows = (
        await work.db.scalars(
            select(Session)
            .where(*wanted)
            .order_by(Session.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).all()
    for session in rows:
        await _close(work, session)
    return len(rows)


async def _close(work: Work, session: Session) -> None:
    session.closed_at = work.now
    session.closed_because = "closed"
    await record(work, _closing(session), account_id=session.account_id, target=str(session.id))
