"""What a process remembers for a second of the callers it admitted: never whether they may, which is asked every time.

It is what lets a change be worked out before the gate is asked, so that the gate and the change are one statement. The
statement is given what was remembered and refuses as stale what is no longer so.
"""

import time
from dataclasses import dataclass, field
from uuid import UUID

from rollcall.crypto import TokenText
from rollcall.scim.providers import Profile

SECONDS = 1.0
"""How long a caller is remembered. Nothing takes effect later for it: the statement compares what it goes by."""

MOST = 4096
"""Callers that are remembered at a time."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A caller as the gate last described them, with their tenant's role rule."""

    label: str
    owner_id: UUID | None
    profile: Profile
    rate: int
    burst: int
    rule: str
    rule_version: int


@dataclass(slots=True)
class Memory:
    """The callers admitted lately. One for each process."""

    _callers: dict[bytes, tuple[float, Remembered]] = field(default_factory=dict[bytes, tuple[float, Remembered]])

    def keep(self, token: TokenText, caller: Remembered) -> None:
        """Remember the caller with this token."""
        if len(self._callers) >= MOST:
            self._callers.clear()
        self._callers[token.digest] = (time.monotonic() + SECONDS, caller)

    def recall(self, token: TokenText) -> Remembered | None:
        """The caller who presented this very token within the last second."""
        until, caller = self._callers.get(token.digest, (0.0, None))
        return caller if time.monotonic() < until else None

    def forget(self, token: TokenText) -> None:
        """Forget a caller of whom something was no longer so."""
        self._callers.pop(token.digest, None)
