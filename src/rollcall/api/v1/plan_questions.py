"""``/v1/tenants/{tenant}/plan``: why something is refused to a tenant, and what another plan would change."""

from typing import Annotated

from litestar import Router, get
from litestar.params import FromPath, QueryParameter
from pydantic import BaseModel, Field

from rollcall.api.v1.callers import OPS, FleetWork, fleet_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import needs
from rollcall.manifest import previewing
from rollcall.manifest.previewing import Preview
from rollcall.tenancy import explaining, tenants
from rollcall.tenancy.explaining import Because, Explained
from rollcall.tenancy.operators import Right


class ExplainedView(BaseModel):
    """One thing that a tenant may do or not, and why."""

    what: str = Field(description="a feature, or `newcomers`: letting somebody in over SCIM")
    passes: bool
    because: Because = Field(description="what decides")
    said: str = Field(description="the reason and, if it is refused, the remedy")


class PlanPreviewView(BaseModel):
    """What another plan would change for a tenant; overrides that hold now count as they do."""

    tenant: str
    gained: list[str] = Field(description="features")
    lost: list[str] = Field(description="features")
    seats_before: int | None = Field(description="null: any number")
    seats_after: int | None = Field(description="null: any number")
    used: int = Field(description="active people")
    tokens: list[str] = Field(description="labels of live tokens for SCIM that lose what gives")
    destinations: list[str] = Field(description="labels of destinations that hear of who is out alone")
    sentences: list[str] = Field(description="the same for people; empty if nothing changes for anybody")


def explained_view(found: Explained) -> ExplainedView:
    """An explanation as it is shown."""
    return ExplainedView.model_validate({name: getattr(found, name) for name in ExplainedView.model_fields})


def preview_view(found: Preview) -> PlanPreviewView:
    """A preview as it is shown."""
    return PlanPreviewView.model_validate({name: getattr(found, name) for name in PlanPreviewView.model_fields})


@get("/tenants/{tenant:str}/plan/explain", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def explain_plan(fleet: FleetWork, part: Part, tenant: FromPath[str]) -> Listing[ExplainedView]:
    """What the tenant may do at this moment, and what decides: plan, override, lapse, seats, a pause."""
    found = await explaining.explain(fleet, await tenants.find(fleet, tenant))
    return part.listing_of_all(found, explained_view)


Plan = Annotated[str, QueryParameter(max_length=63, description="the key of the plan it would have")]


@get("/tenants/{tenant:str}/plan/preview", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def preview_plan(fleet: FleetWork, tenant: FromPath[str], plan: Plan) -> PlanPreviewView:
    """Who and what is affected if the tenant is put on another plan; nothing is changed."""
    return preview_view(await previewing.preview_plan(fleet, await tenants.find(fleet, tenant), plan))


router = Router("/", route_handlers=[explain_plan, preview_plan], tags=["tenants"])
