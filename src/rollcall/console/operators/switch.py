"""The switch: by a name, a slug or an id to the same part of another tenant's pages."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.alerts import fleet as listing
from rollcall.alerts.fleet import FleetQuestion
from rollcall.console.operators.visitors import FleetWork, fleet_work, operators
from rollcall.console.requests import see
from rollcall.console.switching import SECTIONS, same
from rollcall.console.visitors import page_for
from rollcall.tenancy.operators import Right

MOST_FOUND = 20


@get("/operators/switch", guards=[operators(Right.LOOK)], dependencies={"fleet": fleet_work}, name="console_switch")
async def switch(
    request: Request[Any, Any, Any], fleet: FleetWork, q: FromQuery[str] = "", section: FromQuery[str] = ""
) -> Response[Any]:
    """Lead to the tenant that is meant, or show those that may be; whether one may open it is judged there."""
    wanted = q.strip()[:255].replace("\x00", "")
    part = section if section in SECTIONS else ""
    found = await listing.page(fleet, FleetQuestion(search=wanted, by_name=True), limit=MOST_FOUND)
    meant = [row for row in found.rows if row.slug == wanted.lower()] or found.rows
    if wanted and len(meant) == 1:
        return see(same(meant[0].slug, part))
    return page_for(
        request,
        "operators/found.html",
        wanted=wanted,
        part=part,
        rows=[(row, same(row.slug, part)) for row in found.rows],
        matched=found.matched,
        most=MOST_FOUND,
    )
