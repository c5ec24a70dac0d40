"""``/v1/tenants/{tenant}/alerts`` and ``/v1/alerts``: mass changes, and the release of what waits for them."""

from datetime import datetime
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath
from pydantic import BaseModel

from rollcall.api.v1.callers import ADMINS, OPS, FleetWork, TenantWork, fleet_work, tenant_work, uuid_of
from rollcall.api.v1.lists import Listing, Part
from rollcall.proof import mass_changes
from rollcall.proof.mass_changes import Alert
from rollcall.proof.models import MassChange


class AlertView(BaseModel):
    """More departures within an hour than the tenant's threshold. Until its release nothing is erased or relinked."""

    id: UUID
    began_at: datetime
    noticed_at: datetime
    count: int
    threshold: int
    departures: int
    """How many have left since it began, up to its release."""
    released_at: datetime | None
    released_by: str | None


class TenantAlertView(BaseModel):
    """A tenant's mass change that waits for its release."""

    tenant: str
    id: UUID
    began_at: datetime
    noticed_at: datetime
    count: int
    threshold: int


def alert_view(alert: Alert) -> AlertView:
    """A mass change as it is shown."""
    row = alert.row
    return AlertView(
        id=row.id,
        began_at=row.began_at,
        noticed_at=row.noticed_at,
        count=row.count,
        threshold=row.threshold,
        departures=alert.departures,
        released_at=row.released_at,
        released_by=row.released_by,
    )


def tenant_alert_view(found: tuple[str, MassChange]) -> TenantAlertView:
    """A mass change as it is shown beside those of other tenants."""
    slug, row = found
    return TenantAlertView(
        tenant=slug,
        id=row.id,
        began_at=row.began_at,
        noticed_at=row.noticed_at,
        count=row.count,
        threshold=row.threshold,
    )


@get("/alerts", guards=[OPS], dependencies={"fleet": fleet_work})
async def list_all_alerts(fleet: FleetWork, part: Part) -> Listing[TenantAlertView]:
    """The mass changes of all tenants that wait for their release, newest first."""
    page = await mass_changes.unreleased(fleet, limit=part.limit, cursor=part.cursor)
    return part.listing(page, tenant_alert_view)


@get("/tenants/{tenant:str}/alerts", guards=[ADMINS], dependencies={"work": tenant_work})
async def list_alerts(work: TenantWork, part: Part) -> Listing[AlertView]:
    """The tenant's mass changes, newest first."""
    return part.listing(await mass_changes.page(work, limit=part.limit, cursor=part.cursor), alert_view)


@post(
    "/tenants/{tenant:str}/alerts/{alert:str}/release",
    status_code=200,
    guards=[ADMINS],
    dependencies={"work": tenant_work},
)
async def release_alert(work: TenantWork, alert: FromPath[str]) -> AlertView:
    """Say that somebody has looked at it: what can't be undone may be done again, and counting begins anew."""
    return alert_view(await mass_changes.release(work, uuid_of(alert, "alert")))


router = Router("/", route_handlers=[list_all_alerts, list_alerts, release_alert], tags=["alerts"])
