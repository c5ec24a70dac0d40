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
class ContactLinkIssued(Event):
    """An admin vouched for somebody without an account, who sets the connection up."""

    topic = "console.contact_link_issued"
    announced = False
    link_id: UUID
    label: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class ContactLinkWithdrawn(Event):
    """Such a link was ended, with the sessions that it opened."""

    topic = "console.contact_link_withdrawn"
    announced = False
    link_id: UUID


@dataclass(frozen=True, slots=True)
class ContactEntered(Event):
    """Somebody came in by such a link, which goes on working until its end."""

    topic = "console.contact_entered"
    announced = False
    session_id: UUID
    link_id: UUID
    label: str


@dataclass(frozen=True, slots=True)
class PasswordSet(Event):
    """Somebody named for it has a password for the console, or another one than before."""

    topic = "console.password_set"
    announced = False
    password_id: UUID


@dataclass(frozen=True, slots=True)
class PasswordRemoved(Event):
    """Their password opens nothing any more."""

    topic = "console.password_removed"
    announced = False
    password_id: UUID


@dataclass(frozen=True, slots=True)
class ConsoleConfirmed(Event):
    """Somebody who is signed in proved who they are again: by a passkey, a code or a password."""

    topic = "console.confirmed"
    announced = False
    session_id: UUID
    way: str


@dataclass(frozen=True, slots=True)
class ConsoleSignedIn(Event):
    """Somebody signed in to the console: with this code, or else with a passkey, unless *way* says another one."""

    topic = "console.signed_in"
    announced = False
    session_id: UUID
    code_id: UUID | None
    way: str = "passkey"


@dataclass(frozen=True, slots=True)
class ConsoleSignedOut(Event):
    topic = "console.signed_out"
    announced = False
    session_id: UUID


@dataclass(frozen=True, slots=True)
class ConsoleExported(Event):
    """An admin took a list, or the bundle of a month, out of the console as a file."""

    topic = "console.exported"
    announced = False
    what: str
    as_file: str


@dataclass(frozen=True, slots=True)
class ConsoleRehearsed(Event):
    """An admin had an identity provider's calls rehearsed; nothing of that was applied."""

    topic = "console.rehearsed"
    announced = False
    provider: str
    calls: int


@dataclass(frozen=True, slots=True)
class ConsoleViewed(Event):
    """An operator began to look at the tenant's console as its admins see it; they change nothing there."""

    topic = "console.viewed"
    announced = False
    role: str
