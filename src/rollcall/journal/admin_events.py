"""What can happen to who speaks for a tenant: deputies of its admins. `events.TOPICS` lists all."""

from dataclasses import dataclass
from uuid import UUID

from rollcall.journal.event import Event


@dataclass(frozen=True, slots=True)
class TenantDeputyNamed(Event):
    """Somebody becomes an admin as soon as nobody is one, where the tenant keeps one; null: nobody does any more."""

    topic = "tenant.deputy_named"
    user_name: str | None


@dataclass(frozen=True, slots=True)
class TenantDeputyAppointed(Event):
    """Nobody was an active admin any more, so the deputy has become one."""

    topic = "tenant.deputy_appointed"
    mailed = True
    account_id: UUID
    user_name: str
    role: str
