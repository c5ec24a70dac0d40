"""Links for an IT contact who has no account: an admin vouches for them, and owns what they make.

Such a link is a row of `sessions` like any portal link, so that leaving closes it and every session it opened. It opens
the set-up alone, and can be opened again until it ends or is revoked: whoever sets a provider up comes back tomorrow.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, TextClause, func, select, update

from rollcall.access import sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Account, Session
from rollcall.access.portal_links import LIFETIME, ContactLinkRefused, Intent, NewLink
from rollcall.access.sessions import NewSession, Purpose
from rollcall.crypto import TokenKind, TokenText, new_token
from rollcall.errors import Forbidden, Invalid, NotAnAdmin, NotFound, PersonInactive, TooManyRequests
from rollcall.journal.console_events import ContactEntered, ContactLinkIssued
from rollcall.journal.record import record
from rollcall.work import Actor, ActorKind, Work

MOST_DAYS = 7
MOST_LIVE = 10
"""Links of a tenant that are good at the same time."""

LONGEST_LABEL = 100


async def issue(work: Work, account_id: UUID, *, label: str, days: int) -> NewLink:
    """Make a link that an active admin vouches for. It is in clear here and nowhere else.

    *label* says whom it is for; the audit names them by it.

    Raises:
        Invalid: the label says nobody, or it is to last longer than seven days.
        NotFound, PersonInactive, NotAnAdmin: the person can't vouch for anybody.
        Forbidden: the tenant is suspended.
        TooManyRequests: ten are good already.
    """
    label = "".join(filter(str.isprintable, label)).strip()
    if not 1 <= len(label) <= LONGEST_LABEL:
        msg = f"label: say whom the link is for, in up to {LONGEST_LABEL} characters"
        raise Invalid(msg, param="label")
    if not 1 <= days <= MOST_DAYS:
        msg = f"days: choose 1 to {MOST_DAYS}"
        raise Invalid(msg, param="days")
    await sessions.check_tenant(work)
    account = await locked_for_issuing(work, account_id)
    if not account.is_admin:
        raise NotAnAdmin
    await _check_number(work)
    link_id = uuid4()
    opens = new_token(TokenKind.SESSION, work.tenant.id, link_id)
    lifetime = timedelta(days=days)
    row = sessions.keep(work, account, link_id, opens, lifetime=lifetime, label=label, purpose=Purpose.CONTACT_LINK)
    row.intent = Intent.SETUP.value
    event = ContactLinkIssued(link_id=link_id, label=label, expires_at=row.expires_at.isoformat(timespec="seconds"))
    await record(work, event, account_id=account.id, target=str(link_id))
    return NewLink(row, opens)


async def live(work: Work) -> Sequence[Session]:
    """The tenant's links that are good, newest first; one whose admin is none any more is good for nothing."""
    rows = await work.db.scalars(select(Session).where(*_live(work)).order_by(Session.created_at.desc(), Session.id))
    return rows.all()


async def revoke(work: Work, link_id: UUID) -> None:
    """End a link, and every session that it opened. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant has no such link.
    """
    wanted = Session.tenant_id == work.tenant.id, Session.id == link_id, Session.purpose == Purpose.CONTACT_LINK
    account_id = await work.db.scalar(select(Session.account_id).where(*wanted))
    if account_id is None:
        raise NotFound("link")
    of_whom = Account.tenant_id == work.tenant.id, Account.id == account_id
    await work.db.execute(select(Account.id).where(*of_whom).with_for_update(read=True))  # before what is theirs
    await sessions.close_of_link(work, account_id, link_id)
    await sessions.close(work, link_id, account_id=account_id)


async def enter(work: Work, link: TokenText) -> NewSession:
    """Open a session of the set-up for whoever has the link; it ends with the link at the latest.

    Raises:
        ContactLinkRefused: whatever of it is not right.
    """
    row = await work.db.scalar(select(Session).where(Session.id == link.id, *_live(work)))
    if row is None or row.digest != link.digest:
        raise ContactLinkRefused
    try:
        await sessions.check_tenant(work)
        # The account first, as a deactivation does; what that has closed meanwhile is seen closed below.
        account = await locked_for_issuing(work, row.account_id)
    except (NotFound, PersonInactive, Forbidden):
        raise ContactLinkRefused from None
    if not account.is_admin or not await _seen(work, link.id, account.epoch):
        raise ContactLinkRefused
    await sessions.make_room(work, account, Purpose.PORTAL)
    session_id = uuid4()
    opened_by = new_token(TokenKind.SESSION, work.tenant.id, session_id)
    lifetime = min(LIFETIME, row.expires_at - work.now)
    opened = sessions.keep(
        work, account, session_id, opened_by, lifetime=lifetime, label=row.label, purpose=Purpose.PORTAL
    )
    opened.intent, opened.link_id = row.intent, link.id
    event = ContactEntered(session_id=session_id, link_id=link.id, label=row.label or "")
    who = Actor(ActorKind.PERSON, f"{row.label}, by a link of {account.user_name}", session_id, account.id)
    by = Work(work.db, work.tenant, who, work.origin, work.now)
    await record(by, event, account_id=account.id, target=str(session_id))
    return NewSession(opened, opened_by)


async def _seen(work: Work, link_id: UUID, epoch: int) -> bool:
    """Note that the link was opened, and hold it: who revokes it at this moment closes the session too."""
    seen = await work.db.scalar(
        update(Session)
        .where(Session.id == link_id, Session.epoch == epoch, *_live(work))
        .values(seen_at=work.now)
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    )
    return seen is not None


async def _check_number(work: Work) -> None:
    """Refuse the eleventh; two at the same moment may both be the tenth."""
    number, first = (
        await work.db.execute(select(func.count(), func.min(Session.expires_at)).where(*_live(work)))
    ).one()
    if number >= MOST_LIVE:
        msg = f"{MOST_LIVE} links of this kind are good already; revoke one that is not needed."
        raise TooManyRequests(msg, retry_after=max(1, int((first - work.now).total_seconds())))


def _live(work: Work) -> tuple[ColumnElement[bool] | TextClause, ...]:
    return (
        Session.tenant_id == work.tenant.id,
        sessions.OF_CONSOLE,
        Session.purpose == Purpose.CONTACT_LINK,
        Session.closed_at.is_(None),
        Session.expires_at > work.now,
    )
