"""Whose plans have lost SCIM, and what is left to them."""

from rollcall.checks.asking import ACTOR, ORIGIN, Grounds
from rollcall.checks.model import Check, ok
from rollcall.tenancy import lapse
from rollcall.tenancy.lapse import LapseState
from rollcall.work import open_fleet

LAPSES = "lapses"


async def lapses(grounds: Grounds) -> Check:
    """How many tenants are in which state of a lapse; it is as it should be, whatever the numbers."""
    async with open_fleet(grounds.database, ACTOR, ORIGIN) as fleet:
        found = await lapse.counts(fleet)
    lapsed = {state: found[state] for state in (LapseState.GRACE, LapseState.OFFBOARDING_ONLY, LapseState.CLOSED)}
    if not any(lapsed.values()):
        return ok(LAPSES, "no tenant has lost SCIM")
    numbers = ", ".join(f"{number} {state.value}" for state, number in lapsed.items())
    return ok(LAPSES, f"{sum(lapsed.values())} tenants have lost SCIM: {numbers}")
