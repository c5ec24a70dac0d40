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
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from uuid import UUID

import structlog

from rollcall.crypto import CannotOpen
from rollcall.db import Database
from rollcall.events import claims, destination_secrets, destinations, fanout
from rollcall.events.claims import Claimed, Ended
from rollcall.events.deliveries import DeliveryState
from rollcall.events.outgoing import Destination, Signing
from rollcall.events.sending import ReceiverAnswer, Sender
from rollcall.events.wording import ORIGIN, Worded, by_tenant, word
from rollcall.journal.outbox import backoff
from rollcall.work import SYSTEM, TenantRef, open_fleet, open_work

log = structlog.get_logger(__name__)

AT_ONCE = 10
"""Calls to one destination at the same time; each is about another person."""
BATCH = 50
ROUND_SECONDS = 20.0
LONGEST_PAUSE = timedelta(minutes=5)
"""How long a receiver that takes nothing is left alone at most between two tries, unless it asks for longer."""
DISABLE_AFTER = timedelta(days=7)
"""How long a receiver may take nothing before nothing more is kept for it; what it missed was given up long before."""
TOGETHER_SECONDS = 0.02
"""How long a delivery that has ended waits at most for others that are under way, to be marked together with them."""
FRESH_SECONDS = 60.0
"""For how long what was worded and signed may be sent; receivers take signatures of the last five minutes."""
GONE = 410


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What delivering needs, made once for a process."""

    database: Database
    signing: Signing
    sender: Sender
    lease_seconds: float
    """For how long after a claim calls may be begun; the claim itself lasts a call longer."""
    stopping: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class DeliveryTally:
    """What one round did."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class _Batch:
    """What the calls of one claim have in common."""

    destination: Destination
    begin_before: float
    """By the clock that only goes forward; after it no call is begun."""
    worded: Worded
    tally: DeliveryTally
    calls: int = 0
    """Calls under way."""
    ended: list[Ended] = field(default_factory=list[Ended])
    """Deliveries that have ended and wait to be marked; each still holds its place among those `AT_ONCE`."""
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no other is to be waited for: those that wait are marked."""
    marking: asyncio.Lock = field(default_factory=asyncio.Lock)
    away: bool = False
    """What has ended can't be marked, so nothing more is begun; what is claimed is due again when the claim ends."""
    sound: bool = False
    """The receiver has taken something, or refused something in a way that shows it can."""
    ill: bool = False
    gone: bool = False
    asked_for: float = 0.0

    @property
    def hopeless(self) -> bool:
        """Whether the next call would most likely end as the ones before."""
        return self.gone or (self.ill and not self.sound)


async def deliver(context: DeliveryContext, owner_id: UUID, destination_id: UUID) -> DeliveryTally:
    """Deliver what is due for a destination, until nothing is, it can't take it, or some seconds have passed."""
    tally = DeliveryTally()
    ends = time.monotonic() + ROUND_SECONDS
    owner = TenantRef(owner_id, "")
    while time.monotonic() < ends and not context.stopping():
        try:
            async with open_work(context.database, owner, SYSTEM, ORIGIN) as work:
                found = await destination_secrets.opened(work, destination_id, context.signing)
        except CannotOpen:
            log.exception("a destination's secret can't be opened; it waits", destination_id=str(destination_id))
            await _pause(context, owner_id, destination_id, LONGEST_PAUSE)
            tally.dead += await _bury(context, owner_id, destination_id, ends)
            break
        if found is None:
            break
        row, destination = found
        closed = row.disabled_at is not None or row.deleted_at is not None
        begun = time.monotonic()
        due = await _claim(context, destination, limit=1 if row.failures and not closed else BATCH, closed=closed)
        if not due:
            break
        if closed:
            tally.cancelled += await _end_unsent(
                context, due, DeliveryState.CANCELLED, "the destination is disabled or removed"
            )
            continue
        worded = await word(context.database, destination, due)
        batch = _Batch(destination, begun + min(context.lease_seconds, FRESH_SECONDS), worded, tally)
        await _send(context, batch, due)
        await _judge(context, batch, row.failures)
        if batch.ill and not batch.sound:
            tally.dead += await _bury(context, owner_id, destination_id, ends)
            break
    async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
        await fanout.release(fleet, owner_id, destination_id)
    return tally


