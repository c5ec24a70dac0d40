"""What a payment provider is to Rollcall: events that are believed, and an answer to what a customer pays for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from rollcall.errors import Invalid, Refusal
from rollcall.scim.reader import unholdable
from rollcall.tenancy.standing import Standing

TOLERANCE: Final = timedelta(minutes=5)
"""How far the moment at which something was signed may lie from ours, before it and after it."""

LONGEST_ID: Final = 255


class SignatureRefused(Refusal):
    """What was sent is not signed by whom it should be from, or not at about this moment."""

    status = 400
    code = "signature_refused"
    advice = "Sign the exact bytes of the body with the present secret, now; the detail says what is wrong."


class CanNotAsk(Exception):
    """The provider gave no answer; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Hint:
    """An event that is believed: something about a customer may have changed."""

    id: str
    kind: str
    customer: str | None
    happened_at: datetime
    tenant: str | None = None
    """A tenant by slug or id, in the place of a customer."""
    said: Standing | None = None
    """What it says is so, where nobody can be asked."""


class Provider(Protocol):
    """A payment provider."""

    @property
    def is_open(self) -> bool:
        """Whether its events are taken: their secret is set."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """The event that was sent.

        Raises:
            SignatureRefused: it is not from whom it should be.
            Invalid: it is, and can't be read.
            Unavailable: what it takes to read it is not installed.
        """
        ...

    async def ask(self, customer: str) -> Standing | None:
        """What is so of a customer now; None if nothing has ever been said. It holds no transaction while it waits.

        Raises:
            CanNotAsk: no answer came.
        """
        ...


def check_moment(signed_at: datetime, now: datetime) -> None:
    """See that something was signed at about this moment, and neither long before nor in the future.

    Raises:
        SignatureRefused: it was not.
    """
    away = signed_at - now
    if abs(away) > TOLERANCE:
        seconds = abs(int(away.total_seconds()))
        when = f"{seconds} seconds ago" if away < timedelta() else f"for {seconds} seconds from now"
        msg = (
            f"This was signed {when}, more than the {int(TOLERANCE.total_seconds())} seconds that are allowed: nothing "
            "was done. See that the clocks of both sides are right, and sign it anew each time it is sent."
        )
        raise SignatureRefused(msg)


def storable(said: object, name: str) -> str:
    """A name that somebody sent, if it can be kept.

    Raises:
        Invalid: it can't.
    """
    if not isinstance(said, str) or not 1 <= len(said) <= LONGEST_ID or unholdable(said) is not None:
        msg = f"{name}: has to be 1 to {LONGEST_ID} characters of text"
        raise Invalid(msg, param=name)
    return said


def object_of(value: Any, name: str) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        Invalid: it is something else.
    """
    if not isinstance(value, dict):
        msg = f"{name}: has to be an object"
        raise Invalid(msg, param=name)
    return value  # pyright: ignore[reportUnknownVariableType]  # JSON
