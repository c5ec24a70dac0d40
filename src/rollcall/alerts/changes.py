"""What admins are mailed beside alerts: what became of tokens, what the vendor did, and who became an admin."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

TOKENS: Final = "tokens"
VENDOR: Final = "vendor"
ADMINS: Final = "admins"
"""The kinds of such mail; whoever likes has no more of one."""

Facts = Mapping[str, Any]
_Words = str | Callable[[Facts], str]


def _of_override(facts: Facts) -> str:
    until = "until somebody ends it" if facts["ends_at"] is None else f"until {moment(facts['ends_at'])}"
    return f"The vendor has set {facts['key']} to {_value(facts['value'])}, otherwise than your plan says, {until}."


def _of_end(facts: Facts) -> str:
    return (
        f"What you had otherwise than your plan says has ended at {moment(facts['ends_at'])}: {facts['key']}, "
        f"{_value(facts['value'])}. Since then the plan says what holds."
    )


def _of_pause(facts: Facts) -> str:
    return (
        f"The vendor has paused your identity provider until {moment(facts['until'])}: whoever leaves is cut off as "
        "ever, and everything else is to come again later."
    )


def _of_dates(facts: Facts) -> str:
    closes = facts["closes_at"]
    end = "without an end" if closes is None else f"until {moment(closes)}"
    begins = moment(facts["offboarding_from"])
    return f"The vendor has set other dates: everything works until {begins}, after that only what takes away, {end}."


_TOKENS: Final[Mapping[str, _Words]] = {
    "token.issued": "A new token was made: “{label}”.",
    "token.rotated": "A token was replaced; the old one works for {overlap_seconds} seconds more.",
    "token.handed_over": lambda facts: (
        f"The token “{facts['label']}” was handed over to another admin. It ends at {moment(facts['rotate_by'])} "
        "unless it is rotated before."
    ),
}
_VENDOR: Final[Mapping[str, _Words]] = {
    "tenant.suspended": "The vendor has suspended your organisation: everything is refused until it is resumed.",
    "tenant.resumed": "The vendor has resumed your organisation: everything works again.",
    "tenant.plan_changed": "The vendor has changed your plan from {before} to {after}.",
    "tenant.paused": _of_pause,
    "tenant.unpaused": "The vendor has ended the pause of your identity provider: everything works again.",
    "tenant.override_set": _of_override,
    "tenant.override_ended": "The vendor has taken away what you had otherwise than your plan says: {key}.",
    "tenant.override_ran_out": _of_end,
    "tenant.lapse_changed": _of_dates,
}
_ADMINS: Final[Mapping[str, _Words]] = {
    "tenant.deputy_appointed": "Nobody was an active admin any more, so the deputy {user_name} has become one.",
    "tenant.admin_appointed": "{user_name} was made an admin, by {by}.",
}
_CHANGES: Final = (
    (TOKENS, "a token has changed", _TOKENS),
    (VENDOR, "a change by the vendor", _VENDOR),
    (ADMINS, "there is another admin", _ADMINS),
)
TOPICS: Final = frozenset({*_TOKENS, *_VENDOR, *_ADMINS})
"""What this has words for."""

WHAT_TO_DO: Final = "If you did not expect this, look at your tokens and at the audit, or ask the vendor's support."


def said(topic: str, facts: Facts) -> tuple[str, str, str]:
    """The kind of mail that one of `TOPICS` is, its subject, and what it says."""
    kind, subject, words = next(each for each in _CHANGES if topic in each[2])
    found = words[topic]
    return kind, subject, found.format_map(facts) if isinstance(found, str) else found(facts)


def moment(text: str) -> str:
    """A moment as people read it."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _value(value: object) -> str:
    if value is True:
        return "on"
    return f"{value:,}" if isinstance(value, int) else str(value)
