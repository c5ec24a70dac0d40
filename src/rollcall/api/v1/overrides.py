"""``/v1/tenants/{tenant}/overrides``: what one tenant has otherwise than its plan says."""

from datetime import datetime

from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody
from pydantic import AwareDatetime, BaseModel, Field, StrictBool, StrictInt, StrictStr

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import OPS, FleetWork, fleet_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import needs
from rollcall.tenancy import overrides, tenants
from rollcall.tenancy.operators import Right
from rollcall.tenancy.overrides import Override


class OverrideView(BaseModel):
    """One thing that a tenant has otherwise than its plan says."""

    key: str = Field(description=f"one of {', '.join(overrides.KEYS)}")
    value: bool | int | str
    reason: str
    by: str = Field(description="the label of the key it was set with")
    at: datetime
    ends_at: datetime | None = Field(description="when it ends by itself; null: when somebody ends it")
    holds: bool = Field(description="false once it has ended")


class NewOverride(Body):
    """What a tenant is to have otherwise: a feature (`true`), another number of `seats`, or another `seat_policy`."""

    value: StrictBool | StrictInt | StrictStr
    reason: str = Field(min_length=1, max_length=overrides.LONGEST_REASON)
    ends_at: AwareDatetime | None = Field(default=None, description="a feature needs one")


def override_view(found: Override, now: datetime) -> OverrideView:
    """An override as it is shown."""
    facts = {name: getattr(found, name) for name in OverrideView.model_fields if name != "holds"}
    return OverrideView.model_validate({**facts, "holds": found.holds(now)})


@get("/tenants/{tenant:str}/overrides", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def list_overrides(fleet: FleetWork, part: Part, tenant: FromPath[str]) -> Listing[OverrideView]:
    """All that the tenant has otherwise, by key; what has ended too, until somebody takes it away."""
    found = overrides.of(await tenants.find(fleet, tenant))
    return part.listing_of_all(found, lambda each: override_view(each, fleet.now))


@put(
    "/tenants/{tenant:str}/overrides/{key:str}",
    guards=[OPS],
    dependencies={"fleet": fleet_work},
    opt=needs(Right.PLANS),
)
async def set_override(
    fleet: FleetWork, tenant: FromPath[str], key: FromPath[str], data: JSONBody[NewOverride]
) -> OverrideView:
    """Set an override, in the place of one of the same key; it counts from the tenant's next call on."""
    row = await tenants.find(fleet, tenant)
    made = await overrides.put(fleet, row, key, data.value, reason=data.reason, ends_at=data.ends_at)
    return override_view(made, fleet.now)


@delete(
    "/tenants/{tenant:str}/overrides/{key:str}",
    guards=[OPS],
    dependencies={"fleet": fleet_work},
    opt=needs(Right.PLANS),
)
async def end_override(fleet: FleetWork, tenant: FromPath[str], key: FromPath[str]) -> None:
    """Take an override away; what the plan says counts from the tenant's next call on."""
    await overrides.end(fleet, await tenants.find(fleet, tenant), key)


router = Router("/", route_handlers=[list_overrides, set_override, end_override], tags=["tenants"])
