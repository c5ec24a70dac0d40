"""``/v1/tenants/{tenant}/pause``: a provider that comes again later, while somebody works on a rule."""

from litestar import Router, post
from litestar.params import FromPath, JSONBody
from pydantic import Field

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import OPS, FleetWork, fleet_work
from rollcall.api.v1.tenants import TenantView, tenant_view
from rollcall.tenancy import tenants


class Pause(Body):
    """How long a tenant is paused."""

    seconds: int = Field(ge=1, le=tenants.LONGEST_PAUSE, description="from now on; a day at most")


@post("/tenants/{tenant:str}/pause", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def pause_tenant(fleet: FleetWork, tenant: FromPath[str], data: JSONBody[Pause]) -> TenantView:
    """Answer the provider's calls with 503 and `Retry-After`, but for what reads or only takes away."""
    row = await tenants.find(fleet, tenant)
    await tenants.pause(fleet, row, data.seconds)
    return tenant_view(row, to=fleet.actor)


@post("/tenants/{tenant:str}/unpause", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def unpause_tenant(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Let everything of the provider pass again."""
    row = await tenants.find(fleet, tenant)
    await tenants.pause(fleet, row, 0)
    return tenant_view(row, to=fleet.actor)


router = Router("/", route_handlers=[pause_tenant, unpause_tenant], tags=["tenants"])
