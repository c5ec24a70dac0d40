"""``/v1/tenants/{tenant}/lapse``: until when what works for a tenant whose plan has lost SCIM."""

from litestar import Router, patch, post
from litestar.params import FromPath, JSONBody
from pydantic import AwareDatetime, Field, field_validator

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import OPS, FleetWork, fleet_work
from rollcall.api.v1.operator_roles import needs
from rollcall.api.v1.tenants import Left, TenantView, tenant_view
from rollcall.tenancy import lapse, tenants
from rollcall.tenancy.operators import Right


class LapseDates(Body):
    """The dates of a tenant's lapse; what is left out stays."""

    offboarding_from: AwareDatetime | Left = Field(default=None, description="until when everything works")
    closes_at: AwareDatetime | None = Field(
        default=None, description="from when on nothing works; null: without an end"
    )

    @field_validator("offboarding_from")
    @classmethod
    def _always_there(cls, value: object) -> object:
        if value is None:
            msg = "can't be taken away; leave it out to keep it"
            raise ValueError(msg)
        return value


@patch("/tenants/{tenant:str}/lapse", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def change_lapse(fleet: FleetWork, tenant: FromPath[str], data: JSONBody[LapseDates]) -> TenantView:
    """Set the dates of a tenant whose plan includes SCIM no more; they count from its next call on."""
    row = await tenants.find(fleet, tenant)
    await lapse.set_dates(fleet, row, data.model_dump(exclude_unset=True))
    return tenant_view(row, to=fleet.actor)


@post(
    "/tenants/{tenant:str}/lapse/close",
    status_code=200,
    guards=[OPS],
    dependencies={"fleet": fleet_work},
    opt=needs(Right.PLANS),
)
async def close_lapse(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Close SCIM at once for a tenant whose plan includes it no more; its leavers can't be cut off over SCIM then."""
    row = await tenants.find(fleet, tenant)
    await lapse.close(fleet, row)
    return tenant_view(row, to=fleet.actor)


router = Router("/", route_handlers=[change_lapse, close_lapse], tags=["tenants"])
