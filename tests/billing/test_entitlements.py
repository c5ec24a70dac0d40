"""A billing system of one's own: what it says is believed if it is signed, and brought to the tenant it is about."""

from datetime import UTC, datetime, timedelta

from billing.conftest import OwnBilling, has
from factories import Callers, a_tenant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_a_plan_is_paid_for(paid_callers: Callers, own_billing: OwnBilling) -> None:
    """Who pays for a plan has it from the next call on, and falls back when it ends: the leaver is still cut off."""
    tenant = await a_tenant(paid_callers, plan="free")
    assert await has(tenant) == ("free", "never")
    answer = await own_billing.say(tenant=tenant.slug, plan="business", seats=20)
    assert answer.json() == {"received": True, "new": True}
    await own_billing.settle()
    assert await has(tenant) == ("business", "active")
    maria = await tenant.person()
    ended = datetime.now(UTC) - HOUR
    assert (await own_billing.say(tenant=tenant.slug, plan="business", ends_at=ended.isoformat())).status_code == 200
    await own_billing.settle()
    assert await has(tenant) == ("free", "offboarding_only")
    assert (await tenant.scim.delete(f"/Users/{maria['id']}")).status_code == 204
