"""How tokens stand: the database's own judgement, in words with a reason and what to do about it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rollcall.access.models import Token


class TokenState(StrEnum):
    """How a token stands, as ``judge_rows`` in ``sql/tokens.sql`` decides it for every caller and list."""

    LIVE = "live"
    ROTATED = "rotated"
    REVOKED = "revoked"
    EXPIRED = "expired"
    OWNER_INACTIVE = "owner_inactive"
    OWNER_NOT_ADMIN = "owner_not_admin"
    SUSPENDED = "suspended"
    PLAN = "plan"
    TAKES_ONLY = "takes_only"
    PAUSED = "paused"
    RESTRICTED = "restricted"
    HANDED_OVER = "handed_over"

    @property
    def works(self) -> bool:
        """Whether the next call with such a token is let in, if only to take away."""
        return self in _WORK


_WORK = frozenset(
    {
        TokenState.LIVE,
        TokenState.ROTATED,
        TokenState.TAKES_ONLY,
        TokenState.PAUSED,
        TokenState.RESTRICTED,
        TokenState.HANDED_OVER,
    }
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a token stands, and unless it simply works why, and what to do."""

    state: TokenState
    reason: str | None = None
    remedy: str | None = None


_SAID = {
    TokenState.OWNER_INACTIVE: (
        "Its owner is not active, or was not at some time since it was issued.",
        "Issue a new token that an active admin owns; this one does not come back.",
    ),
    TokenState.OWNER_NOT_ADMIN: (
        "Its owner is no longer an admin.",
        "Make the owner an admin again, or issue a new token that an active admin owns.",
    ),
    TokenState.SUSPENDED: ("The tenant is suspended.", "Resume the tenant; the token works again then."),
    TokenState.PLAN: (
        "The tenant's plan does not include SCIM.",
        "Put the tenant on a plan that includes SCIM; the token works again then.",
    ),
    TokenState.TAKES_ONLY: (
        "The tenant's plan no longer includes SCIM: it reads, deactivates and removes, and gives nothing.",
        "Put the tenant on a plan that includes SCIM; the token works as before then.",
    ),
    TokenState.RESTRICTED: (
        "Its owner is no longer an active admin: it reads, deactivates and removes, and gives nothing.",
        "Have an active admin take it over ('rollcall tokens hand-over'), and rotate it then.",
    ),
    TokenState.PAUSED: (
        "The tenant is paused: it reads, deactivates and removes, and everything else is to come again later.",
        "Wait until the pause is over, or end it with 'rollcall tenants unpause'.",
    ),
}
"""Reason and remedy of the states of which there is nothing more to say."""


def judgement(token: Token) -> Judgement:  # noqa: PLR0911  # one for each state
    """What there is to say of a token that was read from the database, or refreshed since it was written."""
    state = TokenState(token.state)
    match state:
        case TokenState.LIVE:
            return Judgement(state)
        case TokenState.ROTATED:
            return Judgement(
                state,
                f"It was replaced and works until {_said(token.expires_at)}.",
                "Put the new token into the identity provider before then.",
            )
        case TokenState.HANDED_OVER:
            return Judgement(
                state,
                f"It was handed over, and its former owner may know it; it works until {_said(token.expires_at)}.",
                "Rotate it, and put the new token into the identity provider before then.",
            )
        case TokenState.REVOKED:
            return Judgement(state, f"It was revoked at {_said(token.revoked_at)}.", "Issue a new token.")
        case TokenState.EXPIRED if token.replaced_by is not None:
            return Judgement(
                state,
                f"It was replaced, and the overlap ended at {_said(token.expires_at)}.",
                "Put the new token into the identity provider, or issue another one.",
            )
        case TokenState.EXPIRED:
            return Judgement(state, f"It expired at {_said(token.expires_at)}.", "Issue a new token.")
        case _:
            return Judgement(state, *_SAID[state])


def _said(moment: datetime | None) -> str:
    return "some time" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
