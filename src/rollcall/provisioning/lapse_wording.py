"""What a caller is told who may only take away, or nothing: why, since when, what is left to them, and what to do."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rollcall.db import Row

_LEFT = (
    "people can still be deactivated and deleted, members taken out of groups, and groups deleted; nothing else passes"
)


def without_scim(facts: Row, plans: Sequence[str], *, done: str | None = None, left: str | None = None) -> str:
    """The detail of a refusal; *facts* are `plan_statements.lapse_facts`, *plans* the names of those that include SCIM.

    *done* says what of the call was done all the same, and *left* what was not.
    """
    names = " or ".join(plans) or "none at present"
    said = f"{_since(facts)}the plans that do: {names}. {_parts(done, left)}"
    return f"{said}Ask the vendor to change the plan; the token stays as it is."


def without_owner(*, done: str | None, left: str | None) -> str:
    """The detail of a refusal while the owner is no longer an active admin; the rest is as for `without_scim`."""
    return (
        f"The owner of this token is no longer an active admin, so {_LEFT}. {_parts(done, left)}"
        "Have an active admin of the tenant take the connection over; the token stays as it is, and is rotated then."
    )


def paused(*, done: str | None, left: str | None) -> str:
    """The detail of a refusal while the tenant is paused; *done* and *left* are as for `without_scim`."""
    return (
        "Somebody works on this tenant's settings, and it is paused: people can be deactivated and deleted, members "
        f"taken out of groups, and groups deleted; everything else waits. {_parts(done, left)}"
        "Send it again after the seconds that Retry-After says; the token stays as it is."
    )


def _parts(done: str | None, left: str | None) -> str:
    parts = ("" if done is None else f"Done: {done}. ", "" if left is None else f"Not done: {left}. ")
    return "".join(parts)


def _since(facts: Row) -> str:
    plan = facts["plan"]
    if facts["state"] == "offboarding_only":
        until = "" if facts["closes_at"] is None else f" until {day(facts['closes_at'])}"
        return f"The plan {plan} does not include SCIM since {day(facts['offboarding_from'])}: {_LEFT}{until}; "
    if facts["state"] == "closed":
        return f"The plan {plan} does not include SCIM, and since {day(facts['closes_at'])} nothing passes any more; "
    return f"The plan {plan} does not include SCIM; "


def day(moment: datetime) -> str:
    """The day of a moment, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
