"""``/v1/tenants`` and ``/v1/plans``: customers and what they pay for."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import AfterValidator, BaseModel, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import ADMINS, OPS, FleetWork, TenantWork, fleet_work, tenant_work
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import check_role, needs
from rollcall.directory import refused_departures, roles
from rollcall.directory.rules import RoleRule
from rollcall.errors import Invalid
from rollcall.tenancy import plans, tenants
from rollcall.tenancy.lapse import LapseState
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.operators import OperatorRole, Right
from rollcall.tenancy.seats import SeatPolicy
from rollcall.tenancy.tenants import TenantTerms
from rollcall.work import Actor, ActorKind


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


ProfileKey = Literal["default", "entra", "okta", "onelogin", "jumpcloud", "strict"]
"""How a tenant's identity provider is read and answered."""

ProfileName = Literal["auto", "default", "entra", "okta", "onelogin", "jumpcloud", "strict"]
"""The same as it is chosen: ``auto`` is ``default`` until the provider is recognised, and takes its profile once."""


OwnerLeaves = Literal["stop", "offboarding_only"]
"""What becomes of a SCIM token whose owner is no longer an active admin."""

LastAdmin = Literal["obey", "keep_one"]
"""What becomes of the admin role as the last one stops."""

BreakGlass = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=tenants.LONGEST_USER_NAME)], ...],
    Field(max_length=tenants.MOST_BREAK_GLASS, description="all of them, by userName; an empty list allows nobody"),
]
"""Who may sign in to the console with a password."""

MetadataValue = Annotated[str, Field(max_length=tenants.LONGEST_METADATA_VALUE)]


def _fitting(metadata: dict[str, str]) -> dict[str, str]:
    if (fault := tenants.metadata_fault(metadata)) is not None:
        raise ValueError(fault)
    return metadata


Metadata = Annotated[
    dict[str, MetadataValue],
    AfterValidator(_fitting),
    Field(
        description=f"what you want to remember of the customer: at most {tenants.MOST_METADATA} keys of at most "
        f"{tenants.LONGEST_METADATA_KEY} characters; not for secrets",
    ),
]
Customer = Annotated[
    str,
    Field(
        min_length=1,
        max_length=tenants.LONGEST_EXTERNAL_ID,
        description="what the payment provider calls it; what is paid for stands in the place of `plan` then",
    ),
]
Left = SkipJsonSchema[None]
"""Left out; as a value null is refused, so the description does not offer it."""


class LapseTermsView(BaseModel):
    """What becomes of a tenant that had this plan and loses SCIM."""

    grace_days: int = Field(description="days for which everything still works")
    offboarding_only_days: int | Literal["unlimited"] = Field(
        description="days after that for which reads work, and what only takes away"
    )


class LapseView(BaseModel):
    """What is left of SCIM to the tenant, at this moment."""

    state: LapseState = Field(
        description="`active`: the plan includes SCIM; `grace`: it does not, and everything still works; "
        "`offboarding_only`: reads, and what only takes away; `closed`: nothing any more; `never`: it never had SCIM"
    )
    lapsed_at: datetime | None = Field(description="when its plan ceased to include SCIM; null unless it has")
    offboarding_from: datetime | None = Field(description="until when everything works")
    closes_at: datetime | None = Field(description="from when on nothing works; null without an end")


class PlanView(BaseModel):
    """A plan: what a customer pays for."""

    key: str
    name: str
    features: list[str]
    seats: int | None
    seat_policy: SeatPolicy
    rate_per_second: int
    rate_burst: int
    retention_days: int
    lapse: LapseTermsView
    closed: bool = Field(description="whether no tenant is put on it any more; those that are on it stay")


