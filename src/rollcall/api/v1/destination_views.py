"""Destinations and deliveries as ``/v1`` takes and shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from rollcall.api.v1.bodies import Body, Moment
from rollcall.events import destination_secrets
from rollcall.events.addresses import LONGEST_URL
from rollcall.events.deliveries import DeliveryState
from rollcall.events.destinations import NewDestination
from rollcall.events.models import Delivery, DestinationRow

Topics = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
StateName = Literal["pending", "delivered", "dead", "cancelled"]


class DestinationView(BaseModel):
    """Somebody outside who hears what happens. ``topics`` is empty for everything that is announced."""

    id: UUID
    kind: str
    url: str
    label: str
    topics: list[str]
    audience: str | None
    state: Literal["enabled", "disabled"]
    disabled_at: datetime | None
    disabled_because: str | None
    live_secrets: int
    failures: int
    next_try_at: datetime | None
    created_at: datetime


class SecretShown(DestinationView):
    """A destination with its secret as it is shown once: keep it, it can't be read again.

    It is null for logout, and for a call that is repeated with its ``Idempotency-Key`` more than ten minutes later.
    """

    secret: str | None


class DestinationWanted(Body):
    """A destination to register: a webhook, or a client to send back-channel logout tokens to."""

    kind: Literal["webhook", "logout"] = "webhook"
    url: str = Field(min_length=1, max_length=LONGEST_URL, description="https://…, a public address")
    label: str = Field(min_length=1, max_length=200)
    topics: Topics = Field(default=[], description="what to hear, such as user.deactivated; left out: everything")
    audience: str | None = Field(default=None, min_length=1, max_length=500, description="logout: the client's id")


class DestinationChange(Body):
    """What to change of a destination; what is left out stays."""

    url: str | None = Field(default=None, min_length=1, max_length=LONGEST_URL)
    label: str | None = Field(default=None, min_length=1, max_length=200)
    topics: Topics | None = None
    audience: str | None = Field(default=None, min_length=1, max_length=500)


class SecretRotation(Body):
    """How a webhook's secret is replaced."""

    overlap_seconds: int = Field(
        default=86_400, ge=0, le=2_592_000, description="how long calls carry a signature with the old one beside it"
    )


class DeliveryView(BaseModel):
    """What became of one message for one destination."""

    id: UUID
    message_id: str
    topic: str
    tenant_id: UUID
    person_id: UUID | None
    state: StateName
    attempts: int
    created_at: datetime
    first_tried_at: datetime | None
    next_try_at: datetime | None
    ended_at: datetime | None
    last_status: int | None
    last_error: str | None
    took_ms: int | None


class TestSent(BaseModel):
    """A test event on its way; the delivery log tells how it went."""

    delivery_id: UUID


class Replayed(BaseModel):
    """How many deliveries are made once more."""

    replayed: int


class ReplayWanted(Body):
    """From when on everything is to be made once more."""

    since: Moment
    after: UUID | None = Field(default=None, description="next_after of the call before, to go on where it ended")


class ReplayedSince(Replayed):
    """How many deliveries are made once more by this call, 10,000 at most, and whether another one is needed."""

    next_after: UUID | None = Field(description="send it as after, with the same since; null if there is nothing more")


def destination_view(row: DestinationRow, now: datetime) -> DestinationView:
    """A destination as it is shown."""
    return DestinationView(**_facts(row, now))


def secret_shown(new: NewDestination, now: datetime) -> SecretShown:
    """A destination with its secret, for this one answer."""
    return SecretShown(**_facts(new.row, now), secret=new.secret)


def delivery_view(row: Delivery) -> DeliveryView:
    """A delivery as it is shown."""
    return DeliveryView(
        id=row.id,
        message_id=f"msg_{row.message_id.hex}",
        topic=row.topic,
        tenant_id=row.tenant_id,
        person_id=row.account_id,
        state=DeliveryState(row.state).value,
        attempts=row.attempts,
        created_at=row.created_at,
        first_tried_at=row.first_tried_at,
        next_try_at=row.next_try_at if row.state == DeliveryState.PENDING else None,
        ended_at=row.ended_at,
        last_status=row.last_status,
        last_error=row.last_error,
        took_ms=row.took_ms,
    )


def _facts(row: DestinationRow, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "url": row.url,
        "label": row.label,
        "topics": row.topics,
        "audience": row.audience,
        "state": "enabled" if row.disabled_at is None else "disabled",
        "disabled_at": row.disabled_at,
        "disabled_because": row.disabled_because,
        "live_secrets": destination_secrets.live_number(row, now),
        "failures": row.failures,
        "next_try_at": row.next_try_at,
        "created_at": row.created_at,
    }
