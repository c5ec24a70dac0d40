"""Whether what has to go out goes out: departures to settle, and deliveries to destinations."""

from enum import StrEnum
from typing import assert_never

from rollcall.checks.asking import ACTOR, ORIGIN, Grounds
from rollcall.checks.model import Check, failed, ok, warning
from rollcall.db import Database
from rollcall.events import deliveries
from rollcall.events.deliveries import Late
from rollcall.journal import outbox
from rollcall.journal.outbox import OutboxBacklog
from rollcall.work import open_fleet

BACKLOG = "backlog"

LATE_SECONDS = 60.0
"""What has waited for us this long is late; before, it is only on its way."""

STUCK_SECONDS = 300.0
"""What has waited for us this long does not move."""


class Progress(StrEnum):
    """How well things go out."""

    NOTHING_WAITS = "nothing waits"
    ON_ITS_WAY = "on its way"
    LATE = "late"
    STUCK = "stuck"
    GIVEN_UP = "given up"
    """Departures could not be settled for three days."""


async def look(database: Database) -> tuple[OutboxBacklog, Late]:
    """Count what waits for us: messages of the outbox, and deliveries that are due."""
    async with open_fleet(database, ACTOR, ORIGIN) as fleet:
        return await outbox.backlog(fleet), await deliveries.late(fleet)


def progress(messages: OutboxBacklog, due: Late) -> Progress:
    """The worst of both; what a destination does not take waits for somebody else, and is none of it."""
    oldest = max(messages.oldest_seconds, due.oldest_seconds)
    if messages.dead:
        return Progress.GIVEN_UP
    if oldest > STUCK_SECONDS:
        return Progress.STUCK
    if oldest > LATE_SECONDS:
        return Progress.LATE
    return Progress.ON_ITS_WAY if messages.waiting or due.number else Progress.NOTHING_WAITS


async def backlog(grounds: Grounds) -> Check:
    """Whether anything waits for longer than it should."""
    messages, due = await look(grounds.database)
    return judged(messages, due)


def judged(messages: OutboxBacklog, due: Late) -> Check:
    """What waits, with figures."""
    said = (
        f"{messages.waiting} messages wait, the oldest for {messages.oldest_seconds:.0f} s; {messages.dead} were given "
        f"up; {due.number} deliveries are due, the oldest for {due.oldest_seconds:.0f} s"
    )
    if due.refusing:
        said += f"; {due.refusing} destinations do not take what they are sent, and are tried again"
    found = progress(messages, due)
    match found:
        case Progress.NOTHING_WAITS | Progress.ON_ITS_WAY:
            return ok(BACKLOG, said)
        case Progress.LATE:
            return warning(BACKLOG, said, "see that relay and workers run; more workers take more at a time")
        case Progress.STUCK:
            return failed(BACKLOG, said, "see that relay and workers run, and what they log")
        case Progress.GIVEN_UP:
            return failed(BACKLOG, said, "see what the workers log; 'rollcall outbox --replay' has them tried again")
        case _:
            assert_never(found)
