"""The kinds of alerts: when each is due is decided by ``sql/alerts.sql``; here is what it says, and what to do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from rollcall.scim.providers import PROFILES


class Kind(StrEnum):
    """What an alert is about."""

    TOKEN_ENDS = "token_ends"  # noqa: S105  # the name of a kind
    TOKEN_ROTATION = "token_rotation"  # noqa: S105  # as above
    OWNER_GONE = "owner_gone"
    ONLY_ADMIN = "only_admin"
    WITHOUT_ADMIN = "without_admin"
    OWNER_AT_RISK = "owner_at_risk"
    NO_DEPUTY = "no_deputy"
    PROVIDER_QUIET = "provider_quiet"
    FAILURES = "failures"
    LAPSE = "lapse"
    SEATS = "seats"
    PAYMENT_UNHEARD = "payment_unheard"
    MASS_CHANGE = "mass_change"
    """More departures within an hour than a tenant is used to; the only one that somebody has to release."""


GRAVE: Final = frozenset({Kind.OWNER_GONE, Kind.WITHOUT_ADMIN, Kind.PROVIDER_QUIET, Kind.FAILURES, Kind.MASS_CHANGE})
"""Kinds of which something does not work already, or may be going wrong now; the others are still to come."""

_REMEDIES: Final[Mapping[Kind, str]] = {
    Kind.TOKEN_ENDS: "Rotate it, or issue another one, and put that into the identity provider before then.",
    Kind.TOKEN_ROTATION: "Rotate it, and put the new token into the identity provider before then.",
    Kind.OWNER_GONE: "Have an active admin take it over ('rollcall tokens hand-over'), and rotate it then.",
    Kind.ONLY_ADMIN: "Appoint a second admin, who can take the connection over.",
    Kind.WITHOUT_ADMIN: "Appoint one: 'rollcall people appoint'.",
    Kind.OWNER_AT_RISK: "Have another admin issue a token, and put that into the identity provider before then.",
    Kind.NO_DEPUTY: "Name one ('rollcall tenants deputy'), or appoint a second admin.",
    Kind.PROVIDER_QUIET: "See at the identity provider whether provisioning runs and whether its token is this one.",
    Kind.FAILURES: "See 'rollcall audit' for what was refused and why; a provider may stop by itself after too many.",
    Kind.LAPSE: "Put the tenant on a plan that includes SCIM, or set other dates ('rollcall tenants lapse').",
    Kind.SEATS: "Deactivate whoever has left, or have the plan's seats raised; nobody who is in is cut off by it.",
    Kind.PAYMENT_UNHEARD: "Nothing is lost, and it is tried again; ops see why with 'rollcall billing show'.",
    Kind.MASS_CHANGE: "Look at it; if these people are meant to leave, release it ('rollcall alerts release').",
}


def remedy(kind: Kind) -> str:
    """What to do about an alert of this kind."""
    return _REMEDIES[kind]


def says(kind: Kind, stage: str, facts: Mapping[str, Any]) -> str:  # noqa: PLR0911  # one for each kind
    """What is the matter, in a sentence."""
    match kind:
        case Kind.TOKEN_ENDS:
            within = "within a day" if stage == "1" else f"within {stage} days"
            return f"The token “{facts['label']}” ends {within}, at {_said(facts['expires_at'])}."
        case Kind.TOKEN_ROTATION:
            ends = _said(facts["expires_at"])
            return f"The token “{facts['label']}” was handed over; its former owner may know it. It ends at {ends}."
        case Kind.OWNER_GONE | Kind.ONLY_ADMIN | Kind.WITHOUT_ADMIN:
            return _of_owners(kind, facts)
        case Kind.OWNER_AT_RISK | Kind.NO_DEPUTY:
            return _of_what_may_come(stage, facts)
        case Kind.PROVIDER_QUIET:
            return f"{PROFILES[facts['profile']].label} has not called since {_said(facts['last_call_at'])}."
        case Kind.FAILURES:
            return f"{_up_to(facts['refused'])} calls of the identity provider were refused within an hour."
        case Kind.LAPSE:
            return _of_lapse(stage, facts)
        case Kind.SEATS:
            return _of_seats(stage, facts)
        case Kind.PAYMENT_UNHEARD:
            since = "never" if facts["asked_at"] is None else f"last at {_said(facts['asked_at'])}"
            return (
                f"What is paid for could not be asked about for an hour and more ({since}): the plan and its dates "
                "stay as they were, and a change of the payment has no effect yet."
            )
        case Kind.MASS_CHANGE:
            return f"{facts['count']} people left within an hour; more than {facts['threshold']} are an alert."


def _of_owners(kind: Kind, facts: Mapping[str, Any]) -> str:
    if kind is Kind.OWNER_GONE:
        return f"The owner of the token “{facts['label']}” is no longer an active admin: it only takes away."
    if kind is Kind.ONLY_ADMIN:
        return f"{facts['user_name']} is the only active admin, and the connection hangs on them."
    return "Nobody is an active admin any more: nobody can own a token, issue one or edit roles."


def _of_what_may_come(stage: str, facts: Mapping[str, Any]) -> str:
    who = facts["user_name"]
    if stage == "said_to_leave":
        return (
            f"{who} owns the token “{facts['label']}”, and left while the tenant was suspended: resumed, they are out."
        )
    if stage == "role_contested":
        return (
            f"{who} owns the token “{facts['label']}”, and is an admin only until it is settled which role their names "
            "at the identity provider mean."
        )
    return f"{who} is the only active admin, and there is no deputy who would become one as they leave."


def _of_lapse(stage: str, facts: Mapping[str, Any]) -> str:
    plan = facts["plan"]
    if stage == "grace":
        return f"The plan {plan} does not include SCIM; everything works until {_said(facts['offboarding_from'])}."
    end = "" if facts["closes_at"] is None else f", until {_said(facts['closes_at'])}"
    return f"The plan {plan} does not include SCIM; only reads work, and what takes away{end}."


def _of_seats(stage: str, facts: Mapping[str, Any]) -> str:
    plan, allowed, used = facts["plan"], f"{facts['allowed']:,}", f"{facts['used']:,}"
    if stage == "nearly":
        return f"{used} of the {allowed} seats of the plan {plan} are taken."
    is_refused = facts["policy"] == "refuse"
    then = "nobody more is let in" if is_refused else "whoever else joins is let in, and counts as overage"
    if stage == "full":
        return f"All {allowed} seats of the plan {plan} are taken: {then}."
    return f"{used} people are active, and the plan {plan} has {allowed} seats: {then}."


def _up_to(number: int) -> str:
    return "100 or more" if number >= 100 else str(number)


def _said(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
