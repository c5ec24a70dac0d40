"""Claims: deliveries that are ours for a while, and how each is let go again: ended, put off or given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rollcall.events import statements
from rollcall.events.deliveries import DeliveryState
from rollcall.events.departure_receipts import DEPARTURE, complete_receipts
from rollcall.events.destinations import WHOLE_INSTALLATION
from rollcall.events.outgoing import Signing
from rollcall.events.sending import ReceiverAnswer
from rollcall.journal.record import INSTALLATION
from rollcall.work import Fleet, TenantRef, Work

_RENEW = text("""
    UPDATE destinations SET leased_until = clock_timestamp() + make_interval(secs => :seconds)
     WHERE tenant_id = :owner AND id = :id
""")
_OVERDUE = text("""
    SELECT v.tenant_id, v.message_id, v.line_id, v.attempts, t.slug FROM deliveries v
      LEFT JOIN tenants t ON t.id = v.tenant_id
     WHERE v.destination_tenant_id = :owner AND v.destination_id = :id AND v.state = 'pending'
       AND v.next_try_at <= clock_timestamp() AND v.give_up_at <= clock_timestamp()
     ORDER BY v.message_id LIMIT :limit
""")
_PUT_OFF = text("""
    UPDATE deliveries
       SET next_try_at = least(clock_timestamp() + :wait, give_up_at), last_status = :status, last_error = :error,
           took_ms = :took
     WHERE tenant_id = :tenant AND message_id = :message AND destination_id = :destination AND ended_at IS NULL
       AND attempts = :attempts
       AND give_up_at > clock_timestamp()
""")
_GIVE_BACK = text("""
    UPDATE deliveries
       SET next_try_at = clock_timestamp() + :wait, attempts = attempts - 1,
           first_tried_at = CASE WHEN attempts > 1 THEN first_tried_at END
     WHERE tenant_id = :tenant AND message_id = :message AND destination_id = :destination AND ended_at IS NULL
       AND attempts = :attempts
""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours for a while: of a message to a destination."""

    tenant: TenantRef
    destination_id: UUID
    message_id: UUID
    line_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A delivery that has ended, and how."""

    claimed: Claimed
    state: DeliveryState
    answer: ReceiverAnswer


async def claim(
    fleet: Fleet, owner_id: UUID, destination_id: UUID, *, limit: int, seconds: float, closed: bool
) -> tuple[Sequence[Claimed], bool]:
    """Claim up to *limit* due deliveries for *seconds*, and renew the destination's lease.

    What stands behind others of its line is put off until they are due. So nothing may be claimed although something
    was due; the second value says whether anything was.
    """
    await fleet.db.execute(_RENEW, {"owner": owner_id, "id": destination_id, "seconds": seconds})
    rows = await statements.claim_deliveries(
        fleet, owner_id, destination_id, limit=limit, seconds=seconds, closed=closed
    )
    return [_claimed(row, destination_id) for row in rows if row.claimed], bool(rows)


async def overdue(fleet: Fleet, owner_id: UUID, destination_id: UUID, *, limit: int) -> Sequence[Claimed]:
    """Due deliveries that should have been taken by now, oldest first; they are not claimed by this."""
    rows = await fleet.db.execute(_OVERDUE, {"owner": owner_id, "id": destination_id, "limit": limit})
    return [_claimed(row, destination_id) for row in rows]


async def end(work: Work, signing: Signing, destination_id: UUID, ended: Sequence[Ended]) -> set[UUID]:
    """Mark a destination's deliveries of one tenant, and complete the receipts that waited for them last.

    Each lets the next of its line go. Returns the messages of those that were still ours and are marked.
    """
    said = [_said(each) for each in sorted(ended, key=lambda each: each.claimed.message_id)]
    marked = await statements.mark_ended(work, destination_id, said)
    departures = [row.message_id for row in marked if row.topic == DEPARTURE]
    if departures:
        await complete_receipts(work, departures, signing)
    return {row.message_id for row in marked}


async def put_off(work: Work, claimed: Claimed, wait: timedelta, answer: ReceiverAnswer) -> bool:
    """Have a delivery tried again after *wait*; returns whether it is: not so when its three days are over."""
    facts = {"status": answer.status, "error": answer.said, "took": answer.took_ms}
    done: Any = await work.db.execute(_PUT_OFF, {**_key(claimed), **facts, "wait": wait})
    return bool(done.rowcount)


async def give_back(work: Work, claimed: Sequence[Claimed], wait: timedelta = timedelta(0)) -> None:
    """Return what was not tried, due after *wait*; that was no attempt."""
    for each in claimed:
        await work.db.execute(_GIVE_BACK, {**_key(each), "wait": wait})


def _claimed(row: Any, destination_id: UUID) -> Claimed:
    slug = WHOLE_INSTALLATION.slug if row.tenant_id == INSTALLATION else row.slug
    return Claimed(TenantRef(row.tenant_id, slug or ""), destination_id, row.message_id, row.line_id, row.attempts)


def _said(ended: Ended) -> dict[str, Any]:
    return {
        "message_id": str(ended.claimed.message_id),
        "attempts": ended.claimed.attempts,
        "state": ended.state.value,
        "status": ended.answer.status,
        "error": None if ended.state is DeliveryState.DELIVERED else ended.answer.said,
        "took": ended.answer.took_ms,
    }


def _key(claimed: Claimed) -> dict[str, Any]:
    return {
        "tenant": claimed.tenant.id,
        "message": claimed.message_id,
        "destination": claimed.destination_id,
        "attempts": claimed.attempts,
    }