class TenantView(BaseModel):
    """A customer."""

    id: UUID
    slug: str
    external_id: str | None = Field(description="your own id for the customer")
    metadata: dict[str, str] | None = Field(description="yours to use; null for a tenant's admin, who is not shown it")
    name: str
    plan: str = Field(description="the plan in effect")
    plan_without_payment: str | None = Field(
        description="the plan that was chosen, while one that is paid for stands in its place; null while none does"
    )
    customer: str | None = Field(
        description="what the payment provider calls it; null for a tenant's admin, who is not shown it"
    )
    status: Literal["active", "suspended"]
    token_issuing: Literal["self_service", "ops"]
    owner_leaves: OwnerLeaves = Field(
        description="a SCIM token whose owner is no longer an active admin: `stop` ends it; with `offboarding_only` it "
        "reads and takes away, until another admin takes it over"
    )
    last_admin: LastAdmin = Field(
        description="as nobody is an active admin any more: `obey`: so it is, and an alert says it; `keep_one`: the "
        "deputy becomes one at that moment"
    )
    deputy_id: UUID | None = Field(description="the person who becomes an admin then")
    break_glass: list[str] = Field(description="userNames of those who may sign in to the console with a password")
    profile: ProfileName = Field(description="as it was chosen; `auto` takes the provider's once it is recognised")
    profile_in_effect: ProfileKey
    profile_taken_at: datetime | None = Field(description="when `auto` took a provider's profile; null until it has")
    rate_per_second: int | None
    rate_burst: int | None
    mass_change_threshold: int
    lapse: LapseView
    paused_until: datetime | None = Field(
        description="until when the provider may only read and take away; null, or past, if it is not paused"
    )
    created_at: datetime


class NewTenant(Body):
    """A customer to take on. Without a role rule it has the roles admin and member, given by hand only."""

    slug: str = Field(json_schema_extra={"pattern": f"^(?:{tenants.SLUG.pattern})$"})
    external_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=tenants.LONGEST_EXTERNAL_ID,
        description="your own id for the customer; no two have the same",
    )
    metadata: Metadata = Field(default={})
    customer: Customer | None = None
    name: str = Field(min_length=1, max_length=200)
    plan: str
    token_issuing: Literal["self_service", "ops"] = "self_service"  # noqa: S105  # a policy's name
    owner_leaves: OwnerLeaves = "stop"
    last_admin: LastAdmin = "obey"
    break_glass: BreakGlass = ()
    profile: ProfileName = "auto"
    rate_per_second: Rate | None = None
    rate_burst: int | None = Field(default=None, ge=1, le=1_000_000)
    mass_change_threshold: Threshold = 100
    role_rule: dict[str, object] | None = None


class TenantChange(Body):
    """What to change of a customer; what is left out stays. ``metadata`` is replaced as a whole."""

    external_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=tenants.LONGEST_EXTERNAL_ID,
        description="your own id for the customer; no two have the same",
    )
    customer: Customer | None = None
    metadata: Annotated[Metadata, Field(description="all of it: what is left out is taken away")] | Left = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | Left = None
    plan: str | Left = None
    token_issuing: Literal["self_service", "ops"] | Left = None
    owner_leaves: OwnerLeaves | Left = None
    last_admin: LastAdmin | Left = None
    break_glass: BreakGlass | Left = None
    profile: ProfileName | Left = None
    rate_per_second: Rate | None = None
    rate_burst: int | None = Field(default=None, ge=1, le=1_000_000)
    mass_change_threshold: Threshold | Left = None

    @field_validator(
        *("metadata", "name", "plan", "token_issuing", "owner_leaves", "last_admin", "break_glass", "profile"),
        "mass_change_threshold",
    )
    @classmethod
    def _always_there(cls, value: object) -> object:
        if value is None:
            msg = "can't be taken away; leave it out to keep it"
            raise ValueError(msg)
        return value


def plan_view(plan: Plan) -> PlanView:
    """A plan as it is shown."""
    days = "unlimited" if plan.lapse_offboarding_days is None else plan.lapse_offboarding_days
    terms = {"grace_days": plan.lapse_grace_days, "offboarding_only_days": days}
    rest = {name: getattr(plan, name) for name in PlanView.model_fields if name != "lapse"}
    return PlanView.model_validate({**rest, "lapse": terms})


