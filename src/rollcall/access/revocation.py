"""The one door that ends what a person can do, and the small one for a single credential that its holder shows.

The closing of everything is the function ``leave`` (``sql/leaving.sql``); what there is to close stands in `ways_in`.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from rollcall.access import sessions, statements, tokens
from rollcall.access.models import Session, Token
from rollcall.access.sessions import Purpose
from rollcall.crypto import TokenKind, TokenText
from rollcall.work import Work


async def end_all(work: Work, account_id: UUID, *, reason: str) -> dict[str, Any] | None:
    """Close every way in that an account has: it is inactive, its epoch rises, each of `ways_in` is closed.

    The outbox message that the worker finds is written in the same transaction. Returns how many of each credential
    class were closed, or ``None`` when the account was closed already.
    """
    return await statements.leave(work, account_id, reason)


async def end_shown(work: Work, shown: TokenText) -> bool:
    """Close the session or token that somebody shows whole (RFC 7009). Returns whether there is such a one.

    One that is over stays over, and whoever shows what is none changes nothing. The console's own sessions are none of
    the product's business.
    """
    row = Session if shown.kind is TokenKind.SESSION else Token
    wanted = [row.tenant_id == work.tenant.id, row.id == shown.id, row.digest == shown.digest]
    if row is Session:
        wanted.append(Session.purpose == Purpose.PRODUCT)
    found = await work.db.scalar(select(row.id).where(*wanted))
    if found is None:
        return False
    await (sessions.close(work, found) if row is Session else tokens.revoke(work, found))
    return True
