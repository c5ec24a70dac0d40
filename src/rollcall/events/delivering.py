"""Delivering: what is due for one destination is claimed, sent and marked, in order for each person.

Nothing is sent inside a transaction. What was claimed and not marked, because the process was killed, is due again
when the claim runs out, and goes out with the same id. A claim lasts longer than any call that is begun under it, so
while a worker lives nobody else sends what it is sending.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from rollcall.access.models import Account
from rollcall.crypto import CannotOpen
from rollcall.db import Database, DatabaseError
from rollcall.events import destinations, fanout
from rollcall.events.deliveries import State
from rollcall.events.endings import DEPARTURE, complete_receipt
from rollcall.events.kinds import Destination, Means, Message, Outgoing, kind_of
from rollcall.events.sending import Answer, Sender
from rollcall.journal.models import OutboxMessage
from rollcall.journal.outbox import backoff
from rollcall.journal.record import INSTALLATION
from rollcall.work import SYSTEM, Origin, TenantRef, Work, open_fleet, open_work

log = structlog.get_logger(__name__)

AT_ONCE = 10
"""Calls to one destination at the same time; each is about another person."""
BATCH = 50
ROUND_SECONDS = 20.0
LONGEST_PAUSE = timedelta(minutes=5)
"""How long a receiver that takes nothing is left alone at most between two tries, unless it asks for longer."""
FRESH_SECONDS = 60.0
"""For how long what was worded and signed may be sent; receivers take signatures of the last five minutes."""
GONE = 410
_ORIGIN = Origin(request_id="delivery")
_AWAY = (SQLAlchemyError, OSError, *DatabaseError)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours for a while."""

    tenant: TenantRef
    id: UUID
    message_id: UUID
    line_id: UUID
    attempts: int
    give_up_at: datetime


@dataclass(frozen=True, slots=True)
class Workshop:
    """What delivering needs, made once for a process."""

    database: Database
    means: Means
    sender: Sender
    lease_seconds: float
    """For how long after a claim calls may be begun; the claim itself lasts a call longer."""
    stopping: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Tally:
    """What one round did."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    cancelled: int = 0


_Worded = dict[UUID, Outgoing | Exception | None]
"""What each delivery of a batch says, or why that could not be said."""


@dataclass(slots=True)
class _Batch:
    """What the calls of one claim have in common."""

    destination: Destination
    begin_before: float
    """By the clock that only goes forward; after it no call is begun."""
    worded: _Worded
    tally: Tally
    sound: bool = False
    """The receiver has taken something, or refused something in a way that shows it can."""
    ill: bool = False
    gone: bool = False
    asked_for: float = 0.0

    @property
    def hopeless(self) -> bool:
        """Whether the next call would most likely end as the ones before."""
        return self.gone or (self.ill and not self.sound)


async def deliver(shop: Workshop, owner_id: UUID, destination_id: UUID) -> Tally:
    """Deliver what is due for a destination, until nothing is, it can't take it, or some seconds have passed."""
    tally = Tally()
    ends = time.monotonic() + ROUND_SECONDS
    owner = TenantRef(owner_id, "")
    while time.monotonic() < ends and not shop.stopping():
        try:
            async with open_work(shop.database, owner, SYSTEM, _ORIGIN) as work:
                found = await destinations.opened(work, destination_id, shop.means)
        except CannotOpen:
            log.exception("a destination's secret can't be opened; it waits", destination_id=str(destination_id))
            await _note(shop, owner_id, destination_id, 1, LONGEST_PAUSE)
            tally.dead += await _bury(shop, owner_id, destination_id, ends)
            break
        if found is None:
            break
        row, destination = found
        closed = row.disabled_at is not None or row.deleted_at is not None
        begun = time.monotonic()
        due = await _claim(shop, destination, limit=1 if row.failures and not closed else BATCH, closed=closed)
        if not due:
            break
        if closed:
            tally.cancelled += await _end_untold(shop, due, State.CANCELLED, "the destination is disabled or removed")
            continue
        worded = await _word(shop, destination, due)
        batch = _Batch(destination, begun + min(shop.lease_seconds, FRESH_SECONDS), worded, tally)
        await _send(shop, batch, due)
        await _judge(shop, batch, row.failures)
        if batch.ill and not batch.sound:
            tally.dead += await _bury(shop, owner_id, destination_id, ends)
            break
    async with open_fleet(shop.database, SYSTEM, _ORIGIN) as fleet:
        await fanout.release(fleet, owner_id, destination_id)
    return tally


