"""Portal links: how the product lets a tenant's admin into the console without a second sign-in, for one intent.

A link is a row of `sessions`, and so is the session that it opens, so that leaving closes both with everything else.
It is good once, for five minutes, and for the admin whom it names: whatever is made through it is theirs.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import func, select, update

from rollcall.access import sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Session
from rollcall.access.sessions import NewSession, Purpose
from rollcall.crypto import TokenKind, TokenText, new_token
from rollcall.errors import Conflict, Forbidden, Invalid, NotAnAdmin, NotFound, PersonInactive, Refusal, TooManyRequests
from rollcall.journal.console_events import PortalEntered, PortalLinkIssued
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.work import Work

PATIENCE = timedelta(minutes=5)
LIFETIME = timedelta(hours=2)
"""How long somebody may stay who came by a link: as long as it takes to set a provider up, and to see it work."""

MOST_LINKS = 20
"""Links that may be made for one person within five minutes."""


class Intent(StrEnum):
    """What a link is for; the session that it opens sees nothing else."""

    SETUP = "setup"
    TOKENS = "tokens"
    ROLES = "roles"
    ACTIVITY = "activity"
    DEPARTURES = "departures"


GIVES: Final = frozenset({Intent.TOKENS, Intent.ROLES})
"""Intents in which an admin gives rights: tokens of every scope, and roles."""


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link as it is handed out once: the row and the text that opens it."""

    row: Session
    text: str


class LinkRefused(Refusal):
    """No session for this link. Why is not told, so that nobody learns whom there is."""

    status = 403
    code = "link_refused"
    advice = "Open the link again from the product: each one is good once, for five minutes."

    def __init__(self) -> None:
        super().__init__(
            "This link opens nothing any more. Each one is good once, for five minutes, and for an active admin. "
            "Go back to where you found it, and open it again."
        )


class ContactLinkRefused(LinkRefused):
    """The same, of a link that can be opened more than once."""

    def __init__(self) -> None:
        Refusal.__init__(
            self,
            "This link opens nothing any more: it has ended or was revoked, or whoever vouched for it is an admin no "
            "longer. Ask them for a new one.",
        )


class NoSuchReturn(Invalid):
    """A portal link may not lead back to this address."""

    def __init__(self) -> None:
        super().__init__(
            "return_url: has to begin with one of the addresses of ROLLCALL_PORTAL_RETURN_ORIGINS, such as "
            "https://app.example.com; an operator names them",
            param="return_url",
        )


class OpsIssueTokens(Conflict):
    """A link for tokens, where ops issue them."""

    code = "ops_issue_tokens"
    advice = "Have ops issue the token, or let the tenant's admins issue their own (token_issuing: self_service)."

    def __init__(self) -> None:
        super().__init__("Tokens of this tenant are issued by the vendor's support, so there is no page for them.")


async def issue(
    work: Work, account_id: UUID, intent: Intent, *, return_url: str | None = None, origins: AbstractSet[str]
) -> NewLink:
    """Make a link for an active admin. It is in clear here and nowhere else.

    *origins* are those to which it may lead back.

    Raises:
        NoSuchReturn: *return_url* is at none of them.
        NotFound, PersonInactive, NotAnAdmin: the person can't come in this way.
        Forbidden: the tenant is suspended.
        OpsIssueTokens: as it says.
        TooManyRequests: twenty were made for this person within five minutes.
    """
    if return_url is not None and not may_return(origins, return_url):
        raise NoSuchReturn
    await sessions.check_tenant(work)
    if intent is Intent.TOKENS and (await tenants.own(work)).token_issuing == "ops":  # noqa: S105  # a policy's name
        raise OpsIssueTokens
    account = await locked_for_issuing(work, account_id)
    if not account.is_admin:
        raise NotAnAdmin
    await _check_number(work, account.id)
    link_id = uuid4()
    opens = new_token(TokenKind.SESSION, work.tenant.id, link_id)
    row = sessions.keep(
        work,
        account,
        link_id,
        opens,
        lifetime=PATIENCE,
        label="Portal link",
        purpose=Purpose.PORTAL_LINK,
    )
    row.intent, row.return_url = intent.value, return_url
    await record(work, PortalLinkIssued(link_id=link_id, intent=intent), account_id=account.id, target=str(link_id))
    return NewLink(row, opens)


async def enter(work: Work, link: TokenText, *, label: str | None = None) -> NewSession:
    """Open a session of the portal for the admin whom a link names, and spend the link, once.

    Raises:
        LinkRefused: whatever of it is not right.
    """
    account_id = await work.db.scalar(
        select(Session.account_id).where(Session.tenant_id == work.tenant.id, Session.id == link.id)
    )
    if account_id is None:
        raise LinkRefused
    try:
        await sessions.check_tenant(work)
        # The account first, as a deactivation does; what that has closed meanwhile is seen closed below.
        account = await locked_for_issuing(work, account_id)
    except (NotFound, PersonInactive, Forbidden):
        raise LinkRefused from None
    if not account.is_admin:
        raise LinkRefused
    spent = await _spend(work, link, account.epoch)
    await sessions.make_room(work, account, Purpose.PORTAL)
    session_id = uuid4()
    opened_by = new_token(TokenKind.SESSION, work.tenant.id, session_id)
    row = sessions.keep(
        work,
        account,
        session_id,
        opened_by,
        lifetime=LIFETIME,
        label=label,
        purpose=Purpose.PORTAL,
    )
    row.intent, row.return_url = spent.intent, spent.return_url
    entered = PortalEntered(session_id=session_id, link_id=link.id, intent=str(spent.intent))
    by = Work(work.db, work.tenant, sessions.the_person(account, session_id), work.origin, work.now)
    await record(by, entered, account_id=account.id, target=str(session_id))
    return NewSession(row, opened_by)


def may_return(origins: AbstractSet[str], address: str) -> bool:
    """Whether a portal may lead back to this address: an http(s) one, at one of these origins."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or "\\" in address:
        return False
    if len(address) > 2000 or not re.fullmatch(r"[!-~]+", address):
        return False
    return f"{parts.scheme}://{parts.hostname}{'' if port is None else f':{port}'}" in origins


async def _check_number(work: Work, account_id: UUID) -> None:
    """Refuse the twenty-first link within five minutes; two at the same moment may both be the twentieth."""
    made = await work.db.scalar(
        select(func.count())
        .select_from(Session)
        .where(
            Session.tenant_id == work.tenant.id,
            Session.account_id == account_id,
            Session.purpose == Purpose.PORTAL_LINK,
            Session.created_at > work.now - PATIENCE,
        )
    )
    if int(made or 0) >= MOST_LINKS:
        msg = f"{MOST_LINKS} portal links were made for this person within five minutes; wait until some are older."
        raise TooManyRequests(msg, retry_after=int(PATIENCE.total_seconds()))


async def _spend(work: Work, link: TokenText, epoch: int) -> Session:
    spent = await work.db.scalar(
        update(Session)
        .where(
            Session.tenant_id == work.tenant.id,
            Session.id == link.id,
            Session.purpose == Purpose.PORTAL_LINK,
            Session.digest == link.digest,
            Session.epoch == epoch,
            Session.closed_at.is_(None),
            Session.expires_at > work.now,
        )
        .values(closed_at=work.now, closed_because="entered")
        .returning(Session)
        .execution_options(synchronize_session=False)
    )
    if spent is None:
        raise LinkRefused
    return spent
