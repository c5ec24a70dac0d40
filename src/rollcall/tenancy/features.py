"""Features: what plans unlock. Whatever asks for one asks here, or in the database `has_feature`."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Boolean, select

from rollcall.db import fn
from rollcall.errors import Refusal
from rollcall.work import Work

FEATURES: Final[Mapping[str, str]] = {
    "scim": "the tenant's identity provider may call /scim/v2",
    "events": "destinations of the tenant's own hear of more than who is out",
}
"""Every feature a plan can have, and what it unlocks."""

NOT_BUILT: Final[Mapping[str, str]] = {
    "sso": "single sign-on is not built yet, so nobody can be given it",
}
"""Names that are spoken for and unlock nothing so far."""


class FeatureMissing(Refusal):
    """The tenant's plan does not include what was asked for."""

    status = 403
    code = "feature_missing"
    advice = "Do without it, or have the tenant's plan changed or an override set; the detail names the feature."


def fault(feature: str) -> str | None:
    """Why a plan can't have this feature; None if it can."""
    if feature in FEATURES:
        return None
    there = ", ".join(FEATURES)
    if feature in NOT_BUILT:
        return f'"{feature}": {NOT_BUILT[feature]}; take it out. There are: {there}'
    return f'"{feature}" is no feature; there are: {there}'


def ignored(keys: Iterable[str]) -> Mapping[str, str]:
    """Those of *keys* that give nobody anything, and why, as of what a payment provider says."""
    there = f"it is no feature here; there are: {', '.join(FEATURES)}"
    return {key: NOT_BUILT.get(key, there) for key in sorted(keys) if key not in FEATURES}


async def has(work: Work, feature: str) -> bool:
    """Whether the tenant this work is for has a feature, by its plan or by an override."""
    assert feature in FEATURES, f"{feature} is asked for and listed nowhere"
    return bool(await work.db.scalar(select(fn.feature_of(work.tenant.id, feature, type_=Boolean()))))


async def insist(work: Work, feature: str, what: str) -> None:
    """See that the tenant has a feature; *what* says what needs it.

    Raises:
        FeatureMissing: it does not.
    """
    if not await has(work, feature):
        msg = (
            f"{what} needs the feature “{feature}”, which the tenant's plan does not include. "
            "Ask the vendor for a plan with it, or do without."
        )
        raise FeatureMissing(msg)
