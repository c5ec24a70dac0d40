"""Mass changes: when more people leave within an hour than a tenant is used to, what can't be undone waits.

Departures themselves are obeyed at once, always. The worker counts them as it settles each one, from the accounts:
those are committed by then, so of several workers at least the last one sees all. Whoever is about to do what can't be
undone counts for themselves, for the worker may be behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from rollcall.errors import Conflict, NotFound
from rollcall.journal.events import TenantMassChange, TenantMassChangeReleased
from rollcall.journal.record import record
from rollcall.proof.models import MassChange, Receipt
from rollcall.work import Work

WINDOW = timedelta(hours=1)

# No further than one beyond the threshold, and not at all while one waits for its release.
_COUNT = text("""
    WITH own AS (SELECT mass_change_threshold AS threshold FROM tenants WHERE id = :tenant),
    recent AS (
        SELECT deactivated_at FROM accounts
         WHERE tenant_id = :tenant
           AND deactivated_at > greatest(
                   :hour_ago, (SELECT max(released_at) FROM mass_changes WHERE tenant_id = :tenant))
           AND NOT EXISTS (SELECT FROM mass_changes WHERE tenant_id = :tenant AND released_at IS NULL)
         ORDER BY deactivated_at LIMIT (SELECT threshold + 1 FROM own))
    SELECT count(*), min(deactivated_at), (SELECT threshold FROM own) FROM recent
    HAVING count(*) > (SELECT threshold FROM own)
""")


class MassChangeUnderWay(Conflict):
    """What can't be undone is not done while unusually many people are leaving."""

    code = "mass_change"
    advice = "Look at the alert; if these people are meant to leave, release it, and send the call again."

    def __init__(self) -> None:
        super().__init__(
            "Unusually many people of this tenant have left within an hour, so what can't be undone waits until an "
            "admin has looked at it and released it: POST /v1/tenants/{tenant}/alerts/{alert}/release, or "
            "'rollcall alerts release'."
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """A mass change, and how many have left since it began."""

    row: MassChange
    departures: int


async def notice(work: Work) -> MassChange | None:
    """Raise the alert when the departures of the last hour pass the tenant's threshold, once until it is released.

    Returns the mass change if this call is the one that noticed it.
    """
    counted = await _beyond_threshold(work)
    if counted is None:
        return None
    count, began_at, threshold = counted
    new = await work.db.scalar(
        insert(MassChange)
        .values(tenant_id=work.tenant.id, began_at=began_at, noticed_at=work.now, count=count, threshold=threshold)
        .on_conflict_do_nothing()
        .returning(MassChange)
    )
    if new is not None:
        event = TenantMassChange(
            mass_change_id=new.id, began_at=began_at.isoformat(), departures=count, threshold=threshold
        )
        await record(work, event, target=str(new.id))
    return new


async def check(work: Work) -> None:
    """Let pass what can't be undone, unless a mass change waits for its release or is only now under way.

    Raises:
        MassChangeUnderWay: it has to wait.
    """
    if await _is_unreleased(work) or await _beyond_threshold(work) is not None:
        raise MassChangeUnderWay


async def release(work: Work, mass_change_id: UUID) -> Alert:
    """Let what can't be undone be done again; counting begins anew. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant has no such alert.
    """
    found = await work.db.scalar(
        select(MassChange)
        .where(MassChange.tenant_id == work.tenant.id, MassChange.id == mass_change_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("alert")
    if found.released_at is None:
        found.released_at = work.now
        found.released_by = work.actor.label
        await record(work, TenantMassChangeReleased(mass_change_id=found.id), target=str(found.id))
    return await _alert(work, found)


async def of_ids(work: Work, ids: Sequence[UUID]) -> Sequence[Alert]:
    """These of the tenant's mass changes; what is none is left out."""
    mine = select(MassChange).where(MassChange.tenant_id == work.tenant.id, MassChange.id.in_(ids))
    return [await _alert(work, row) for row in (await work.db.scalars(mine)).all()]


async def _alert(work: Work, row: MassChange) -> Alert:
    """The row, with the departures up to its release as far as the worker has settled them."""
    until = [] if row.released_at is None else [Receipt.closed_at <= row.released_at]
    departures = await work.db.scalar(
        select(func.count())
        .select_from(Receipt)
        .where(Receipt.tenant_id == work.tenant.id, Receipt.closed_at >= row.began_at, *until)
    )
    return Alert(row, int(departures or 0))


async def _is_unreleased(work: Work) -> bool:
    waiting = select(MassChange.id).where(MassChange.tenant_id == work.tenant.id, MassChange.released_at.is_(None))
    return await work.db.scalar(waiting) is not None


async def _beyond_threshold(work: Work) -> tuple[int, datetime, int] | None:
    """How many left, since when, and the threshold they passed; ``None`` if they did not, or it is noticed already."""
    asked = {"tenant": work.tenant.id, "hour_ago": work.now - WINDOW}
    row = (await work.db.execute(_COUNT, asked)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])
