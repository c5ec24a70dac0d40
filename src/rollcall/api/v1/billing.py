"""``/v1/billing`` and ``/v1/tenants/{tenant}/billing``: what payment providers say of customers; asking them again."""

from datetime import datetime

from litestar import Router, get, post
from litestar.params import FromPath
from pydantic import BaseModel, Field

from rollcall.api.v1.callers import OPS, FleetWork, fleet_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import needs
from rollcall.tenancy import customers, features, tenants
from rollcall.tenancy.customers import Known
from rollcall.tenancy.operators import Right


class BoughtPriceView(BaseModel):
    """A price at the payment provider that a customer has bought."""

    id: str
    lookup_key: str | None
    quantity: int


class IgnoredFeature(BaseModel):
    """Something that a payment provider says is paid for, and that gives nothing."""

    key: str
    because: str


class CustomerView(BaseModel):
    """What is known of a customer of a payment provider. All that was said is null or empty until it has been asked."""

    customer: str = Field(description="what the provider calls it")
    provider: str = Field(description="`stripe`, or `entitlements` for a billing system of your own")
    tenant: str | None = Field(description="the slug of the tenant that it is; null: it is parked")
    paid: bool | None = Field(description="whether anything is paid for now")
    plan: str | None = Field(description="the plan that is paid for, where the provider names one")
    features: list[str] = Field(description="as the provider names them")
    ignored: list[IgnoredFeature] = Field(description="those of `features` that give nothing, and why")
    seats: int | None = Field(description="where the provider says it outright")
    prices: list[BoughtPriceView] = Field(description="`[billing.prices]` in tenants.toml says what each stands for")
    ends_at: datetime | None = Field(description="when it ends, or has ended; null: no end is known")
    grace_until: datetime | None = Field(description="until when everything works at least, though it has ended")
    asked_at: datetime | None = Field(description="when the provider answered last")
    heard_at: datetime | None = Field(description="when an event about it came last")
    applied_at: datetime | None = Field(description="when that was brought to its tenant last")
    due_at: datetime = Field(description="when it is asked about next")
    error: str | None = Field(description="why it could not be asked about; null if it could")


class CustomersDue(BaseModel):
    """How many customers are asked about soon."""

    customers: int


def customer_view(found: Known, now: datetime) -> CustomerView:
    """A customer as it is shown."""
    said = found.standing
    own = ("customer", "provider", "tenant", "asked_at", "heard_at", "applied_at", "due_at", "error")
    return CustomerView(
        **{name: getattr(found, name) for name in own},
        paid=None if said is None else said.is_paid(now),
        plan=None if said is None else said.plan,
        features=[] if said is None else list(said.features),
        ignored=[]
        if said is None
        else [IgnoredFeature(key=key, because=why) for key, why in features.ignored(said.features).items()],
        seats=None if said is None else said.seats,
        prices=[]
        if said is None
        else [BoughtPriceView(id=each.id, lookup_key=each.lookup_key, quantity=each.quantity) for each in said.prices],
        ends_at=None if said is None else said.ends_at,
        grace_until=None if said is None else said.grace_until,
    )


@get("/billing/parked", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def list_parked_customers(fleet: FleetWork, part: Part) -> Listing[CustomerView]:
    """Customers that are no tenant's, by their ids: give a tenant that `customer`, and it is taken up at once."""
    page = await customers.parked(fleet, limit=part.limit, cursor=part.cursor)
    return part.listing(page, lambda found: customer_view(found, fleet.now))


@post("/billing/reconcile", status_code=202, guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def reconcile_billing(fleet: FleetWork) -> CustomersDue:
    """Have a worker ask about every customer now; each is asked about once a day anyway."""
    return CustomersDue(customers=await customers.expect_all(fleet))


@get("/tenants/{tenant:str}/billing", guards=[OPS], dependencies={"fleet": fleet_work}, opt=needs(Right.PLANS))
async def get_billing(fleet: FleetWork, tenant: FromPath[str]) -> CustomerView:
    """What the payment provider says of the tenant; not found while it has no `customer` and nobody spoke of it."""
    row = await tenants.find(fleet, tenant)
    return customer_view(await customers.find(fleet, customers.named_by(row)), fleet.now)


@post(
    "/tenants/{tenant:str}/billing/reconcile",
    status_code=202,
    guards=[OPS],
    dependencies={"fleet": fleet_work},
    opt=needs(Right.PLANS),
)
async def reconcile_tenant_billing(fleet: FleetWork, tenant: FromPath[str]) -> CustomerView:
    """Have a worker ask about the tenant's customer now."""
    customer = customers.named_by(await tenants.find(fleet, tenant))
    await customers.find(fleet, customer)
    await customers.expect(fleet, customer)
    return customer_view(await customers.find(fleet, customer), fleet.now)


router = Router(
    "/",
    route_handlers=[list_parked_customers, reconcile_billing, get_billing, reconcile_tenant_billing],
    tags=["billing"],
)
