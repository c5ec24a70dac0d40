"""Cases: whose roles conflict, and names that no role has."""

from sqlalchemy import select

from rollcall import paging
from rollcall.directory.models import ConflictCase
from rollcall.paging import Page
from rollcall.work import Work


async def page(
    work: Work, *, closed: bool = False, limit: int = paging.USUAL, cursor: str | None = None
) -> Page[ConflictCase]:
    """Some of the tenant's cases, of both kinds, newest first: the open ones, or with *closed* those that are over.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    over = ConflictCase.closed_at.is_not(None) if closed else ConflictCase.closed_at.is_(None)
    rows = select(ConflictCase).where(ConflictCase.tenant_id == work.tenant.id, over)
    by = (ConflictCase.first_seen, ConflictCase.id)
    return await paging.page(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)
