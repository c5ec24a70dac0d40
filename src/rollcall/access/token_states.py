"""How tokens stand: the database's own judgement, in words with a reason and what to do about it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rollcall.access.models import Token


class TokenState(StrEnum):
    """How a token stands, as the function ``judge_token`` in the migrations decides it for every caller and list."""

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

    @property
    def works(self) -> bool:
        """Whether the next call with such a token is let in, if only to take away."""
        return self in (TokenState.LIVE, TokenState.ROTATED, TokenState.TAKES_ONLY, TokenState.PAUSED)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a token stands, and unless it simply works why, and what to do."""

    state: TokenState
    reason: str | None = None
    remedy: str | None = None


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
        case TokenState.OWNER_INACTIVE:
            return Judgement(
                state,
                "Its owner is not active, or was not at some time since it was issued.",
                "Issue a new token that an active admin owns; this one does not come back.",
            )
        case TokenState.OWNER_NOT_ADMIN:
            return Judgement(
                state,
                "Its owner is no longer an admin.",
                "Make the owner an admin again, or issue a new token that an active admin owns.",
            )
        case TokenState.SUSPENDED:
            return Judgement(state, "The tenant is suspended.", "Resume the tenant; the token works again then.")
        case TokenState.PLAN:
            return Judgement(
                state,
                "The tenant's plan does not include SCIM.",
                "Put the tenant on a plan that includes SCIM; the token works again then.",
            )
        case TokenState.TAKES_ONLY:
            return Judgement(
                state,
                "The tenant's plan no longer includes SCIM: it reads, deactivates and removes, and gives nothing.",
                "Put the tenant on a plan that includes SCIM; the token works as before then.",
            )
        case TokenState.PAUSED:
            return Judgement(
                state,
                "The tenant is paused: it reads, deactivates and removes, and everything else is to come again later.",
                "Wait until the pause is over, or end it with 'rollcall tenants unpause'.",
            )


def _said(moment: datetime | None) -> str:
    return "some time" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
