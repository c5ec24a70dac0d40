"""Resuming a tenant: whoever left while it was suspended is taken out, and then it is let in again.

What an identity provider is refused meanwhile is kept by `provisioning.refused_departures`. It is made up for in the
transaction that resumes the tenant, so these people are in at no moment: until it is committed everything of the tenant
is refused.
"""

from typing import Final

from sqlalchemy import func, select

from rollcall import paging
from rollcall.directory import mapping, statements
from rollcall.directory.mapping import Cause
from rollcall.directory.models import RefusedDeparture
from rollcall.journal.events import UserDeactivated
from rollcall.journal.record import call_of
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, Work

AT_ONCE: Final = 500
"""People who are taken out by one statement."""


async def resume(fleet: Fleet, tenant: Tenant) -> int:
    """Let a suspended tenant in again, but for those who left meanwhile; returns how many were taken out.

    They stay out until the provider, or an admin, lets them in. Doing it twice is the same as doing it once.
    """
    await tenants.hold(fleet, tenant)
    taken_out = 0
    if tenant.status == "suspended":
        async with fleet.within(tenants.ref(tenant)) as work:
            taken_out = await _take_out(work)
    await tenants.resume(fleet, tenant)
    return taken_out


async def _take_out(work: Work) -> int:
    change = mapping.departure(Cause(work.origin.request_id, work.now, "")).as_json()
    call = call_of(work.actor, work.origin, UserDeactivated.topic)
    taken_out = 0
    while True:
        listed, left = await statements.take_out_refused(work, AT_ONCE, change, call)
        taken_out += left
        if listed < AT_ONCE:
            return taken_out


async def count(work: Work) -> int:
    """How many have left while the tenant is suspended."""
    mine = select(func.count()).select_from(RefusedDeparture).where(RefusedDeparture.tenant_id == work.tenant.id)
    return int(await work.db.scalar(mine) or 0)


async def page(work: Work, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[RefusedDeparture]:
    """Some of those who have left while the tenant is suspended, in the order in which they came.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(RefusedDeparture).where(RefusedDeparture.tenant_id == work.tenant.id)
    return await paging.page(work.db, rows, RefusedDeparture.account_id, limit=limit, cursor=cursor)
