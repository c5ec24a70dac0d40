"""What is known of the call that is being answered, for its log lines and its figures; found out as it goes along."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(slots=True)
class CurrentCall:
    """A call from its head to its answer."""

    request_id: str
    tenant_id: UUID | None = None
    """The tenant of a SCIM call, once the gate knows its token, and the token's id."""
    key_id: UUID | None = None
    profile: str = ""
    """The provider profile of a SCIM call that the gate has let in."""


current_call: ContextVar[CurrentCall | None] = ContextVar("current_call", default=None)
"""None outside of a call. One variable for all of it: each that is bound by its own costs a call microseconds."""


def name_key(tenant_id: UUID, key_id: UUID) -> None:
    """Say whose call this is, now that its key is known."""
    if (call := current_call.get()) is not None:
        call.tenant_id, call.key_id = tenant_id, key_id


def name_profile(profile: str) -> None:
    """Say by which provider profile this call is read."""
    if (call := current_call.get()) is not None:
        call.profile = profile
