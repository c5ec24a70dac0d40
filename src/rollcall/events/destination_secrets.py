"""The secrets of destinations: sealed in their rows, replaced with an overlap, opened only to sign what is sent."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select

from rollcall.crypto import Sealer, Under
from rollcall.errors import Invalid
from rollcall.events import destinations
from rollcall.events.destinations import NewDestination
from rollcall.events.models import DestinationRow
from rollcall.events.outgoing import Destination, Signing
from rollcall.events.webhooks import new_secret
from rollcall.journal.destination_events import DestinationSecretRotated
from rollcall.journal.record import record
from rollcall.work import Fleet, Work

MOST_SECRETS = 5


async def rotate(work: Work, destination_id: UUID, sealer: Sealer, *, overlap: timedelta) -> NewDestination:
    """Give a webhook a new secret; until *overlap* is over each call carries a signature with the old one beside it.

    Raises:
        NotFound: there is none.
        Invalid: its kind has no secret.
    """
    row = await destinations.locked(work, destination_id)
    if row.kind != "webhook":
        raise Invalid("This kind of destination has no secret: it is signed with the installation's keys.")
    secret, until = new_secret(), work.now + overlap
    kept = [_until(entry, until) for entry in row.secrets if _is_live(entry, work.now)] if overlap else []
    row.secrets = [destinations.sealed_entry(sealer, secret), *kept[: MOST_SECRETS - 1]]
    seconds = int(overlap.total_seconds())
    await record(work, DestinationSecretRotated(row.id, seconds), target=str(row.id))
    return NewDestination(row, secret)


async def opened(work: Work, destination_id: UUID, signing: Signing) -> tuple[DestinationRow, Destination] | None:
    """A destination with its live secrets in clear; ``None`` when there is none.

    A disabled or removed one comes without: nothing is sent to it, and its backlog can be ended without its secrets.

    Raises:
        CannotOpen: none of our keys opens a secret.
    """
    row = await work.db.scalar(
        select(DestinationRow).where(DestinationRow.tenant_id == work.tenant.id, DestinationRow.id == destination_id)
    )
    if row is None:
        return None
    closed = row.disabled_at is not None or row.deleted_at is not None
    live = [] if closed else [entry for entry in row.secrets if _is_live(entry, work.now)]
    return row, Destination(
        tenant_id=row.tenant_id,
        id=row.id,
        kind=row.kind,
        url=row.url,
        label=row.label,
        audience=row.audience,
        secrets=tuple(signing.sealer.open(entry["sealed"]).decode() for entry in live),
        signing=signing,
    )


async def tenants_with_secrets(fleet: Fleet) -> Sequence[UUID]:
    """The tenants that have webhooks, all zeroes for the installation."""
    found = select(DestinationRow.tenant_id).where(
        DestinationRow.kind == "webhook", DestinationRow.deleted_at.is_(None)
    )
    return (await fleet.db.scalars(found.distinct().order_by(DestinationRow.tenant_id))).all()


async def sealed_under(work: Work, sealer: Sealer) -> Counter[Under]:
    """Under which keys of the settings the live secrets are sealed."""
    return _under(await destinations.every(work), sealer, work.now)


async def reseal(work: Work, sealer: Sealer) -> Counter[Under]:
    """Bring every live secret under the first key, forgetting those that are over; returns under which they were."""
    rows = (await work.db.scalars(destinations.own(work).order_by(DestinationRow.id).with_for_update())).all()
    before = _under(rows, sealer, work.now)
    for row in rows:
        live = [entry for entry in row.secrets if _is_live(entry, work.now)]
        row.secrets = [entry | {"sealed": sealer.resealed(entry["sealed"])} for entry in live]
    return before


def live_number(row: DestinationRow, now: datetime) -> int:
    """With how many secrets calls are signed now."""
    return sum(_is_live(entry, now) for entry in row.secrets)


def _under(rows: Sequence[DestinationRow], sealer: Sealer, now: datetime) -> Counter[Under]:
    return Counter(sealer.under(entry["sealed"]) for row in rows for entry in row.secrets if _is_live(entry, now))


def _until(entry: dict[str, Any], until: datetime) -> dict[str, Any]:
    ends = until if entry["until"] is None else min(until, datetime.fromisoformat(entry["until"]))
    return entry | {"until": ends.isoformat()}


def _is_live(entry: dict[str, Any], now: datetime) -> bool:
    until = cast("str | None", entry["until"])
    return until is None or datetime.fromisoformat(until) > now
