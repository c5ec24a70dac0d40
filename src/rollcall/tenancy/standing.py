"""What a payment provider says of a customer at a moment: the same value whoever the provider is."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

LATEST: Final = datetime(2200, 12, 31, tzinfo=UTC)
"""The last moment that a provider may name: days are added to it."""


@dataclass(frozen=True, slots=True)
class BoughtPrice:
    """A price that a customer has bought, and how many times."""

    id: str
    lookup_key: str | None
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a provider says of a customer. It depends on nothing that was said before, so no order matters."""

    plan: str | None = None
    """The key of the plan that is paid for, where the provider knows our plans."""
    features: tuple[str, ...] = ()
    """Keys of features that are paid for; those that are none of ours are kept, shown, and give nothing."""
    seats: int | None = None
    """How many seats are paid for, where the provider says it outright."""
    prices: tuple[BoughtPrice, ...] = ()
    """What was bought; `prices` says what each stands for."""
    ends_at: datetime | None = None
    """When what is paid for ends, or has ended; None: no end is known."""
    grace_until: datetime | None = None
    """Until when everything works at least, though it has ended: the provider still tries to have it paid."""
    stopped_at: datetime | None = None
    """When it ceased to be given, where the provider says so: it may have ended, unpaid, long before that."""
    ask_again_at: datetime | None = None
    """When the provider will say something else, as far as it knows: a trial ends, a payment is tried again."""

    @property
    def is_anything(self) -> bool:
        """Whether anything was ever bought."""
        return bool(self.plan or self.features or self.prices or self.seats)

    def is_paid(self, now: datetime) -> bool:
        """Whether it is paid for at this moment."""
        return self.is_anything and (self.ends_at is None or self.ends_at > now)

    def as_json(self) -> dict[str, Any]:
        """The same as it is kept."""
        return {
            "plan": self.plan,
            "features": sorted(self.features),
            "seats": self.seats,
            "prices": [[each.id, each.lookup_key, each.quantity] for each in self.prices],
            **{name: _said(getattr(self, name)) for name in _MOMENTS},
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        """What was kept."""
        return cls(
            plan=kept["plan"],
            features=tuple(kept["features"]),
            seats=kept["seats"],
            prices=tuple(BoughtPrice(*each) for each in kept["prices"]),
            **{name: _read(kept.get(name)) for name in _MOMENTS},
        )


_MOMENTS = ("ends_at", "grace_until", "stopped_at", "ask_again_at")


def _said(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _read(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
