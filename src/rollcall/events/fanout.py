"""From the outbox to the destinations: one delivery for each that subscribes, made in one statement for a batch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from rollcall.events import statements
from rollcall.work import Fleet

SLOW_AT_ONCE = 10
"""How many receivers that took nothing last time are tried at the same time, whatever there is to do otherwise."""

SLOW_OF_OWNER = 3
"""How many of those may be one owner's."""

OF_OWNER = 8
"""How many destinations of one owner are looked after at the same time; they may begin to hang all at once."""


@dataclass(frozen=True, slots=True)
class LeasedDestination:
    """A destination that somebody looks after for a while."""

    owner_id: UUID
    """The tenant it is of, or all zeroes."""
    id: UUID
    failing: bool


async def fan_out(fleet: Fleet, *, limit: int, handled: Collection[str]) -> int:
    """Make the deliveries of up to *limit* new messages, oldest first; returns how many messages there were.

    Messages of topics that are not *handled* by a task of Rollcall itself are done with it. While another relay is
    doing this, there is nothing to do.
    """
    return await statements.fan_out(fleet, limit, handled)


async def lease(fleet: Fleet, *, limit: int, seconds: float) -> Sequence[LeasedDestination]:
    """Take destinations that have something due; they are nobody else's for *seconds*.

    Those whose last call failed are taken a few at a time: they may hang, and the others are not to wait for them. For
    the same reason one owner's are; those that had no lease for longest come first.
    """
    trying = await fleet.db.scalar(
        text("SELECT count(*) FROM destinations WHERE failures > 0 AND leased_until > clock_timestamp()")
    )
    sound = await _lease(fleet, limit, OF_OWNER, seconds, failing=False)
    failing = await _lease(fleet, max(0, SLOW_AT_ONCE - int(trying or 0)), SLOW_OF_OWNER, seconds, failing=True)
    return [*sound, *failing]


async def _lease(fleet: Fleet, limit: int, most: int, seconds: float, *, failing: bool) -> Sequence[LeasedDestination]:
    rows = await statements.lease_destinations(fleet, limit=limit, most=most, seconds=seconds, failing=failing)
    return [LeasedDestination(row.owner_id, row.destination_id, failing) for row in rows]


async def release(fleet: Fleet, owner_id: UUID, destination_id: UUID) -> None:
    """Let others look after a destination again."""
    await fleet.db.execute(
        text(
            "UPDATE destinations SET leased_until = clock_timestamp()"
            " WHERE tenant_id = :owner AND id = :id AND leased_until > clock_timestamp()"
        ),
        {"owner": owner_id, "id": destination_id},
    )


async def give_back(fleet: Fleet, leased: Sequence[LeasedDestination]) -> None:
    """Return leases that could not be handed on, because the broker is away."""
    for each in leased:
        await release(fleet, each.owner_id, each.id)


async def took_something(fleet: Fleet, owner_id: UUID, destination_id: UUID) -> None:
    """Forget that a receiver failed."""
    await fleet.db.execute(
        text(
            "UPDATE destinations SET failures = 0, failing_since = NULL, next_try_at = NULL"
            " WHERE tenant_id = :owner AND id = :id"
        ),
        {"owner": owner_id, "id": destination_id},
    )


async def took_nothing(fleet: Fleet, owner_id: UUID, destination_id: UUID, wait: timedelta) -> timedelta:
    """Leave a receiver alone for *wait*; returns for how long it has taken nothing."""
    since = await fleet.db.scalar(
        text("""
            UPDATE destinations
               SET failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()),
                   next_try_at = clock_timestamp() + :wait
             WHERE tenant_id = :owner AND id = :id RETURNING clock_timestamp() - failing_since
        """),
        {"wait": wait, "owner": owner_id, "id": destination_id},
    )
    return since or timedelta(0)


async def pause(fleet: Fleet, owner_id: UUID, destination_id: UUID, wait: timedelta) -> None:
    """Leave a destination alone for *wait* and try it with one thing at a time then; its receiver is not to blame."""
    await fleet.db.execute(
        text(
            "UPDATE destinations SET failures = greatest(failures, 1), next_try_at = clock_timestamp() + :wait"
            " WHERE tenant_id = :owner AND id = :id"
        ),
        {"wait": wait, "owner": owner_id, "id": destination_id},
    )
