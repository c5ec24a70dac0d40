"""``/v1/tenants`` and ``/v1/plans``: customers and what they pay for."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Router, get, patch, post
from litestar.params import FromPath, JSONBody
from pydantic import AfterValidator, BaseModel, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import ADMINS, OPS, FleetWork, TenantWork, fleet_work, tenant_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.directory import roles
from rollcall.directory.rules import RoleRule
from rollcall.errors import Invalid
from rollcall.tenancy import plans, tenants
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.tenants import TenantTerms


def _no_starvation(rate: int) -> int:
    if 0 < rate < LEAST_RATE:
        msg = f"is 0 for no limit, else at least {LEAST_RATE}"
        raise ValueError(msg)
    return rate


LEAST_RATE = 25
Rate = Annotated[
    int,
    Field(
        ge=0,
        le=100_000,
        description="calls a second; 0 means no limit, else at least 25",
        json_schema_extra={"anyOf": [{"const": 0}, {"minimum": LEAST_RATE}]},
    ),
    AfterValidator(_no_starvation),
]


Threshold = Annotated[int, Field(ge=1, le=100_000_000, description="departures within an hour that are no alert yet")]


ProfileName = Literal["default", "entra", "okta", "onelogin", "jumpcloud", "strict"]
"""How a tenant's identity provider is read and answered."""


Left = SkipJsonSchema[None]
"""Left out; as a value null is refused, so the description does not offer it."""


class PlanView(BaseModel):
    """A plan: what a customer pays for."""

    key: str
    name: str
    features: list[str]
    seats: int | None
    rate_per_second: int
    rate_burst: int
    retention_days: int


class TenantView(BaseModel):
    """A customer."""

    id: UUID
    slug: str
    name: str
    plan: str
    status: Literal["active", "suspended"]
    token_issuing: Literal["self_service", "ops"]
    profile: ProfileName
    rate_per_second: int | None
    rate_burst: int | None
    mass_change_threshold: int
    created_at: datetime


class NewTenant(Body):
    """A customer to take on. Without a role rule it has the roles admin and member, given by hand only."""

    slug: str = Field(json_schema_extra={"pattern": f"^(?:{tenants.SLUG.pattern})$"})
    name: str = Field(min_length=1, max_length=200)
    plan: str
    token_issuing: Literal["self_service", "ops"] = "self_service"  # noqa: S105  # a policy's name
    profile: ProfileName = "default"
    rate_per_second: Rate | None = None
    rate_burst: int | None = Field(default=None, ge=1, le=1_000_000)
    mass_change_threshold: Threshold = 100
    role_rule: dict[str, object] | None = None


class TenantChange(Body):
    """What to change of a customer; what is left out stays."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | Left = None
    plan: str | Left = None
    token_issuing: Literal["self_service", "ops"] | Left = None
    profile: ProfileName | Left = None
    rate_per_second: Rate | None = None
    rate_burst: int | None = Field(default=None, ge=1, le=1_000_000)
    mass_change_threshold: Threshold | Left = None

    @field_validator("name", "plan", "token_issuing", "profile", "mass_change_threshold")
    @classmethod
    def _always_there(cls, value: object) -> object:
        if value is None:
            msg = "can't be taken away; leave it out to keep it"
            raise ValueError(msg)
        return value


def plan_view(plan: Plan) -> PlanView:
    """A plan as it is shown."""
    return PlanView.model_validate(plan, from_attributes=True)


def tenant_view(tenant: Tenant) -> TenantView:
    """A tenant as it is shown."""
    return TenantView.model_validate(tenant, from_attributes=True)


@get("/plans", guards=[OPS], dependencies={"fleet": fleet_work})
async def list_plans(fleet: FleetWork, part: Part) -> Listing[PlanView]:
    """All plans, by key."""
    return part.listing(await plans.page(fleet, limit=part.limit, cursor=part.cursor), plan_view)


@get("/tenants", guards=[OPS], dependencies={"fleet": fleet_work})
async def list_tenants(fleet: FleetWork, part: Part) -> Listing[TenantView]:
    """All tenants, by slug."""
    return part.listing(await tenants.page(fleet, limit=part.limit, cursor=part.cursor), tenant_view)


@post("/tenants", guards=[OPS], dependencies={"fleet": fleet_work})
async def create_tenant(fleet: FleetWork, data: JSONBody[NewTenant]) -> TenantView:
    """Take on a customer."""
    rule = roles.USUAL_RULE if data.role_rule is None else _rule(data.role_rule)
    terms = TenantTerms(
        name=data.name,
        plan=data.plan,
        token_issuing=data.token_issuing,
        profile=data.profile,
        rate_per_second=data.rate_per_second,
        rate_burst=data.rate_burst,
        mass_change_threshold=data.mass_change_threshold,
    )
    return tenant_view(await tenants.create(fleet, data.slug, terms, role_rule=rule.model_dump(mode="json")))


@get("/tenants/{tenant:str}", guards=[ADMINS], dependencies={"work": tenant_work})
async def get_tenant(work: TenantWork) -> TenantView:
    """One tenant, by id or slug."""
    return tenant_view(await tenants.own(work))


@patch("/tenants/{tenant:str}", guards=[OPS], dependencies={"fleet": fleet_work})
async def change_tenant(fleet: FleetWork, tenant: FromPath[str], data: JSONBody[TenantChange]) -> TenantView:
    """Change a tenant; a plan change takes effect at its next call."""
    row = await tenants.find(fleet, tenant)
    now = tenants.terms_of(row)
    given = data.model_dump(exclude_unset=True)
    await tenants.change(fleet, row, TenantTerms(**{**_as_given(now), **given}))
    return tenant_view(row)


@post("/tenants/{tenant:str}/suspend", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def suspend_tenant(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Refuse everything of this tenant until it is resumed."""
    row = await tenants.find(fleet, tenant)
    await tenants.suspend(fleet, row)
    return tenant_view(row)


@post("/tenants/{tenant:str}/resume", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def resume_tenant(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Let a suspended tenant in again."""
    row = await tenants.find(fleet, tenant)
    await tenants.resume(fleet, row)
    return tenant_view(row)


def _rule(given: dict[str, object]) -> RoleRule:
    """The rule in a body, where it stands under ``role_rule``."""
    try:
        return roles.read_rule(given)
    except Invalid as refusal:
        where = "role_rule" if refusal.param in (None, "body") else f"role_rule.{refusal.param}"
        raise Invalid(refusal.detail, param=where) from refusal


def _as_given(terms: TenantTerms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "plan": terms.plan,
        "token_issuing": terms.token_issuing,
        "profile": terms.profile,
        "rate_per_second": terms.rate_per_second,
        "rate_burst": terms.rate_burst,
        "mass_change_threshold": terms.mass_change_threshold,
    }


router = Router(
    "/",
    route_handlers=[
        list_plans,
        list_tenants,
        create_tenant,
        get_tenant,
        change_tenant,
        suspend_tenant,
        resume_tenant,
    ],
    tags=["tenants"],
)
