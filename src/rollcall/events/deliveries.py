"""The delivery log: what was sent to each destination, what still waits, what is dead, and replays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.orm import aliased

from rollcall import paging
from rollcall.errors import Conflict, NotFound
from rollcall.events import destinations
from rollcall.events.destinations import GIVE_UP_AFTER, DestinationClosed
from rollcall.events.models import Delivery, DestinationRow
from rollcall.journal.destination_events import DeliveriesReplayed, DestinationTested
from rollcall.journal.events import UserDeactivated
from rollcall.journal.models import OutboxMessage
from rollcall.journal.record import INSTALLATION, enter, record_for_installation
from rollcall.paging import Page
from rollcall.work import Fleet, Work

REPLAY_AT_MOST = 10_000


class DeliveryState(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class StillPending(Conflict):
    """It has not ended, so there is nothing to repeat."""

    code = "still_pending"
    advice = "Leave it; it is made when its turn comes."

    def __init__(self) -> None:
        super().__init__("This delivery still waits to be made; it needs no replay.")


class ReceiptWaits(Conflict):
    """It told of a departure whose receipt is still to say when it was told first."""

    code = "receipt_waits"
    advice = "Wait until the departure's receipt is complete, which other destinations still hold up; then replay it."

    def __init__(self) -> None:
        super().__init__(
            "This delivery told of a departure whose receipt is not complete, and is to say when this destination was "
            "told first. It can be replayed once the receipt is complete."
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """How many deliveries are made once more."""

    number: int
    last: UUID | None
    """The last of them, after which another call goes on; None if there was nothing more."""


@dataclass(frozen=True, slots=True)
class DeliveryBacklog:
    """How one destination, or all of them, stand."""

    pending: int
    dead: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """What is due at destinations that take what they are sent: it waits for us and for nobody else."""

    number: int
    oldest_seconds: float
    refusing: int
    """Destinations with something pending that did not take their last call: those wait for somebody else."""


async def page(
    work: Work | Fleet, destination_id: UUID, *, state: DeliveryState | None, limit: int, cursor: str | None
) -> Page[Delivery]:
    """What a destination was sent, newest first: of a tenant's own with a `Work`, of the installation's with a `Fleet`.

    Raises:
        NotFound: there is no such destination.
        NoSuchCursor: the cursor is none of ours.
    """
    await _check(work, destination_id)
    question = _of(work, destination_id)
    if state is not None:
        question = question.where(Delivery.state == state.value)
    return await paging.page(work.db, question, Delivery.id, limit=limit, cursor=cursor, descending=True)


async def send_test(work: Work, destination_id: UUID) -> UUID:
    """Send a destination an event of its own, ``destination.tested``, that is sent to nobody else.

    Returns the delivery's id; the delivery log says how it went.

    Raises:
        NotFound: there is none.
        DestinationClosed: it is disabled.
    """
    row = await destinations.locked(work, destination_id)
    if row.disabled_at is not None:
        raise DestinationClosed
    event = DestinationTested(row.id, row.label)
    message = OutboxMessage(
        tenant_id=work.tenant.id,
        topic=event.topic,
        payload=event.payload(),
        request_id=work.origin.request_id,
        created_at=work.now,
        fanned_out_at=work.now,
        done_at=work.now,
    )
    work.db.add(message)
    await work.db.flush()  # the id is in the delivery
    delivery = Delivery(
        tenant_id=work.tenant.id,
        destination_tenant_id=work.tenant.id,
        destination_id=row.id,
        kind=row.kind,
        label=row.label,
        message_id=message.id,
        topic=event.topic,
        line_id=message.id,  # a line of its own: it overtakes what waits
        give_up_at=work.now + GIVE_UP_AFTER,
    )
    work.db.add(delivery)
    await work.db.flush()
    await enter(work, event, target=str(row.id))
    return delivery.id


async def replay(work: Work | Fleet, destination_id: UUID, delivery_id: UUID) -> Delivery:
    """Make a delivery once more, with the same ``webhook-id``; it is tried for another three days.

    Raises:
        NotFound: there is no such destination or delivery.
        StillPending: it has not ended.
        ReceiptWaits: it told of a departure whose receipt is not complete.
        DestinationClosed: the destination is disabled.
    """
    if not await _check(work, destination_id):
        raise DestinationClosed
    await _hold_messages(work, destination_id, Delivery.id == delivery_id)
    row = await work.db.scalar(_of(work, destination_id).where(Delivery.id == delivery_id).with_for_update())
    if row is None:
        raise NotFound("delivery")
    if row.state == DeliveryState.PENDING:
        raise StillPending
    if await work.db.scalar(
        select(_holds_a_receipt()).where(Delivery.tenant_id == row.tenant_id, Delivery.id == row.id)
    ):
        raise ReceiptWaits
    row.state, row.ended_at, row.attempts = DeliveryState.PENDING.value, None, 0
    now = cast("datetime", await work.db.scalar(select(func.clock_timestamp())))
    row.next_try_at, row.give_up_at = now, now + GIVE_UP_AFTER
    await _enter(work, DeliveriesReplayed(destination_id, 1), destination_id)
    return row


async def replay_dead(work: Work | Fleet, destination_id: UUID) -> int:
    """Make every dead delivery of a destination once more, oldest first; returns how many, 10,000 at most.

    Raises:
        NotFound: there is no such destination.
        DestinationClosed: it is disabled.
    """
    return (await _replay_all(work, destination_id, Delivery.state == DeliveryState.DEAD.value)).number


async def replay_since(
    work: Work | Fleet, destination_id: UUID, since: datetime, *, after: UUID | None = None
) -> Replay:
    """Make every delivery that has ended and is not older than *since* once more, delivered ones too, oldest first.

    Those that told of departures whose receipts are not complete are left out. It makes 10,000 at most. *after* is
    where the call before ended: what that one made is passed over, although it may have ended again meanwhile.

    Raises:
        NotFound: there is no such destination.
        DestinationClosed: it is disabled.
    """
    ended = (Delivery.state != DeliveryState.PENDING.value) & (Delivery.created_at >= since) & ~_holds_a_receipt()
    return await _replay_all(work, destination_id, ended if after is None else ended & (Delivery.id > after))


async def _replay_all(work: Work | Fleet, destination_id: UUID, which: ColumnElement[bool]) -> Replay:
    if not await _check(work, destination_id):
        raise DestinationClosed
    await _hold_messages(work, destination_id, which)
    ended = (
        select(Delivery.tenant_id, Delivery.id)
        .where(Delivery.destination_tenant_id == owner_of(work), Delivery.destination_id == destination_id)
        .where(which)
        .order_by(Delivery.id)
        .limit(REPLAY_AT_MOST)
        .with_for_update()
        .cte("ended")  # a join may ask a subquery again for each row, which then finds the next ones
    )
    revived = await work.db.scalars(
        update(Delivery)
        .where(Delivery.tenant_id == ended.c.tenant_id, Delivery.id == ended.c.id)
        .values(
            state=DeliveryState.PENDING.value,
            ended_at=None,
            attempts=0,
            next_try_at=func.clock_timestamp(),
            give_up_at=func.clock_timestamp() + GIVE_UP_AFTER,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    ids = revived.all()
    if ids:
        await _enter(work, DeliveriesReplayed(destination_id, len(ids)), destination_id)
    return Replay(len(ids), max(ids) if len(ids) == REPLAY_AT_MOST else None)


def _holds_a_receipt() -> ColumnElement[bool]:
    """Whether a delivery told of a departure whose receipt has still to say so, by the moment at which it ended.

    It has while the departure is not settled, or another destination has still to be told.
    """
    other, message = aliased(Delivery), aliased(OutboxMessage)
    waits = (
        select(other.id)
        .where(other.tenant_id == Delivery.tenant_id, other.message_id == Delivery.message_id)
        .where(other.state == DeliveryState.PENDING.value)
        .correlate(Delivery)
    )
    held_up = (
        select(message.id)
        .where(message.tenant_id == Delivery.tenant_id, message.id == Delivery.message_id)
        .where(message.topic == UserDeactivated.topic, message.done_at.is_(None) | waits.exists())
        .correlate(Delivery)
    )
    return (Delivery.state == DeliveryState.DELIVERED.value) & held_up.exists()


async def of_destination(work: Work, destination_id: UUID) -> tuple[int, int]:
    """How many deliveries of a destination still wait, and how many were given up."""
    mine = (Delivery.destination_tenant_id == work.tenant.id, Delivery.destination_id == destination_id)
    waiting, dead = (  # each by its own index, whose predicate is written out
        select(func.count()).select_from(Delivery).where(*mine, text(f"deliveries.state = '{state.value}'"))
        for state in (DeliveryState.PENDING, DeliveryState.DEAD)
    )
    row = (await work.db.execute(select(waiting.scalar_subquery(), dead.scalar_subquery()))).one()
    return int(row[0]), int(row[1])


async def find(work: Work, destination_id: UUID, delivery_id: UUID) -> Delivery:
    """One delivery of a tenant's own destination.

    Raises:
        NotFound: there is no such destination or delivery.
    """
    await _check(work, destination_id)
    row: Delivery | None = await work.db.scalar(_of(work, destination_id).where(Delivery.id == delivery_id))
    if row is None:
        raise NotFound("delivery")
    return row


async def backlog(fleet: Fleet) -> DeliveryBacklog:
    """Count what has not been delivered, over all destinations."""
    row = (
        await fleet.db.execute(
            text("""
                SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
                       count(*) FILTER (WHERE state = 'dead') AS dead,
                       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)
                                FILTER (WHERE state = 'pending')), 0) AS oldest
                  FROM deliveries WHERE state = 'pending' OR state = 'dead'
            """)
        )
    ).one()
    return DeliveryBacklog(pending=row.pending, dead=row.dead, oldest_seconds=float(row.oldest))


async def late(fleet: Fleet) -> Late:
    """Count what is due and waits for us, over all destinations; a departure counts as due since it happened."""
    row = (
        await fleet.db.execute(
            text("""
                SELECT count(*) FILTER (WHERE d.failures = 0) AS number,
                       coalesce(extract(epoch FROM clock_timestamp() - min(greatest(v.next_try_at, v.created_at))
                                FILTER (WHERE d.failures = 0)), 0) AS oldest,
                       count(DISTINCT d.id) FILTER (WHERE d.failures > 0) AS refusing
                  FROM deliveries v
                  JOIN destinations d ON d.tenant_id = v.destination_tenant_id AND d.id = v.destination_id
                 WHERE v.state = 'pending' AND (v.next_try_at <= clock_timestamp() OR d.failures > 0)
                   AND d.disabled_at IS NULL AND d.deleted_at IS NULL
            """)
        )
    ).one()
    return Late(number=row.number, oldest_seconds=float(row.oldest), refusing=row.refusing)


async def troubled(fleet: Fleet) -> Sequence[Any]:
    """The destinations that have something waiting or dead, with how much: rows of numbers and names."""
    rows = await fleet.db.execute(
        select(
            Delivery.destination_tenant_id.label("owner_id"),
            Delivery.destination_id,
            func.max(Delivery.label).label("label"),
            func.count().filter(Delivery.state == DeliveryState.PENDING.value).label("pending"),
            func.count().filter(Delivery.state == DeliveryState.DEAD.value).label("dead"),
            func.min(Delivery.created_at).label("oldest"),
        )
        .where(or_(Delivery.state == DeliveryState.PENDING.value, Delivery.state == DeliveryState.DEAD.value))
        .group_by(Delivery.destination_tenant_id, Delivery.destination_id)
        .order_by(func.count().desc())
        .limit(100)
    )
    return rows.all()


def owner_of(work: Work | Fleet) -> UUID:
    """Whose destinations are meant: the tenant's, or across tenants the installation's."""
    return work.tenant.id if isinstance(work, Work) else INSTALLATION


def _of(work: Work | Fleet, destination_id: UUID) -> Any:
    return (
        select(Delivery)
        .where(Delivery.destination_tenant_id == owner_of(work), Delivery.destination_id == destination_id)
        .execution_options(populate_existing=True)
    )


async def _hold_messages(work: Work | Fleet, destination_id: UUID, which: ColumnElement[bool]) -> None:
    """Keep what is replayed from being forgotten. Lock order: messages before deliveries, as in forgetting."""
    await work.db.execute(
        select(OutboxMessage.id)
        .join(Delivery, (Delivery.tenant_id == OutboxMessage.tenant_id) & (Delivery.message_id == OutboxMessage.id))
        .where(Delivery.destination_tenant_id == owner_of(work), Delivery.destination_id == destination_id, which)
        .order_by(Delivery.id)
        .limit(REPLAY_AT_MOST)
        .with_for_update(read=True, key_share=True, of=OutboxMessage)
    )


async def _check(work: Work | Fleet, destination_id: UUID) -> bool:
    """Whether the destination is open."""
    row = (
        await work.db.execute(
            select(DestinationRow.disabled_at).where(
                DestinationRow.tenant_id == owner_of(work),
                DestinationRow.id == destination_id,
                DestinationRow.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        raise NotFound("destination")
    return row.disabled_at is None


async def _enter(work: Work | Fleet, event: DeliveriesReplayed, destination_id: UUID) -> None:
    if isinstance(work, Work):
        await enter(work, event, target=str(destination_id))
    else:
        await record_for_installation(work, event, target=str(destination_id))
