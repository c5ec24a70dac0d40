"""Accounts: whether a person may come in at all."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import BigInteger, func, select, text

from rollcall.access.models import Account
from rollcall.db import fn
from rollcall.errors import NotFound, PersonInactive
from rollcall.work import Work


async def find(work: Work, account_id: UUID) -> Account:
    """The account with this id.

    Raises:
        NotFound: this tenant has none.
    """
    account = await work.db.scalar(select(Account).where(Account.tenant_id == work.tenant.id, Account.id == account_id))
    if account is None:
        raise NotFound("person")
    return account


async def locked_for_issuing(work: Work, account_id: UUID) -> Account:
    """The account, held so that it can't be closed before whatever is being issued to it is committed.

    A deactivation that commits first makes this wait and then refuse; one that comes later closes what was issued.

    Raises:
        NotFound: this tenant has no such person.
        PersonInactive: they may not come in.
    """
    account = await work.db.scalar(
        select(Account)
        .where(Account.tenant_id == work.tenant.id, Account.id == account_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    if account is None:
        raise NotFound("person")
    if not account.active:
        raise PersonInactive
    return account


async def locked(work: Work, *account_ids: UUID) -> dict[UUID, Account]:
    """These accounts, and that of whoever acts, locked by one statement in the order of their ids.

    So of two admins who end each other one comes first, the other one is judged again and refused, and neither is in a
    deadlock with the other.
    """
    wanted = {*account_ids, *(() if work.actor.owner_id is None else (work.actor.owner_id,))}
    rows = await work.db.scalars(
        select(Account)
        .where(Account.tenant_id == work.tenant.id, Account.id.in_(wanted))
        .order_by(Account.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {account.id: account for account in rows}


async def lock_name(work: Work, what: str) -> None:
    """Take the tenant's advisory lock *what* until the commit; see docs/locking.md for the lock order.

    Whoever counts before adding one takes it, so that two at the same moment do not overstep a limit together.
    """
    name = {"name": f"{what} {work.tenant.id}"}
    await work.db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)


async def admins(work: Work) -> int:
    """How many active admins the tenant has."""
    return int(
        await work.db.scalar(
            select(func.count())
            .select_from(Account)
            .where(Account.tenant_id == work.tenant.id, Account.active, Account.is_admin)
        )
        or 0
    )


async def every_admin(work: Work, *, limit: int = 200) -> Sequence[Account]:
    """The tenant's active admins, by userName."""
    rows = await work.db.scalars(
        select(Account)
        .where(Account.tenant_id == work.tenant.id, Account.active, Account.is_admin)
        .order_by(Account.user_name, Account.id)
        .limit(limit)
    )
    return rows.all()


async def active(work: Work) -> int:
    """How many people may come in, by the count that is kept for seats: whatever their number, it costs nothing."""
    return int(await work.db.scalar(select(fn.seats_used(work.tenant.id, type_=BigInteger))) or 0)


async def names(work: Work, account_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """The userNames of these accounts; an id that is nobody's here is left out."""
    wanted = {each for each in account_ids if each is not None}
    if not wanted:
        return {}
    rows = await work.db.execute(
        select(Account.id, Account.user_name).where(Account.tenant_id == work.tenant.id, Account.id.in_(wanted))
    )
    return {row.id: row.user_name for row in rows}
