"""The kinds of destinations there are, each with the module that words its messages. The next kind is one more line.

A kind is a module with ``async def outgoing(work, destination, message) -> Outgoing | None``. It says what to send and
sends nothing itself: leases, order, retries, addresses and the log are the same for every kind.
"""

from collections.abc import Mapping

from rollcall.events import logout, webhooks
from rollcall.events.outgoing import DestinationKind

KINDS: Mapping[str, DestinationKind] = {"webhook": webhooks, "logout": logout}

TOPICS: Mapping[str, tuple[str, ...]] = {
    "logout": ("user.deactivated", "session.closed"),
}
"""What a kind can say at all; a kind that is not here can say everything."""
