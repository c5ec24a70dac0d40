"""``/v1/tenants/{tenant}/people-on/{day}``: who was active on a day, and in which role."""

import re
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter
from pydantic import BaseModel, Field

from rollcall.access import history
from rollcall.access.history import NotKnown, Presence
from rollcall.api.v1.callers import AUDITORS, TenantWork, tenant_work
from rollcall.api.v1.lists import Listing, Part

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class PresenceView(BaseModel):
    """What somebody was on a day."""

    id: UUID
    user_name: str = Field(description="as it is now")
    active: bool = Field(description="whether they might come in at any moment of that day")
    active_at_end: bool = Field(description="whether they still might as it ended")
    role: str = Field(description="the role they had as it ended")
    roles: list[str] = Field(description="all that they had during it while they were active")
    is_admin: bool = Field(description="whether one of them was an admin's")


class PeopleOnDay(Listing[PresenceView]):
    """Some of those who were there on a day."""

    begins: datetime
    ends: datetime = Field(description="the end of the day, or now if it is not over; days are those of UTC")
    known_since: datetime = Field(
        description="from when on who is active was kept, and is still; a day that lies partly before is known in its "
        "later part only"
    )


def presence_view(found: Presence) -> PresenceView:
    """What somebody was, as it is shown."""
    rest = {name: getattr(found, name) for name in PresenceView.model_fields if name != "id"}
    return PresenceView(id=found.account_id, **rest)


@get("/tenants/{tenant:str}/people-on/{day:str}", guards=[AUDITORS], dependencies={"work": tenant_work})
async def list_people_on_day(
    work: TenantWork,
    part: Part,
    day: FromPath[str],
    role: Annotated[str | None, QueryParameter(description="only who were active in this role during it")] = None,
    everybody: FromQuery[bool] = False,
) -> PeopleOnDay:
    """Who was active on a day, such as `2026-11-01`, in the order they came; with `everybody` who was not, too."""
    asked = _day(day)
    found = await history.people_on(work, asked, role=role, everybody=everybody, limit=part.limit, cursor=part.cursor)
    listed = part.listing(found.people, presence_view)
    return PeopleOnDay(
        data=listed.data,
        next_cursor=listed.next_cursor,
        begins=found.begins,
        ends=found.ends,
        known_since=found.known_since,
    )


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:  # no such day in the calendar
        pass
    msg = f"“{text[:40]}” is no day; write it as 2026-11-01."
    raise NotKnown(msg, param="day")


router = Router("/", route_handlers=[list_people_on_day], tags=["audit"])
