"""What can happen to what a tenant has of its plan: seats, features, overrides. `events.TOPICS` lists all."""

from dataclasses import dataclass
from typing import Any

from rollcall.journal.event import Event


@dataclass(frozen=True, slots=True)
class TenantOverSeats(Event):
    """More people are active than the tenant has seats: an alert, once. Nobody is cut off by it."""

    topic = "tenant.over_seats"
    used: int
    seats: int | None


@dataclass(frozen=True, slots=True)
class TenantWithinSeats(Event):
    """The tenant has no more active people than seats again, or any number of seats (null)."""

    topic = "tenant.within_seats"
    used: int
    seats: int | None


@dataclass(frozen=True, slots=True)
class TenantOverrideSet(Event):
    """The tenant has something otherwise than its plan says, until *ends_at* (null: until somebody ends it)."""

    topic = "tenant.override_set"
    mailed = True
    key: str
    value: bool | int | str
    reason: str
    ends_at: str | None


@dataclass(frozen=True, slots=True)
class TenantOverrideEnded(Event):
    """Somebody took an override away; one that runs out is `TenantOverrideRanOut`."""

    topic = "tenant.override_ended"
    mailed = True
    key: str


@dataclass(frozen=True, slots=True)
class TenantOverrideRanOut(Event):
    """An override came to its end: since *ends_at* the plan says again what holds. It is told within minutes."""

    topic = "tenant.override_ran_out"
    mailed = True
    key: str
    value: bool | int | str
    ends_at: str


@dataclass(frozen=True, slots=True)
class TenantPaymentChanged(Event):
    """What is paid for the tenant beside its plan is something else, until *ends_at* (null: no end is known)."""

    topic = "tenant.payment_changed"
    features: list[str]
    seats: int | None
    ends_at: str | None


@dataclass(frozen=True, slots=True)
class PricesDefined(Event):
    """What prices at the payment provider stand for is something else."""

    topic = "prices.defined"
    announced = False
    prices: dict[str, Any]