async def _claim(shop: Workshop, destination: Destination, *, limit: int, closed: bool) -> Sequence[Claimed]:
    """Claim a batch and renew the destination's lease; what stands behind others is put off until they are due."""
    seconds = shop.lease_seconds + shop.sender.seconds + 1
    for _ in range(10):
        async with open_fleet(shop.database, SYSTEM, _ORIGIN) as fleet:
            await fleet.db.execute(
                text(
                    "UPDATE destinations SET leased_until = clock_timestamp() + make_interval(secs => :seconds)"
                    " WHERE tenant_id = :owner AND id = :id"
                ),
                {"seconds": seconds, "owner": destination.tenant_id, "id": destination.id},
            )
            rows = (
                await fleet.db.execute(
                    text(
                        "SELECT c.*, t.slug FROM claim_deliveries(:owner, :id, :limit, :seconds, :closed) c"
                        " LEFT JOIN tenants t ON t.id = c.tenant_id ORDER BY c.message_id"
                    ),
                    {
                        "owner": destination.tenant_id,
                        "id": destination.id,
                        "limit": limit,
                        "seconds": seconds,
                        "closed": closed,
                    },
                )
            ).all()
        if not rows or any(row.claimed for row in rows):
            return [_claimed(row) for row in rows if row.claimed]
    return []


def _claimed(row: Any) -> Claimed:
    slug = destinations.WHOLE_INSTALLATION.slug if row.tenant_id == INSTALLATION else row.slug
    return Claimed(
        TenantRef(row.tenant_id, slug or ""), row.id, row.message_id, row.line_id, row.attempts, row.give_up_at
    )