async def _claim(context: DeliveryContext, destination: Destination, *, limit: int, closed: bool) -> Sequence[Claimed]:
    """Claim a batch. Where all that was due stands behind others, what is due next is looked at."""
    seconds = context.lease_seconds + context.sender.seconds + 1
    for _ in range(10):
        async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
            due, anything = await claims.claim(
                fleet, destination.tenant_id, destination.id, limit=limit, seconds=seconds, closed=closed
            )
        if due or not anything:
            return due
    return []


async def _send(context: DeliveryContext, batch: _Batch, due: Sequence[Claimed]) -> None:
    """Send a batch: people side by side, each person's own in order."""
    lines: dict[tuple[UUID, UUID], list[Claimed]] = defaultdict(list)
    for each in due:
        lines[each.tenant.id, each.line_id].append(each)
    gate = asyncio.Semaphore(AT_ONCE)

    async def send_line(line: Sequence[Claimed]) -> None:
        async with gate:
            await _send_line(context, batch, line)

    ended = await asyncio.gather(*(send_line(line) for line in lines.values()), return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome


async def _send_line(context: DeliveryContext, batch: _Batch, line: Sequence[Claimed]) -> None:
    """Send what concerns one person until something fails; what comes after it waits for it."""
    for position, each in enumerate(line):
        if batch.away:
            return
        if batch.hopeless or context.stopping() or time.monotonic() > batch.begin_before:
            await _give_back(context, line[position:])
            return
        if not await _send_one(context, batch, each, behind=line[position + 1 :]):
            return


async def _send_one(context: DeliveryContext, batch: _Batch, claimed: Claimed, *, behind: Sequence[Claimed]) -> bool:
    """Make one delivery and mark it; returns whether it has ended, so that the next of its line may go."""
    outgoing = batch.worded[claimed.message_id]
    if isinstance(outgoing, Exception):
        answer = ReceiverAnswer(None, f"it could not be worded: {type(outgoing).__name__}", 0)
        return await _failed(context, batch, claimed, answer, behind)
    if outgoing is None:
        answer = ReceiverAnswer(None, "nothing to tell this destination", 0)
        await _end(context, batch, Ended(claimed, DeliveryState.CANCELLED, answer))
        return True
    batch.calls += 1
    answer = await context.sender.post(outgoing)
    batch.calls -= 1
    batch.asked_for = max(batch.asked_for, answer.retry_after or 0)
    if answer.taken:
        batch.sound = True
        await _end(context, batch, Ended(claimed, DeliveryState.DELIVERED, answer))
        return True
    if answer.status == GONE and await _close(context, batch):
        await _end(context, batch, Ended(claimed, DeliveryState.CANCELLED, answer))
        return True
    batch.ill = batch.ill or answer.ill
    batch.sound = batch.sound or not answer.ill
    return await _failed(context, batch, claimed, answer, behind)


async def _end(context: DeliveryContext, batch: _Batch, ended: Ended) -> None:
    """Mark a delivery, together with all that end while others are called or marked."""
    batch.ended.append(ended)
    complete = batch.complete
    if not batch.calls:
        complete.set()
    elif len(batch.ended) == 1:
        asyncio.get_running_loop().call_later(TOGETHER_SECONDS, complete.set)
    await complete.wait()
    async with batch.marking:
        if ended in batch.ended:  # or somebody has marked it with theirs
            those, batch.ended, batch.complete = batch.ended, [], asyncio.Event()
            await _mark(context, batch, those)


async def _mark(context: DeliveryContext, batch: _Batch, ended: Sequence[Ended]) -> None:
    """Mark what has ended, tenant by tenant; what can't be marked is left to the next that would mark something."""
    waiting = by_tenant(ended, lambda ended: ended.claimed)
    for tenant, those in list(waiting.items()):
        try:
            async with open_work(context.database, tenant, SYSTEM, ORIGIN) as work:
                marked = await claims.end(work, context.signing, batch.destination.id, those)
        except Exception:
            batch.away = True
            batch.ended[:0] = chain.from_iterable(waiting.values())
            batch.complete.set()
            raise
        del waiting[tenant]
        for each in those:
            _count(batch.tally, each, ours=each.claimed.message_id in marked)


def _count(tally: DeliveryTally, ended: Ended, *, ours: bool) -> None:
    if not ours:
        log.warning("a claim had run out; the delivery is somebody else's", message_id=str(ended.claimed.message_id))
    elif ended.state is DeliveryState.DELIVERED:
        tally.delivered += 1
    elif ended.state is DeliveryState.CANCELLED:
        tally.cancelled += 1
    else:
        tally.dead += 1


async def _failed(
    context: DeliveryContext, batch: _Batch, claimed: Claimed, answer: ReceiverAnswer, behind: Sequence[Claimed]
) -> bool:
    """Put a delivery off, and what is behind it in its line; after three days it is dead, and the line goes on."""
    wait = _wait(claimed.attempts, answer)
    async with open_work(context.database, claimed.tenant, SYSTEM, ORIGIN) as work:
        again = await claims.put_off(work, claimed, wait, answer)
        if again:
            await claims.give_back(work, behind, wait)
            batch.tally.failed += 1
    if not again:
        await _end(context, batch, Ended(claimed, DeliveryState.DEAD, answer))
    return not again


def _wait(attempts: int, answer: ReceiverAnswer) -> timedelta:
    asked = timedelta(seconds=answer.retry_after or 0)
    return max(backoff(attempts, jitter=secrets.randbelow(1000) / 1000), asked)


async def _give_back(context: DeliveryContext, claimed: Sequence[Claimed]) -> None:
    """Return what was not tried."""
    async with open_work(context.database, claimed[0].tenant, SYSTEM, ORIGIN) as work:
        await claims.give_back(work, claimed)


async def _bury(context: DeliveryContext, owner_id: UUID, destination_id: UUID, ends: float) -> int:
    """Give up what a receiver that takes nothing should have taken by now, also what it was never asked to.

    Such a receiver is asked for one thing at a time, so most of what waits for it would wait for ever. What this does
    not come to before *ends* is left for the next round.
    """
    number = 0
    while time.monotonic() < ends and not context.stopping():
        async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
            overdue = await claims.overdue(fleet, owner_id, destination_id, limit=BATCH)
        ended = await _end_unsent(
            context, overdue, DeliveryState.DEAD, "the receiver took nothing until it was given up"
        )
        if not ended:
            break
        number += ended
    return number


async def _end_unsent(context: DeliveryContext, due: Sequence[Claimed], state: DeliveryState, said: str) -> int:
    """End what is not to be sent to a destination any more, without asking it."""
    number = 0
    for tenant, those in by_tenant(due, lambda claimed: claimed).items():
        async with open_work(context.database, tenant, SYSTEM, ORIGIN) as work:
            ended = [Ended(each, state, ReceiverAnswer(None, said, 0)) for each in those]
            number += len(await claims.end(work, context.signing, those[0].destination_id, ended))
    return number


async def _close(context: DeliveryContext, batch: _Batch) -> bool:
    """Disable a destination whose receiver says that it is gone for good; not one that has been moved since."""
    batch.gone = await _disable(context, batch, "it answered 410 Gone")
    return batch.gone


async def _disable(context: DeliveryContext, batch: _Batch, because: str) -> bool:
    owner, there = TenantRef(batch.destination.tenant_id, ""), batch.destination
    async with open_work(context.database, owner, SYSTEM, ORIGIN) as work:
        return await destinations.disable_if_at(work, there.id, there.url, because=because)


async def _judge(context: DeliveryContext, batch: _Batch, failures: int) -> None:
    """Leave a receiver alone for a while that took nothing; forget its failures as soon as it takes something."""
    owner_id, destination_id = batch.destination.tenant_id, batch.destination.id
    if batch.sound and failures:
        async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
            await fanout.took_something(fleet, owner_id, destination_id)
    elif batch.ill and not batch.sound:
        wait = min(backoff(failures + 1, jitter=secrets.randbelow(1000) / 1000), LONGEST_PAUSE)
        pause = max(wait, timedelta(seconds=batch.asked_for))
        async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
            failing_for = await fanout.took_nothing(fleet, owner_id, destination_id, pause)
        if failing_for > DISABLE_AFTER:
            await _disable(context, batch, f"it took nothing for {failing_for.days} days")


async def _pause(context: DeliveryContext, owner_id: UUID, destination_id: UUID, wait: timedelta) -> None:
    """Leave a destination alone for a while for a reason of our own."""
    async with open_fleet(context.database, SYSTEM, ORIGIN) as fleet:
        await fanout.pause(fleet, owner_id, destination_id, wait)
