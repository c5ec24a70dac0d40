"""What happens at the console's door: codes, links, and who comes in by which. None of it is announced."""

from dataclasses import dataclass
from uuid import UUID

from rollcall.journal.event import Event


@dataclass(frozen=True, slots=True)
class ConsoleCodeIssued(Event):
    """Ops made a code that lets somebody into the console once."""

    topic = "console.code_issued"
    announced = False
    code_id: UUID


@dataclass(frozen=True, slots=True)
class PortalLinkIssued(Event):
    """The product made a link that lets an admin into the console once, for one intent."""

    topic = "console.portal_link_issued"
    announced = False
    link_id: UUID
    intent: str


@dataclass(frozen=True, slots=True)
class PortalLinkWithdrawn(Event):
    topic = "console.portal_link_withdrawn"
    announced = False
    link_id: UUID


@dataclass(frozen=True, slots=True)
class PortalEntered(Event):
    """An admin came in by a portal link, which is spent."""

    topic = "console.portal_entered"
    announced = False
    session_id: UUID
    link_id: UUID
    intent: str


@dataclass(frozen=True, slots=True)
class PortalLeft(Event):
    topic = "console.portal_left"
    announced = False
    session_id: UUID


@dataclass(frozen=True, slots=True)
class ConsoleCodeWithdrawn(Event):
    topic = "console.code_withdrawn"
    announced = False
    code_id: UUID


@dataclass(frozen=True, slots=True)
class ConsoleSignedIn(Event):
    """Somebody signed in to the console: with this code, or else with a passkey."""

    topic = "console.signed_in"
    announced = False
    session_id: UUID
    code_id: UUID | None


@dataclass(frozen=True, slots=True)
class ConsoleSignedOut(Event):
    topic = "console.signed_out"
    announced = False
    session_id: UUID


@dataclass(frozen=True, slots=True)
class ConsoleViewed(Event):
    """An operator began to look at the tenant's console as its admins see it; they change nothing there."""

    topic = "console.viewed"
    announced = False
    role: str
