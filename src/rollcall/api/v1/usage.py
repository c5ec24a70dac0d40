"""``/v1/usage``: the most and the average of active people, month by month, for whoever bills them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import QueryParameter
from pydantic import BaseModel, Field

from rollcall.api.v1.callers import ADMINS, OPS, FleetWork, TenantWork, fleet_work, tenant_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import needs
from rollcall.tenancy import usage
from rollcall.tenancy.operators import Right
from rollcall.tenancy.usage import Usage


class UsageView(BaseModel):
    """How many people of a tenant were active in a month."""

    tenant_id: UUID
    tenant: str = Field(description="the tenant's slug")
    external_id: str | None = Field(description="your own id for the customer")
    plan: str = Field(description="the key of the plan that it has now")
    month: str = Field(description="the month in UTC, as 2026-11")
    peak: int = Field(description="the most at the same moment; it is looked every minute")
    average: float = Field(description="the average by time, to two places")
    counted_from: datetime = Field(description="from when on: the month's beginning, or when counting began")
    counted_until: datetime = Field(description="until when: the month's end, or now")


def usage_view(found: Usage) -> UsageView:
    """A month as it is shown."""
    return UsageView.model_validate({name: getattr(found, name) for name in UsageView.model_fields})


Month = Annotated[str | None, QueryParameter(max_length=7, description="as 2026-11; left out, the present one (UTC)")]


@get("/usage", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def list_usage(fleet: FleetWork, part: Part, month: Month = None) -> Listing[UsageView]:
    """What all tenants used in a month, by slug; nothing of one that was not counted then."""
    wanted = usage.month_of(f"{fleet.now:%Y-%m}" if month is None else month)
    return part.listing(await usage.of_month(fleet, wanted, limit=part.limit, cursor=part.cursor), usage_view)


@get("/tenants/{tenant:str}/usage", guards=[ADMINS], dependencies={"work": tenant_work}, opt=needs(Right.PLANS))
async def list_usage_of_tenant(work: TenantWork, part: Part) -> Listing[UsageView]:
    """What one tenant used, month by month, the newest first."""
    return part.listing_of_all(await usage.of_tenant(work), usage_view)


router = Router("/", route_handlers=[list_usage, list_usage_of_tenant], tags=["tenants"])
