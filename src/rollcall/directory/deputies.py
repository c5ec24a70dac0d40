"""The deputy: who becomes an admin at the moment in which nobody is one any more, where a tenant keeps one.

The moment itself is the database's: a trigger that waits for the commit (`appoint_deputy`), so no door is forgotten.
"""

from uuid import UUID

from sqlalchemy import select, update

from rollcall.access import accounts
from rollcall.directory import people
from rollcall.directory.people import Person
from rollcall.errors import Conflict, PersonInactive
from rollcall.journal.admin_events import TenantDeputyAppointed, TenantDeputyNamed
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work


class AdminAlready(Conflict):
    """Whoever is to be the deputy is an admin."""

    code = "admin_already"
    advice = "Name somebody who is no admin: a deputy is there for when all admins have left."

    def __init__(self, user_name: str) -> None:
        super().__init__(f"{user_name} is an admin already; a deputy becomes one when all admins have left.")


async def of(work: Work) -> Person | None:
    """The tenant's deputy; None if nobody was named."""
    deputy_id = (await tenants.own(work)).deputy_id
    return None if deputy_id is None else await people.find(work, deputy_id)


async def name(work: Work, person_id: UUID) -> Person:
    """Name the deputy, in the place of whoever was; where a tenant keeps an admin and has none, they are one at once.

    Raises:
        NotFound: this tenant has no such person.
        PersonInactive: they may not come in.
        AdminAlready: they are an admin.
    """
    tenant = await _held(work)
    person = await people.find(work, person_id)
    account = (await accounts.locked(work, person.account.id))[person.account.id]
    if not account.active:
        raise PersonInactive
    if account.is_admin:
        raise AdminAlready(account.user_name)
    if tenant.deputy_id != account.id:
        await _write(work, account.id)
        await record(work, TenantDeputyNamed(user_name=account.user_name), account_id=account.id)
    await accounts.lock_name(work, "admins")  # whoever is the last admin and leaves now is seen, or sees the deputy
    if tenant.last_admin == "keep_one" and await accounts.admins(work) == 0:
        after = await people.appoint(work, account.id)
        told = TenantDeputyAppointed(account.id, after.account.user_name, after.account.role)
        await record(work, told, account_id=account.id)
        return after
    return await people.find(work, account.id)


async def dismiss(work: Work) -> Tenant:
    """Have no deputy any more. Doing it twice is the same as doing it once."""
    tenant = await _held(work)
    if tenant.deputy_id is not None:
        await record(work, TenantDeputyNamed(user_name=None), account_id=tenant.deputy_id)
        await _write(work, None)
    return await tenants.own(work)


async def _held(work: Work) -> Tenant:
    """The tenant, its row locked before its role rule and any account, as the lock order has it."""
    await work.db.execute(select(Tenant.id).where(Tenant.id == work.tenant.id).with_for_update(key_share=True))
    return await tenants.lock_own(work)


async def _write(work: Work, deputy_id: UUID | None) -> None:
    await work.db.execute(update(Tenant).where(Tenant.id == work.tenant.id).values(deputy_id=deputy_id))
