"""What every SCIM call on a resource has in common: its body read after the gate, its refusals, its answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from rollcall.access import gate
from rollcall.access.gate import Admitted
from rollcall.scim import reader
from rollcall.scim.errors import SCIMException

ReadBody = Callable[[], Awaitable[bytes]]
"""Reads the request's body; called once the caller has passed the gate, and not before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A resource as it is answered: the bytes, and what the headers repeat."""

    body: bytes
    location: str
    etag: str


async def read_payload(admitted: Admitted, body: ReadBody, content_type: str | None) -> dict[str, object]:
    """Read the body, only now that the caller has passed the gate.

    Raises:
        SCIMException: it can't be read; the refusal has been written down.
    """
    try:
        reader.check_media_type(content_type)
        return reader.read_json(await body())
    except SCIMException as refusal:
        raise await refused(admitted, refusal) from refusal


async def refused(
    admitted: Admitted,
    refusal: SCIMException,
    *,
    payload: dict[str, object] | None = None,
    user_id: UUID | None = None,
) -> SCIMException:
    """Write a refusal down and give it back to be raised."""
    await gate.refuse(admitted, refusal, payload=payload, user_id=user_id)
    return refusal


def id_of(text: str) -> UUID | None:
    """The id, if it can be one of ours; anything else is simply nobody's."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def trace(admitted: Admitted, target: str | None) -> None:
    """Leave the entry of a successful read."""
    call = admitted.call
    call.door.traces.read(
        call.token.tenant_id,
        call.token.id,
        call.arrived,
        call.origin,
        action=call.action,
        label=admitted.label,
        owner_id=admitted.owner_id,
        target=target,
    )
