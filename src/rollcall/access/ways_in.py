"""The ways in: every class of credential there is, and how the one door closes it.

The closing itself is the function ``close_ways_in`` (``sql/leaving.sql``), which names each class in the order that
stands here, and purging is ``settle_departures`` (``proof/sql/receipts.sql``). A new class is a table, an entry here,
and statements there; the tests notice whichever is missing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WayIn:
    """One class of credentials, and where its rows say whose they are and when they were opened and closed."""

    name: str
    """What receipts and events count it as."""
    table: str
    account: str
    opened: str
    closed: str
    because: str
    person_left: str
    """The reason that stands in a row that was closed because its person left."""
    purged: bool = False
    """Whether its rows go once the receipt of a departure has counted them."""


_LEFT = ("account_id", "created_at", "closed_at", "closed_because", "person_left")

WAYS_IN = (
    WayIn("sessions", "sessions", *_LEFT, purged=True),
    WayIn("tokens", "tokens", "owner_id", "created_at", "revoked_at", "revoked_because", "owner_left"),
    WayIn("passkeys", "passkeys", *_LEFT, purged=True),
    WayIn("external", "external_credentials", *_LEFT),
    WayIn("passwords", "passwords", *_LEFT, purged=True),
)
"""In the order in which they are locked and closed."""

NAMES = tuple(way.name for way in WAYS_IN)
