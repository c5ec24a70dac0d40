"""Whether payment providers are asked about customers when it is time, and answer."""

from datetime import timedelta

from rollcall.checks.asking import ACTOR, ORIGIN, Grounds
from rollcall.checks.model import Check, failed, ok, warning
from rollcall.tenancy import customers
from rollcall.work import open_fleet

PAYMENT = "payment"

LONGEST = timedelta(hours=1)
"""How long after its time a customer may be asked about; a worker looks every five seconds."""


async def payment(grounds: Grounds) -> Check:
    """How many customers there are, for how many it is long past their time, and how many could not be asked about."""
    async with open_fleet(grounds.database, ACTOR, ORIGIN) as fleet:
        found = await customers.counts(fleet, overdue_by=LONGEST)
    if found.overdue:
        return failed(
            PAYMENT,
            f"{found.overdue} customers of a payment provider were not asked about for an hour: what they pay for has "
            "no effect yet",
            "see that a 'rollcall worker' takes from delivery-slow and 'rollcall beat' runs, and what the worker logs",
        )
    if found.failing:
        return warning(
            PAYMENT,
            f"{found.failing} customers of a payment provider could not be asked about; their tenants keep what they "
            f"have: {found.error}",
            "do what 'rollcall billing show TENANT' says; it is tried again by itself",
        )
    if not found.all:
        return ok(PAYMENT, "no payment provider has spoken of anybody")
    parked = f"; {found.parked} are no tenant's, see 'rollcall billing parked'" if found.parked else ""
    return ok(PAYMENT, f"{found.all} customers of payment providers are asked about in time{parked}")
