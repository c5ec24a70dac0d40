"""Destinations: who outside subscribes, registered by a tenant's admins or, for all tenants, by ops.

The installation's own are rows of a tenant that is all zeroes, so that every door here takes a `Work` of either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select, text

from rollcall import paging
from rollcall.crypto import Sealer
from rollcall.errors import Conflict, Invalid, NotFound
from rollcall.events import kinds
from rollcall.events.addresses import AddressRules
from rollcall.events.models import DestinationRow
from rollcall.events.webhooks import new_secret
from rollcall.journal.destination_events import (
    DestinationChanged,
    DestinationCreated,
    DestinationDisabled,
    DestinationEnabled,
    DestinationRemoved,
)
from rollcall.journal.events import TOPICS
from rollcall.journal.record import INSTALLATION, record
from rollcall.paging import Page
from rollcall.tenancy import features
from rollcall.work import TenantRef, Work

MOST_DESTINATIONS = 20
UNGATED = frozenset({"user.deactivated", "user.removed", "session.closed"})
"""Topics that are gated by no plan (in the database `may_hear`)."""
GIVE_UP_AFTER = timedelta(days=3)
WHOLE_INSTALLATION = TenantRef(INSTALLATION, "installation")
"""What stands in a tenant's place for the destinations that subscribe to every tenant."""


class TooManyDestinations(Conflict):
    """There are as many destinations as there may be."""

    code = "too_many_destinations"
    advice = "Remove a destination that is no longer used."

    def __init__(self) -> None:
        super().__init__(f"There are {MOST_DESTINATIONS} destinations already; remove one that is no longer used.")


