"""What is measured: requests of one sort to one server, and the words that all of them share."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count

from benchmarks.dataset import Tenant


class Target(Enum):
    """Which server an operation asks."""

    FLOOR = "floor"
    ROLLCALL = "rollcall"
    SMALLER = "smaller"
    """Rollcall on a smaller dataset, to see what growth costs."""
    PEER = "peer"
    """Another SCIM server, that keeps everything in memory."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Requests of one sort. *write* makes up to as many as it is told; those of a change are used only once."""

    name: str
    target: Target
    write: Callable[[int], Sequence[bytes]]
    status: int = 200
    holds: bytes = b""
    again: bool = True
    people: int = 1
    """How many people one request is about, where the rate is told in people; fewer requests are made ready then."""
    connections: int | None = None
    """Busy at a time, where not as many as for all others."""


SCIM = "application/scim+json"
FORM = "application/x-www-form-urlencoded"
NUMBERS = count(1)
"""For names and titles that nobody has had before."""


def bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.token}"}


def shuffled(requests: Iterable[bytes]) -> list[bytes]:
    mixed = list(requests)
    random.Random(7662).shuffle(mixed)
    return mixed
