"""``/v1/tenants/{tenant}/audit`` and ``/v1/audit``: what happened, newest first."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Router, get
from litestar.params import FromQuery, QueryParameter
from pydantic import BaseModel, Field

from rollcall.api.v1.bodies import storable_moment
from rollcall.api.v1.callers import ADMINS, AUDITORS, OPS, FleetWork, TenantWork, fleet_work, tenant_work
from rollcall.api.v1.lists import Listing, Part
from rollcall.errors import Invalid
from rollcall.journal import queries
from rollcall.journal.models import Deviation
from rollcall.journal.queries import AuditQuestion, Entry, read
from rollcall.provisioning import provider_state
from rollcall.scim import ledger


class AuditView(BaseModel):
    """One call or change: who, what, to whom, when, and how it ended."""

    id: UUID
    at: datetime
    request_id: str
    action: str
    actor_kind: str
    actor_id: UUID | None
    actor_label: str
    owner_id: UUID | None
    person_id: UUID | None
    target: str | None
    outcome: Literal["done", "refused"]
    status: int | None
    detail: str | None
    events: list[str]
    method: str | None
    path: str | None
    source: str | None
    payload: dict[str, Any] | None


def entry_view(found: Entry) -> AuditView:
    """An entry as it is shown."""
    entry, payload = found
    return AuditView(
        id=entry.id,
        at=entry.at,
        request_id=entry.request_id,
        action=entry.action,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_label=entry.actor_label,
        owner_id=entry.owner_id,
        person_id=entry.account_id,
        target=entry.target,
        outcome="done" if entry.outcome == "done" else "refused",
        status=entry.status,
        detail=entry.detail,
        events=entry.events,
        method=entry.method,
        path=entry.path,
        source=entry.source,
        payload=payload,
    )


@get("/tenants/{tenant:str}/audit", guards=[AUDITORS], dependencies={"work": tenant_work})
async def read_audit(
    work: TenantWork,
    part: Part,
    action: FromQuery[str | None] = None,
    outcome: FromQuery[Literal["done", "refused"] | None] = None,
    person: FromQuery[UUID | None] = None,
    actor: FromQuery[UUID | None] = None,
    request_id: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Listing[AuditView]:
    """The tenant's audit, newest first. ``action=user`` finds everything that begins with ``user.``."""
    question = AuditQuestion(
        action=action,
        outcome=outcome,
        account_id=person,
        actor_id=actor,
        request_id=request_id,
        since=_moment("since", since),
        until=_moment("until", until),
    )
    return part.listing(await read(work, question, limit=part.limit, cursor=part.cursor), entry_view)


@get("/audit", guards=[OPS], dependencies={"fleet": fleet_work})
async def read_installation_audit(
    fleet: FleetWork,
    part: Part,
    action: FromQuery[str | None] = None,
    outcome: FromQuery[Literal["done", "refused"] | None] = None,
    actor: FromQuery[UUID | None] = None,
    request_id: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Listing[AuditView]:
    """What concerns no single tenant, newest first: plans, keys, and refused calls that name no tenant there is."""
    question = AuditQuestion(
        action=action,
        outcome=outcome,
        actor_id=actor,
        request_id=request_id,
        since=_moment("since", since),
        until=_moment("until", until),
    )
    return part.listing(await read(fleet, question, limit=part.limit, cursor=part.cursor), entry_view)


def _moment(name: str, given: datetime | None) -> datetime | None:
    try:
        return None if given is None else storable_moment(given)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise Invalid(msg, param=name) from error


class DeviationView(BaseModel):
    """How often the tenant's provider departed from the standard in one way on one day, in that provider's words."""

    day: date
    deviation: str
    times: int
    provider: str | None = Field(description="what the provider is called, if it is known")
    does: str | None = Field(description="what it does otherwise than the standard; null for what is not told apart")
    read_as: str | None = Field(description="how that is read")
    setting: str | None = Field(description="the one setting at the provider that ends it; null if none is known")


def deviation_view(row: Deviation, provider: str | None) -> DeviationView:
    """A deviation as it is shown, of the provider with this profile."""
    told = ledger.tell(row.deviation, provider)
    label, does, read_as, setting = (
        (None, None, None, None) if told is None else (told.provider, told.does, told.read_as, told.setting)
    )
    return DeviationView(
        day=row.day,
        deviation=row.deviation,
        times=row.times,
        provider=label,
        does=does,
        read_as=read_as,
        setting=setting,
    )


@get("/tenants/{tenant:str}/deviations", guards=[ADMINS], dependencies={"work": tenant_work})
async def list_deviations(
    work: TenantWork, part: Part, days: Annotated[int, QueryParameter(ge=1, le=90)] = 7
) -> Listing[DeviationView]:
    """What the tenant's provider does otherwise than the standard, latest day first, and what would end it."""
    page = await queries.deviations(work, days=days, limit=part.limit, cursor=part.cursor)
    provider = (await provider_state.of_tenant(work)).speaks_as
    return part.listing(page, lambda row: deviation_view(row, provider))


router = Router("/", route_handlers=[read_audit, read_installation_audit, list_deviations], tags=["audit"])
