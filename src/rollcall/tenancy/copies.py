"""A copy of a tenant's terms, for a transaction that is undone: what would be so there, nobody else ever sees."""

from secrets import token_hex
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, insert, literal, null, select, text

from rollcall.functions import qualified
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, TenantRef

_ROW = cast("Table", Tenant.__table__)

_PEOPLE = text("INSERT INTO user_counts (tenant_id, part, people, active) VALUES (:copy, 0, 0, :active)")
_ACTIVE = text(qualified("SELECT fn.seats_used(:tenant)"))


async def copied(fleet: Fleet, tenant: TenantRef) -> TenantRef:
    """A tenant with the terms, plan, dates and role rule that *tenant* has, and as many of its seats taken.

    It has nobody in it, no limit to its rate, and neither the customer, the names nor the deputy of the other one. Only
    for a transaction that is undone: nothing bills it, and nothing would remove it.
    """
    own: dict[str, Any] = {
        "slug": literal(f"rehearsal-{token_hex(8)}"),
        "external_id": null(),
        "customer": null(),
        "metadata": literal({}, _ROW.c.metadata.type),
        "rate_per_second": literal(0),
        "deputy_id": null(),
        "break_glass": literal([], _ROW.c.break_glass.type),
    }
    names = [column.name for column in _ROW.columns if column.name != "id"]
    terms = select(*(own.get(name, _ROW.c[name]) for name in names)).where(_ROW.c.id == tenant.id)
    made = await fleet.db.execute(insert(_ROW).from_select(names, terms).returning(_ROW.c.id, _ROW.c.slug))
    row = made.one()
    active = await fleet.db.scalar(_ACTIVE, {"tenant": tenant.id})
    copy = TenantRef(cast("UUID", row.id), cast("str", row.slug))
    async with fleet.within(copy) as work:
        await work.db.execute(_PEOPLE, {"copy": copy.id, "active": active or 0})
    return copy