def tenant_view(tenant: Tenant, *, to: Actor) -> TenantView:
    """A tenant as it is shown to ops, or to an admin of its own."""
    own = to.kind is ActorKind.PERSON
    facts = {
        "metadata": None if own else tenant.metadata_,
        "customer": None if own else tenant.customer,
        "profile": tenant.chosen_profile,
        "profile_in_effect": tenant.profile,
        "lapse": {
            "state": tenant.lapse_state,
            "lapsed_at": tenant.lapsed_at,
            "offboarding_from": tenant.offboarding_from,
            "closes_at": tenant.closes_at,
        },
    }
    rest = {name: getattr(tenant, name) for name in TenantView.model_fields if name not in facts}
    return TenantView.model_validate({**rest, **facts})


ById = Annotated[
    str | None, QueryParameter(max_length=tenants.LONGEST_EXTERNAL_ID, description="only the one you call so")
]


@get("/plans", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.LOOK))
async def list_plans(fleet: FleetWork, part: Part) -> Listing[PlanView]:
    """All plans, by key."""
    return part.listing(await plans.page(fleet, limit=part.limit, cursor=part.cursor), plan_view)


@get("/tenants", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.LOOK))
async def list_tenants(fleet: FleetWork, part: Part, external_id: ById = None) -> Listing[TenantView]:
    """All tenants, by slug; or the one with this external id."""
    page = await tenants.page(fleet, limit=part.limit, cursor=part.cursor, external_id=external_id)
    return part.listing(page, lambda tenant: tenant_view(tenant, to=fleet.actor))


@post("/tenants", guards=[OPS], dependencies={"fleet": fleet_work})
@idempotent()
async def create_tenant(fleet: FleetWork, data: JSONBody[NewTenant]) -> TenantView:
    """Take on a customer."""
    rule = roles.USUAL_RULE if data.role_rule is None else _rule(data.role_rule)
    terms = TenantTerms(
        name=data.name,
        plan=data.plan,
        token_issuing=data.token_issuing,
        owner_leaves=data.owner_leaves,
        last_admin=data.last_admin,
        break_glass=data.break_glass,
        profile=data.profile,
        rate_per_second=data.rate_per_second,
        rate_burst=data.rate_burst,
        mass_change_threshold=data.mass_change_threshold,
        external_id=data.external_id,
        customer=data.customer,
        metadata=data.metadata,
    )
    row = await tenants.create(fleet, data.slug, terms, role_rule=rule.model_dump(mode="json"))
    return tenant_view(row, to=fleet.actor)


@get("/tenants/{tenant:str}", guards=[ADMINS], dependencies={"work": tenant_work}, opt=needs(Right.LOOK))
async def get_tenant(work: TenantWork) -> TenantView:
    """One tenant, by id or slug."""
    return tenant_view(await tenants.own(work), to=work.actor)


@patch("/tenants/{tenant:str}", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def change_tenant(fleet: FleetWork, tenant: FromPath[str], data: JSONBody[TenantChange]) -> TenantView:
    """Change a tenant; a plan change takes effect at its next call, and is all that the role billing may do."""
    row = await tenants.find(fleet, tenant)
    now = tenants.terms_of(row)
    given = data.model_dump(exclude_unset=True)
    if given.keys() - {"plan"}:
        check_role(fleet.actor, OperatorRole.OPS, to=" for anything but the plan")
    await tenants.change(fleet, row, replace(now, **given))
    return tenant_view(row, to=fleet.actor)


@post("/tenants/{tenant:str}/suspend", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def suspend_tenant(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Refuse everything of this tenant until it is resumed."""
    row = await tenants.find(fleet, tenant)
    await tenants.suspend(fleet, row)
    return tenant_view(row, to=fleet.actor)


@post("/tenants/{tenant:str}/resume", status_code=200, guards=[OPS], dependencies={"fleet": fleet_work})
async def resume_tenant(fleet: FleetWork, tenant: FromPath[str]) -> TenantView:
    """Let a suspended tenant in again."""
    row = await tenants.find(fleet, tenant)
    await refused_departures.resume(fleet, row)
    return tenant_view(row, to=fleet.actor)


def _rule(given: dict[str, object]) -> RoleRule:
    """The rule in a body, where it stands under ``role_rule``."""
    try:
        return roles.read_rule(given)
    except Invalid as refusal:
        where = "role_rule" if refusal.param in (None, "body") else f"role_rule.{refusal.param}"
        raise Invalid(refusal.detail, param=where) from refusal


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
