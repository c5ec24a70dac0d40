"""Tokens that were refused lately: who goes on presenting one is slowed down before the database is asked again.

That a token did not work a moment ago decides nothing: it may work again, and the gate alone knows. It only means that
its calls share what their address may still ask within the second; calls with any other token don't.
"""

import time
from dataclasses import dataclass, field

from rollcall.access.origins import network
from rollcall.crypto import TokenText
from rollcall.journal.refusals import RefusedCaller

RATE, BURST = 10, 60
"""Calls a second with tokens that do not work, and how many at once, from one address, in one process."""

SECONDS = 60.0
"""How long it is remembered that a token did not work."""

MOST = 4096
"""Tokens, and addresses, that are remembered at a time."""


@dataclass(slots=True)
class DeadTokens:
    """The tokens refused lately, and how often they were presented. One for each process."""

    _tokens: dict[bytes, tuple[float, RefusedCaller | None]] = field(
        default_factory=dict[bytes, tuple[float, RefusedCaller | None]]
    )
    _permits: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    def keep(self, token: TokenText, caller: RefusedCaller | None) -> None:
        """Remember that this token did not work, and whose it is if that is known."""
        if len(self._tokens) >= MOST:
            self._tokens.clear()
        self._tokens[token.digest] = (time.monotonic() + SECONDS, caller)

    def recall(self, token: TokenText) -> tuple[bool, RefusedCaller | None]:
        """Whether this very token did not work within the last minute, and whose it is if that is known."""
        until, caller = self._tokens.get(token.digest, (0.0, None))
        return (True, caller) if time.monotonic() < until else (False, None)

    def wait_for(self, source: str | None) -> float:
        """Take a permit to try such a token. 0 means that it may be, anything else is how many seconds to wait."""
        now, name = time.monotonic(), network(source or "unknown")
        if name not in self._permits and len(self._permits) >= MOST:
            self._permits.clear()
        at, permits = self._permits.get(name, (now, float(BURST)))
        permits = min(BURST, permits + (now - at) * RATE)
        self._permits[name] = (now, permits - 1 if permits >= 1 else permits)
        return 0.0 if permits >= 1 else (1 - permits) / RATE