async def _send(shop: Workshop, batch: _Batch, due: Sequence[Claimed]) -> None:
    """Send a batch: people side by side, each person's own in order."""
    lines: dict[tuple[UUID, UUID], list[Claimed]] = defaultdict(list)
    for each in due:
        lines[each.tenant.id, each.line_id].append(each)
    gate = asyncio.Semaphore(AT_ONCE)

    async def tell(line: Sequence[Claimed]) -> None:
        async with gate:
            await _tell_line(shop, batch, line)

    ended = await asyncio.gather(*(tell(line) for line in lines.values()), return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome


async def _tell_line(shop: Workshop, batch: _Batch, line: Sequence[Claimed]) -> None:
    """Send what concerns one person until something fails; what comes after it waits for it."""
    for position, each in enumerate(line):
        if batch.hopeless or shop.stopping() or time.monotonic() > batch.begin_before:
            await _give_back(shop, line[position:])
            return
        if not await _tell(shop, batch, each, behind=line[position + 1 :]):
            return


async def _tell(shop: Workshop, batch: _Batch, claimed: Claimed, *, behind: Sequence[Claimed]) -> bool:
    """Make one delivery and mark it; returns whether it has ended, so that the next of its line may go."""
    outgoing = batch.worded[claimed.id]
    if isinstance(outgoing, Exception):
        answer = Answer(None, f"it could not be worded: {type(outgoing).__name__}", 0)
        return await _failed(shop, batch, claimed, answer, behind)
    if outgoing is None:
        answer = Answer(None, "nothing to tell this destination", 0)
        await _ended(shop, batch, claimed, State.CANCELLED, answer)
        return True
    answer = await shop.sender.post(outgoing)
    batch.asked_for = max(batch.asked_for, answer.retry_after or 0)
    if answer.taken:
        batch.sound = True
        await _ended(shop, batch, claimed, State.DELIVERED, answer)
        return True
    if answer.status == GONE and await _close(shop, batch):
        await _ended(shop, batch, claimed, State.CANCELLED, answer)
        return True
    batch.ill = batch.ill or answer.ill
    batch.sound = batch.sound or not answer.ill
    return await _failed(shop, batch, claimed, answer, behind)


async def _word(shop: Workshop, destination: Destination, due: Sequence[Claimed]) -> _Worded:
    """Word a batch, one transaction for each tenant in it; what can't be worded is to delay nothing else."""
    worded: _Worded = {}
    for tenant, those in _by_tenant(due).items():
        async with open_work(shop.database, tenant, SYSTEM, _ORIGIN) as work:
            messages = await _messages(work, [each.message_id for each in those])
            for each in those:
                try:
                    worded[each.id] = await kind_of(destination).outgoing(work, destination, messages[each.message_id])
                except _AWAY:
                    raise
                except Exception as error:  # whatever a kind can't do with one message
                    log.exception("a message can't be worded", message_id=str(each.message_id))
                    worded[each.id] = error
    return worded


async def _messages(work: Work, ids: Sequence[UUID]) -> dict[UUID, Message]:
    rows = await work.db.execute(
        select(OutboxMessage, Account.user_name)
        .outerjoin(Account, (Account.tenant_id == OutboxMessage.tenant_id) & (Account.id == OutboxMessage.account_id))
        .where(OutboxMessage.tenant_id == work.tenant.id, OutboxMessage.id.in_(ids))
    )
    return {
        stored.id: Message(
            id=stored.id,
            topic=stored.topic,
            account_id=stored.account_id,
            user_name=user_name,
            payload=stored.payload,
            request_id=stored.request_id,
            created_at=stored.created_at,
        )
        for stored, user_name in rows
    }


def _by_tenant(due: Sequence[Claimed]) -> dict[TenantRef, list[Claimed]]:
    tenants: dict[TenantRef, list[Claimed]] = defaultdict(list)
    for each in due:
        tenants[each.tenant].append(each)
    return tenants


async def _ended(shop: Workshop, batch: _Batch, claimed: Claimed, state: State, answer: Answer) -> None:
    async with open_work(shop.database, claimed.tenant, SYSTEM, _ORIGIN) as work:
        ended = await _mark_ended(work, shop.means, claimed, state, answer)
    if not ended:
        log.warning("a claim had run out; the delivery is somebody else's", delivery_id=str(claimed.id))
    elif state is State.DELIVERED:
        batch.tally.delivered += 1
    elif state is State.CANCELLED:
        batch.tally.cancelled += 1
    else:
        batch.tally.dead += 1


async def _mark_ended(work: Work, means: Means, claimed: Claimed, state: State, answer: Answer) -> bool:
    """Mark a delivery that is still ours, let the next of its line go, and complete the receipt it belongs to."""
    marked: Any = await work.db.execute(
        text("""
            WITH ended AS (
                UPDATE deliveries
                   SET state = :state, ended_at = clock_timestamp(), last_status = :status, last_error = :error,
                       took_ms = :took
                 WHERE tenant_id = :tenant AND id = :id AND state = 'pending'
                   AND attempts = :attempts
                RETURNING destination_tenant_id, destination_id, tenant_id, line_id, message_id, topic),
            woken AS (
                UPDATE deliveries v
                   SET next_try_at = clock_timestamp() - make_interval(days => (v.topic = :departure)::integer)
                  FROM ended e
                 WHERE v.destination_tenant_id = e.destination_tenant_id AND v.destination_id = e.destination_id
                   AND v.tenant_id = e.tenant_id AND v.line_id = e.line_id AND v.message_id > e.message_id
                   AND v.state = 'pending' AND v.attempts = 0 AND v.next_try_at > clock_timestamp())
            SELECT topic FROM ended
        """),
        {
            "state": state.value,
            "status": answer.status,
            "error": None if state is State.DELIVERED else answer.said,
            "took": answer.took_ms,
            "tenant": claimed.tenant.id,
            "id": claimed.id,
            "attempts": claimed.attempts,
            "departure": DEPARTURE,  # it goes first, as when it was fanned out
        },
    )
    topic = marked.scalar_one_or_none()
    if topic == DEPARTURE:
        await complete_receipt(work, claimed.message_id, means)
    return topic is not None


async def _failed(shop: Workshop, batch: _Batch, claimed: Claimed, answer: Answer, behind: Sequence[Claimed]) -> bool:
    """Put a delivery off, and what is behind it in its line; after three days it is dead, and the line goes on."""
    async with open_work(shop.database, claimed.tenant, SYSTEM, _ORIGIN) as work:
        over = work.now >= claimed.give_up_at
        if not over:
            at = min(work.now + _wait(claimed.attempts, answer), claimed.give_up_at)
            await _put_off(work, claimed, at, answer)
            await _return(work, behind, at)
            batch.tally.failed += 1
    if over:
        await _ended(shop, batch, claimed, State.DEAD, answer)
    return over


def _wait(attempts: int, answer: Answer) -> timedelta:
    asked = timedelta(seconds=answer.retry_after or 0)
    return max(backoff(attempts, jitter=secrets.randbelow(1000) / 1000), asked)


async def _put_off(work: Work, claimed: Claimed, at: datetime, answer: Answer) -> None:
    await work.db.execute(
        text("""
            UPDATE deliveries SET next_try_at = :at, last_status = :status, last_error = :error, took_ms = :took
             WHERE tenant_id = :tenant AND id = :id AND state = 'pending' AND attempts = :attempts
        """),
        {
            "at": at,
            "status": answer.status,
            "error": answer.said,
            "took": answer.took_ms,
            "tenant": claimed.tenant.id,
            "id": claimed.id,
            "attempts": claimed.attempts,
        },
    )


async def _give_back(shop: Workshop, claimed: Sequence[Claimed]) -> None:
    """Return what was not tried; that was no attempt."""
    async with open_work(shop.database, claimed[0].tenant, SYSTEM, _ORIGIN) as work:
        await _return(work, claimed, work.now)


async def _return(work: Work, claimed: Sequence[Claimed], at: datetime) -> None:
    for each in claimed:
        await work.db.execute(
            text("""
                UPDATE deliveries SET next_try_at = :at, attempts = attempts - 1,
                       first_tried_at = CASE WHEN attempts > 1 THEN first_tried_at END
                 WHERE tenant_id = :tenant AND id = :id AND state = 'pending' AND attempts = :attempts
            """),
            {"at": at, "tenant": each.tenant.id, "id": each.id, "attempts": each.attempts},
        )


async def _bury(shop: Workshop, owner_id: UUID, destination_id: UUID, ends: float) -> int:
    """Give up what a receiver that takes nothing should have taken by now, also what it was never asked to.

    Such a receiver is asked for one thing at a time, so most of what waits for it would wait for ever. What this does
    not come to before *ends* is left for the next round.
    """
    number = 0
    while time.monotonic() < ends and not shop.stopping():
        async with open_fleet(shop.database, SYSTEM, _ORIGIN) as fleet:
            rows = await fleet.db.execute(
                text("""
                    SELECT tenant_id, id, message_id, line_id, attempts, give_up_at, NULL AS slug FROM deliveries
                     WHERE destination_tenant_id = :owner AND destination_id = :id AND state = 'pending'
                       AND next_try_at <= clock_timestamp() AND give_up_at <= clock_timestamp()
                     ORDER BY message_id LIMIT :limit
                """),
                {"owner": owner_id, "id": destination_id, "limit": BATCH},
            )
            overdue = [_claimed(row) for row in rows]
        ended = await _end_untold(shop, overdue, State.DEAD, "the receiver took nothing until it was given up")
        if not ended:
            break
        number += ended
    return number


async def _end_untold(shop: Workshop, due: Sequence[Claimed], state: State, said: str) -> int:
    """End what a destination is not to hear any more, without asking it."""
    number = 0
    for tenant, those in _by_tenant(due).items():
        async with open_work(shop.database, tenant, SYSTEM, _ORIGIN) as work:
            for each in those:  # in the order of the messages, as everybody who locks several
                number += await _mark_ended(work, shop.means, each, state, Answer(None, said, 0))
    return number


async def _close(shop: Workshop, batch: _Batch) -> bool:
    """Disable a destination whose receiver says that it is gone for good; not one that has been moved since."""
    owner, there = TenantRef(batch.destination.tenant_id, ""), batch.destination
    async with open_work(shop.database, owner, SYSTEM, _ORIGIN) as work:
        batch.gone = await destinations.disable_if_at(work, there.id, there.url, because="it answered 410 Gone")
    return batch.gone


async def _judge(shop: Workshop, batch: _Batch, failures: int) -> None:
    """Leave a receiver alone for a while that took nothing; forget its failures as soon as it takes something."""
    if batch.sound and failures:
        await _note(shop, batch.destination.tenant_id, batch.destination.id, 0, timedelta(0))
    elif batch.ill and not batch.sound:
        wait = min(backoff(failures + 1, jitter=secrets.randbelow(1000) / 1000), LONGEST_PAUSE)
        pause = max(wait, timedelta(seconds=batch.asked_for))
        await _note(shop, batch.destination.tenant_id, batch.destination.id, failures + 1, pause)


async def _note(shop: Workshop, owner_id: UUID, destination_id: UUID, failures: int, wait: timedelta) -> None:
    async with open_fleet(shop.database, SYSTEM, _ORIGIN) as fleet:
        await fleet.db.execute(
            text(
                "UPDATE destinations SET failures = :failures, next_try_at = clock_timestamp() + :wait"
                " WHERE tenant_id = :owner AND id = :id"
            ),
            {"failures": failures, "wait": wait, "owner": owner_id, "id": destination_id},
        )
