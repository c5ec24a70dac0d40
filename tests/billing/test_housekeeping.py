"""What is forgotten: events that nobody repeats any more, and customers that are nobody's."""

import asyncio
from datetime import UTC, datetime, timedelta

from litestar import Litestar

from billing.conftest import OwnBilling, has
from factories import Callers, a_tenant
from rollcall.billing import inbox
from rollcall.db import Connection
from rollcall.settings import Settings
from rollcall.worker import tasks
from rollcall.worker.app import make_celery
from rollcall.worker.runtime import Runtime

OLD = "received_at = received_at - interval '91 days'"


async def test_events_are_forgotten(paid_app: Litestar, own_billing: OwnBilling, owner: Connection) -> None:
    """After ninety days events are forgotten, but the newest statement of each customer, which is what is so."""
    for number in range(3):
        at = datetime.now(UTC) - timedelta(hours=number)
        await own_billing.say(
            customer="long ago", plan="business", as_of=at.isoformat(), identifier=f"long ago {number}"
        )
    await own_billing.settle()
    await owner.execute(f"UPDATE billing_events SET {OLD} WHERE customer = 'long ago'")
    assert (await inbox.forget(own_billing.database))["events_forgotten"] >= 2
    left = await owner.fetch("SELECT id FROM billing_events WHERE customer = 'long ago'")
    assert [row["id"] for row in left] == ["long ago 0"]


async def test_customers_are_forgotten(paid_callers: Callers, own_billing: OwnBilling, owner: Connection) -> None:
    """A customer that is nobody's is forgotten ninety days after the last word about it; a tenant's never is."""
    tenant = await a_tenant(paid_callers, plan="free", customer="somebody's")
    await own_billing.say(customer="somebody's", plan="business")
    await own_billing.say(customer="nobody's", plan="business")
    await own_billing.say(tenant=(await a_tenant(paid_callers)).id, plan="business")
    await own_billing.settle()
    ours = "heard_at > clock_timestamp() - interval '1 hour'"
    await owner.execute(f"UPDATE billing_customers SET heard_at = heard_at - interval '91 days' WHERE {ours}")
    await inbox.forget(own_billing.database)
    left = [row["customer"] for row in await owner.fetch("SELECT customer FROM billing_customers")]
    assert "somebody's" in left
    assert "nobody's" not in left
    assert await has(tenant) == ("business", "active")


async def test_a_worker_asks(paid_settings: Settings, paid_callers: Callers, own_billing: OwnBilling) -> None:
    """The task of a worker brings what is due to its tenant."""
    tenant = await a_tenant(paid_callers, plan="free")
    assert (await own_billing.say(tenant=tenant.slug, plan="business")).status_code == 200
    Runtime.start(paid_settings)
    try:
        await asyncio.to_thread(make_celery(paid_settings).tasks[tasks.ASK_ABOUT_PAYMENT])
    finally:
        await asyncio.to_thread(Runtime.stop)
    assert await has(tenant) == ("business", "active")
