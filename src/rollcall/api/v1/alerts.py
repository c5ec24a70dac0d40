"""``/v1/tenants/{tenant}/alerts`` and ``/v1/alerts``: what somebody should look at, and the release of mass changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery
from pydantic import BaseModel, Field

from rollcall.alerts import reading
from rollcall.alerts.kinds import Kind
from rollcall.alerts.reading import Alert
from rollcall.api.v1.callers import ADMINS, AUDITORS, OPS, FleetWork, TenantWork, fleet_work, tenant_work, uuid_of
from rollcall.api.v1.lists import Listing, Part
from rollcall.proof import mass_changes


class AlertView(BaseModel):
    """Something that somebody should look at. All but a mass change close themselves once it is no longer so.

    Until a mass change is released nothing is erased or relinked.
    """

    id: UUID
    kind: Kind
    says: str = Field(description="what is the matter")
    remedy: str = Field(description="what to do about it")
    subject: str = Field(description="the id of the token or the person it is about; empty where there can be one only")
    stage: str = Field(description="how near it is, for kinds that come nearer; each stage is an alert of its own")
    facts: dict[str, Any] = Field(description="what was so as it opened")
    opened_at: datetime
    closed_at: datetime | None
    began_at: datetime | None = Field(description="of a mass change: when the first of the departures happened")
    noticed_at: datetime
    count: int | None = Field(description="of a mass change: how many had left as it was noticed")
    threshold: int | None = Field(description="of a mass change: how many may leave within an hour")
    departures: int | None = Field(
        description="of a mass change: how many have left since it began, up to its release; null in the list of all "
        "tenants"
    )
    released_at: datetime | None
    released_by: str | None


class TenantAlertView(AlertView):
    """An open alert, and the tenant that it is one of."""

    tenant: str


def _facts(alert: Alert) -> dict[str, Any]:
    mass: Mapping[str, Any] = alert.facts if alert.kind is Kind.MASS_CHANGE else {}
    return {
        "id": alert.id,
        "kind": alert.kind,
        "says": alert.says,
        "remedy": alert.remedy,
        "subject": alert.subject,
        "stage": alert.stage,
        "facts": dict(alert.facts),
        "opened_at": alert.opened_at,
        "closed_at": alert.closed_at,
        "began_at": mass.get("began_at"),
        "noticed_at": alert.opened_at,
        "count": mass.get("count"),
        "threshold": mass.get("threshold"),
        "departures": alert.departures,
        "released_at": alert.closed_at if mass else None,
        "released_by": mass.get("released_by"),
    }


def alert_view(alert: Alert) -> AlertView:
    """An alert as it is shown."""
    return AlertView(**_facts(alert))


def tenant_alert_view(found: tuple[str, Alert]) -> TenantAlertView:
    """An alert as it is shown beside those of other tenants."""
    slug, alert = found
    return TenantAlertView(**_facts(alert), tenant=slug)


@get("/alerts", guards=[OPS], dependencies={"fleet": fleet_work})
async def list_all_alerts(fleet: FleetWork, part: Part) -> Listing[TenantAlertView]:
    """The open alerts of all tenants, newest first."""
    return part.listing(await reading.every_open(fleet, limit=part.limit, cursor=part.cursor), tenant_alert_view)


@get("/tenants/{tenant:str}/alerts", guards=[AUDITORS], dependencies={"work": tenant_work})
async def list_alerts(work: TenantWork, part: Part, only_open: FromQuery[bool] = False) -> Listing[AlertView]:
    """The tenant's alerts, newest first, those that are over too."""
    page = await reading.page(work, limit=part.limit, cursor=part.cursor, only_open=only_open)
    return part.listing(page, alert_view)


@post(
    "/tenants/{tenant:str}/alerts/{alert:str}/release",
    status_code=200,
    guards=[ADMINS],
    dependencies={"work": tenant_work},
)
async def release_alert(work: TenantWork, alert: FromPath[str]) -> AlertView:
    """Say that somebody has looked at it: what can't be undone may be done again, and counting begins anew.

    Only a mass change is released; other alerts close themselves.
    """
    return alert_view(reading.of_mass_change(await mass_changes.release(work, uuid_of(alert, "alert"))))


router = Router("/", route_handlers=[list_all_alerts, list_alerts, release_alert], tags=["alerts"])