class DestinationClosed(Conflict):
    """Nothing is sent to it until it is enabled again."""

    code = "destination_disabled"
    advice = "Enable the destination first."

    def __init__(self) -> None:
        super().__init__("This destination is disabled; enable it first.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A destination as it is asked for."""

    kind: str
    url: str
    label: str
    topics: Sequence[str] = ()
    """Empty for everything that is announced."""
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; ``None`` keeps it."""

    url: str | None = None
    label: str | None = None
    topics: Sequence[str] | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class NewDestination:
    """A destination with its secret in clear; ``None`` for kinds that are signed with the installation's keys."""

    row: DestinationRow
    secret: str | None = field(repr=False)


async def create(work: Work, wanted: Wanted, rules: AddressRules, sealer: Sealer) -> NewDestination:
    """Register a destination. Its secret is in this answer and nowhere else.

    Raises:
        DestinationRefused: the URL is none that we would call.
        Invalid: a topic that nobody announces, or an audience missing or out of place.
        FeatureMissing: it hears of more than who is out, and the plan does not include that.
        TooManyDestinations: there are as many as there may be.
    """
    topics = _topics(wanted.kind, wanted.topics)
    await _check_feature(work, topics)
    _check_audience(wanted.kind, wanted.audience)
    await rules.judge(wanted.url)
    await _check_number(work)
    secret = new_secret() if wanted.kind == "webhook" else None
    row = DestinationRow(
        tenant_id=work.tenant.id,
        kind=wanted.kind,
        url=wanted.url,
        label=wanted.label,
        topics=topics,
        audience=wanted.audience,
        secrets=[] if secret is None else [sealed_entry(sealer, secret)],
        created_at=work.now,
        failures=0,
    )
    work.db.add(row)
    await work.db.flush()  # the id is in the entry
    await record(work, DestinationCreated(row.id, row.kind, row.label, host_of(row.url), topics), target=str(row.id))
    return NewDestination(row, secret)


async def every(work: Work) -> Sequence[DestinationRow]:
    """The destinations, oldest first."""
    return (await work.db.scalars(own(work).order_by(DestinationRow.id))).all()


async def page(work: Work, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[DestinationRow]:
    """Some of the destinations, oldest first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    return await paging.page(work.db, own(work), DestinationRow.id, limit=limit, cursor=cursor)


async def find(work: Work, destination_id: UUID) -> DestinationRow:
    """One destination.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = await work.db.scalar(own(work).where(DestinationRow.id == destination_id))
    if row is None:
        raise NotFound("destination")
    return row


async def change(work: Work, destination_id: UUID, wanted: Change, rules: AddressRules) -> DestinationRow:
    """Change where a destination is or what it subscribes to from now on; its secrets stay.

    Raises:
        NotFound, DestinationRefused, Invalid: as for a new one.
    """
    if wanted.url is not None:
        await rules.judge(wanted.url)
    row = await locked(work, destination_id)
    before = (row.url, row.label, row.topics, row.audience)
    if wanted.url is not None and wanted.url != row.url:
        row.url, row.failures, row.failing_since, row.next_try_at = wanted.url, 0, None, None
    row.label = row.label if wanted.label is None else wanted.label
    if wanted.topics is not None:
        row.topics = _topics(row.kind, wanted.topics)
        await _check_feature(work, row.topics)
    if wanted.audience is not None:
        _check_audience(row.kind, wanted.audience)
        row.audience = wanted.audience
    after = (row.url, row.label, row.topics, row.audience)
    changed = [
        name for name, old, new in zip(("url", "label", "topics", "audience"), before, after, strict=True) if old != new
    ]
    if changed:
        await record(work, DestinationChanged(row.id, changed, host_of(row.url)), target=str(row.id))
    return row


async def enable(work: Work, destination_id: UUID) -> DestinationRow:
    """Send to a disabled destination again, from now on: what was cancelled stays so and can be replayed."""
    row = await locked(work, destination_id)
    if row.disabled_at is not None:
        row.disabled_at = row.disabled_because = row.next_try_at = row.failing_since = None
        row.failures = 0
        await record(work, DestinationEnabled(row.id), target=str(row.id))
    return row


async def disable(work: Work, destination_id: UUID, *, because: str) -> DestinationRow:
    """Send a destination nothing more; the worker cancels what still waits for it. Twice is the same as once."""
    row = await locked(work, destination_id)
    if row.disabled_at is None:
        row.disabled_at, row.disabled_because = work.now, because
        await record(work, DestinationDisabled(row.id, row.label, because), target=str(row.id))
    return row


async def disable_if_at(work: Work, destination_id: UUID, url: str, *, because: str) -> bool:
    """Disable a destination, unless it has been moved away from *url*; returns whether it is closed now."""
    try:
        row = await locked(work, destination_id)
    except NotFound:  # it has been removed
        return True
    if row.url != url:
        return False
    await disable(work, destination_id, because=because)
    return True


async def remove(work: Work, destination_id: UUID) -> None:
    """Take a destination away, its secrets at once; the worker cancels what still waits for it."""
    row = await locked(work, destination_id)
    row.deleted_at, row.secrets = work.now, []
    await record(work, DestinationRemoved(row.id, row.label), target=str(row.id))


def host_of(url: str) -> str:
    """The part of a URL that may stand in the audit; the rest may hold secrets."""
    return urlsplit(url).netloc


def own(work: Work) -> Any:
    """The question for the destinations of *work*'s tenant that have not been removed."""
    return select(DestinationRow).where(DestinationRow.tenant_id == work.tenant.id, DestinationRow.deleted_at.is_(None))


async def locked(work: Work, destination_id: UUID) -> DestinationRow:
    """One destination as it is now, its row held until the commit.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = await work.db.scalar(
        own(work).where(DestinationRow.id == destination_id).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("destination")
    return row


async def _check_number(work: Work) -> None:
    await work.db.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('destinations ' || :tenant, 0))"),
        {"tenant": str(work.tenant.id)},
    )
    number = await work.db.scalar(select(func.count()).select_from(own(work).subquery()))
    if (number or 0) >= MOST_DESTINATIONS:
        raise TooManyDestinations


def _topics(kind: str, given: Sequence[str]) -> list[str]:
    sayable = kinds.TOPICS.get(kind) or tuple(topic for topic, event in TOPICS.items() if event.announced)
    if unknown := sorted(set(given) - set(sayable)):
        msg = f"No destination of this kind hears of {', '.join(unknown)}; there are: {', '.join(sorted(sayable))}."
        raise Invalid(msg, param="topics")
    return list(dict.fromkeys(given or kinds.TOPICS.get(kind, ())))


async def _check_feature(work: Work, topics: Sequence[str]) -> None:
    """See that a tenant's own destination hears of no more than its plan includes; of whoever is out it always does."""
    if work.tenant.id != INSTALLATION and not (topics and UNGATED.issuperset(topics)):
        await features.insist(work, "events", f"A destination that hears of more than {', '.join(sorted(UNGATED))}")


def _check_audience(kind: str, audience: str | None) -> None:
    if (kind == "logout") != (audience is not None):
        raise Invalid(
            "A logout destination names the client its tokens are for (audience)."
            if kind == "logout"
            else "Only a logout destination has an audience.",
            param="audience",
        )


def sealed_entry(sealer: Sealer, secret: str) -> dict[str, Any]:
    """A secret as a row keeps it: sealed, and without an end as long as no other follows it."""
    return {"sealed": sealer.seal(secret.encode()), "until": None}
