"""Telling a tenant's admins that somebody was made one by hand."""

from uuid import UUID

from sqlalchemy import select

from rollcall.access.models import Account
from rollcall.journal.record import have_mailed
from rollcall.work import Work


async def tell(work: Work, account_id: UUID, user_name: str) -> None:
    """Have the other admins mailed that this person was made one, if there are others."""
    others = select(Account.id).where(
        Account.tenant_id == work.tenant.id, Account.active, Account.is_admin, Account.id != account_id
    )
    if await work.db.scalar(others.limit(1)) is not None:
        facts = {"account_id": str(account_id), "user_name": user_name, "by": work.actor.label}
        have_mailed(work, "tenant.admin_appointed", facts, but=[account_id])
