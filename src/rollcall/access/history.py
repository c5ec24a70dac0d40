"""Who was active on a day, and in which role: for auditors and disputes (`sql/history.sql`).

What accounts were before they changed is kept by a trigger, for as long as the tenant's audit is. A day is one of UTC.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, CompoundSelect, Text, Uuid, any_, column, literal, select, text, union

from rollcall import paging
from rollcall.access.models import Account, AccountHistory
from rollcall.db import fn
from rollcall.errors import Refusal
from rollcall.functions import qualified
from rollcall.paging import Page
from rollcall.work import Work

_KNOWN_SINCE = text(qualified("SELECT fn.people_known_since(:tenant)"))

_COLUMNS = (
    *(column("account_id", Uuid), column("user_name", Text), column("active", Boolean)),
    *(
        column("active_at_end", Boolean),
        column("role", Text),
        column("roles", ARRAY(Text)),
        column("is_admin", Boolean),
    ),
)
"""What is said of each, in the order of `Presence`."""


class NotKnown(Refusal):
    """Who was there on a day is not known."""

    status = 404
    code = "day_not_known"
    advice = "Ask for a day that the detail says is known; the audit may say more of days before."


@dataclass(frozen=True, slots=True)
class Presence:
    """What somebody was on a day."""

    account_id: UUID
    user_name: str
    """Their userName as it is now."""
    active: bool
    """Whether they might come in at any moment of that day."""
    active_at_end: bool
    role: str
    """The role that they had at its end."""
    roles: list[str]
    """All that they had during it while they were active."""
    is_admin: bool
    """Whether one of them was an admin's."""


@dataclass(frozen=True, slots=True)
class Day:
    """Part of an answer about a day."""

    begins: datetime
    ends: datetime
    """The day's end, or the moment of the question if it is not over."""
    known_since: datetime
    people: Page[Presence]


async def people_on(
    work: Work,
    day: date,
    *,
    role: str | None = None,
    everybody: bool = False,
    limit: int = paging.USUAL,
    cursor: str | None = None,
) -> Day:
    """Some of those who were active on a day, in the order they came; with *everybody* those too who were not.

    *role* narrows it to those who were active in this one at any moment of the day.

    Raises:
        NotKnown: the day has not begun, or was over before it was kept who is active.
        NoSuchCursor: the cursor is none of ours.
    """
    begins = datetime.combine(day, time(), UTC)
    if begins >= work.now:  # first: nothing can be said of the end of the last day that there is
        msg = f"{day} has not begun; days are those of UTC"
        raise NotKnown(msg, param="day")
    ends = min(begins + timedelta(days=1), work.now)
    known_since = await known(work)
    if ends <= known_since:
        msg = f"Who was active on {day} is not known; it is since {known_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        raise NotKnown(msg, param="day")
    said = fn.people_between(work.tenant.id, begins, ends).table_valued(*_COLUMNS)
    rows = select(*said.c)
    if not everybody:
        rows = rows.where(said.c.active)
    if role is not None:
        rows = rows.where(said.c.account_id.in_(_ever_in(work, role)), literal(role) == any_(said.c.roles))
    found = await paging.page_of_several(work.db, rows, said.c.account_id, limit=limit, cursor=cursor)
    return Day(begins, ends, known_since, found.of(lambda row: Presence(*row)))


def _ever_in(work: Work, role: str) -> CompoundSelect[Any]:
    """Who has this role or had it: so few are looked at closely where few ever had it, and nobody where nobody had."""
    now = select(Account.id).where(Account.tenant_id == work.tenant.id, Account.role == role)
    was = select(AccountHistory.account_id).where(
        AccountHistory.tenant_id == work.tenant.id, AccountHistory.role == role
    )
    return union(now, was)


async def known(work: Work) -> datetime:
    """From when on it is known who was active; a day that lies partly before is known in its later part."""
    since: datetime = (await work.db.execute(_KNOWN_SINCE, {"tenant": work.tenant.id})).scalar_one()
    return since
