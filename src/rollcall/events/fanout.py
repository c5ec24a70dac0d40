"""From the outbox to the destinations: one delivery for each that wants to hear, made in one statement for a batch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from rollcall.work import Fleet

SLOW_AT_ONCE = 10
"""How many receivers that took nothing last time are tried at the same time, whatever there is to do otherwise."""


@dataclass(frozen=True, slots=True)
class LeasedDestination:
    """A destination that somebody looks after for a while."""

    owner_id: UUID
    """The tenant it is of, or all zeroes."""
    id: UUID
    failing: bool


async def fan_out(fleet: Fleet, *, limit: int, heard: Collection[str]) -> int:
    """Make the deliveries of up to *limit* new messages, oldest first; returns how many messages there were.

    Messages of topics that are not *heard* within Rollcall itself are done with it. While another relay is doing
    this, there is nothing to do.
    """
    number = await fleet.db.scalar(
        text("SELECT fan_out(:limit, CAST(:heard AS text[]))"), {"limit": limit, "heard": list(heard)}
    )
    return int(number or 0)


async def lease(fleet: Fleet, *, limit: int, seconds: float) -> Sequence[LeasedDestination]:
    """Take destinations that have something due; they are nobody else's for *seconds*.

    Those whose last call failed are taken a few at a time: they may hang, and the others are not to wait for them.
    """
    trying = await fleet.db.scalar(
        text("SELECT count(*) FROM destinations WHERE failures > 0 AND leased_until > clock_timestamp()")
    )
    sound = await _lease(fleet, limit, seconds, failing=False)
    failing = await _lease(fleet, max(0, SLOW_AT_ONCE - int(trying or 0)), seconds, failing=True)
    return [*sound, *failing]


async def _lease(fleet: Fleet, limit: int, seconds: float, *, failing: bool) -> Sequence[LeasedDestination]:
    rows = await fleet.db.execute(
        text("SELECT owner_id, destination_id FROM lease_destinations(:limit, :seconds, :failing)"),
        {"limit": limit, "seconds": seconds, "failing": failing},
    )
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
