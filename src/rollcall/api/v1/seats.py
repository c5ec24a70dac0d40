"""``/v1/tenants/{tenant}/seats``: how many active people a tenant may have, has, and since when none is left."""

from datetime import datetime

from litestar import Router, get
from pydantic import BaseModel, Field

from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work
from rollcall.api.v1.operator_roles import needs
from rollcall.tenancy import seats
from rollcall.tenancy.operators import Right
from rollcall.tenancy.seats import SeatPolicy, Seats


class SeatsView(BaseModel):
    """Where a tenant stands with its seats."""

    plan: str = Field(description="what the plan is called")
    allowed: int | None = Field(description="how many active people it may have; null is any number")
    used: int = Field(description="how many it has")
    policy: SeatPolicy = Field(
        description="what becomes of newcomers when none is left: `refuse`, or `overage`, by which they are let in"
    )
    full_since: datetime | None = Field(description="since when no seat is left; null while there is one")
    over_since: datetime | None = Field(
        description="since when it has more people than seats, as `tenant.over_seats` said; null while it has not"
    )


def seats_view(found: Seats) -> SeatsView:
    """Seats as they are shown."""
    return SeatsView.model_validate({name: getattr(found, name) for name in SeatsView.model_fields})


@get("/tenants/{tenant:str}/seats", guards=[ADMINS], dependencies={"work": tenant_work}, opt=needs(Right.LOOK))
async def get_seats(work: TenantWork) -> SeatsView:
    """How many seats the tenant has, and how many are taken. Whoever leaves makes room at once."""
    return seats_view(await seats.own(work))


router = Router("/", route_handlers=[get_seats], tags=["tenants"])
