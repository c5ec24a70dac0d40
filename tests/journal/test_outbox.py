"""The outbox: leased to one at a time, tried again, never lost, and forgotten when it has long been done."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from api.expect import done
from factories import ORIGIN, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection, Database
from rollcall.events import fanout
from rollcall.journal import housekeeping, outbox, record
from rollcall.journal.events import UserUpdated
from rollcall.journal.outbox import Leased, backoff
from rollcall.work import SYSTEM, open_fleet
from rows import until_waiting


@pytest_asyncio.fixture
async def tenant(callers: Callers, owner: Connection) -> Tenant:
    """A fresh tenant, and an outbox in which nothing is due."""
    tenant = await a_tenant(callers)
    await owner.execute(
        "UPDATE outbox SET done_at = clock_timestamp(), fanned_out_at = clock_timestamp() WHERE done_at IS NULL"
    )
    return tenant


async def announce(tenant: Tenant, number: int = 1) -> None:
    """Hand *number* events that somebody within listens to to the outbox, in this order, and fan them out."""
    for _ in range(number):
        async with tenant.work() as work:
            await record.record(work, UserUpdated())
    await fan_out(tenant)


async def fan_out(tenant: Tenant, *, heard: Sequence[str] = ("user.updated",)) -> int:
    """Fan out what is new."""
    async with open_fleet(tenant.callers.database, SYSTEM, ORIGIN) as fleet:
        return await fanout.fan_out(fleet, limit=100, handled=heard)


async def lease(database: Database, *, limit: int = 10, seconds: float = 60) -> Sequence[Leased]:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return await outbox.lease(fleet, limit=limit, seconds=seconds)


async def fail(tenant: Tenant, message: Leased, error: str = "500 from the receiver") -> None:
    async with tenant.work() as work:
        await outbox.fail(work, message.id, error)


async def column(owner: Connection, message: Leased, name: str) -> object:
    return await owner.fetchval(f"SELECT {name} FROM outbox WHERE id = $1", message.id)


async def test_oldest_first(database: Database, tenant: Tenant, owner: Connection) -> None:
    """What is due longest is leased first, and no more than was asked for."""
    await announce(tenant, 5)
    rows = await owner.fetch("SELECT id FROM outbox WHERE done_at IS NULL ORDER BY next_try_at")
    first, second = await lease(database, limit=2), await lease(database, limit=2)
    assert {message.id for message in first} == {row["id"] for row in rows[:2]}
    assert {message.id for message in second} == {row["id"] for row in rows[2:4]}


async def test_what_a_lease_says(database: Database, tenant: Tenant) -> None:
    """A lease names the tenant, the topic and the request it came from, and counts as an attempt."""
    await announce(tenant)
    (message,) = await lease(database)
    assert (message.tenant_id, message.topic) == (UUID(tenant.id), "user.updated")
    assert (message.request_id, message.attempts) == ("test", 1)


async def test_nobody_elses(database: Database, tenant: Tenant) -> None:
    """While a lease lasts, nobody else is handed its message."""
    await announce(tenant, 3)
    assert len(await lease(database)) == 3
    assert await lease(database) == []


async def test_two_relays(database: Database, tenant: Tenant) -> None:
    """Two relays at the same moment take different messages, and neither waits for the other."""
    await announce(tenant, 4)
    async with (
        asyncio.timeout(60),
        open_fleet(database, SYSTEM, ORIGIN) as one,
        open_fleet(database, SYSTEM, ORIGIN) as two,
    ):
        first = await outbox.lease(one, limit=2, seconds=60)
        second = await outbox.lease(two, limit=10, seconds=60)
    assert (len(first), len(second)) == (2, 2)
    assert not {message.id for message in first} & {message.id for message in second}


async def test_a_worker_was_killed(database: Database, tenant: Tenant) -> None:
    """A lease that runs out makes the message due again, as one more attempt."""
    await announce(tenant)
    (lost,) = await lease(database, seconds=0)
    (again,) = await lease(database)
    assert (again.id, again.attempts) == (lost.id, 2)


async def test_a_relay_was_killed(database: Database, tenant: Tenant) -> None:
    """A lease whose transaction was not committed never was."""
    await announce(tenant)
    with pytest.raises(LookupError):
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            assert len(await outbox.lease(fleet, limit=10, seconds=60)) == 1
            raise LookupError
    (message,) = await lease(database)
    assert message.attempts == 1


async def test_uncommitted_messages_are_not_seen(database: Database, tenant: Tenant) -> None:
    """A message becomes due with the commit of what it tells of, and not before."""
    async with tenant.work() as work:
        await record.record(work, UserUpdated())
        await work.db.flush()
        assert await fan_out(tenant) == 0
    assert await fan_out(tenant) == 1
    assert len(await lease(database)) == 1


async def test_not_before_it_is_fanned_out(database: Database, tenant: Tenant) -> None:
    """A message is handed out once its deliveries are made, so that whoever settles it knows who is told."""
    async with tenant.work() as work:
        await record.record(work, UserUpdated())
    assert await lease(database) == []
    await fan_out(tenant)
    assert len(await lease(database)) == 1


async def test_given_back(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A lease given back because the broker is away was no attempt, and its message is due again in a second."""
    await announce(tenant)
    leased = await lease(database)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await outbox.give_back(fleet, leased)
    assert await column(owner, leased[0], "attempts") == 0
    due = await column(owner, leased[0], "next_try_at")
    assert isinstance(due, datetime)
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(seconds=1)


async def test_given_back_too_late(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A lease that has run out and is somebody else's by now can't be given back."""
    await announce(tenant)
    stale = await lease(database, seconds=0)
    (current,) = await lease(database, seconds=60)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await outbox.give_back(fleet, stale)
    assert await column(owner, current, "attempts") == 2
    assert await lease(database) == []


async def test_settled_at_once(database: Database, tenant: Tenant) -> None:
    """What nobody within listens to is done as soon as it is fanned out, and never leased."""
    for _ in range(2):
        async with tenant.work() as work:
            await record.record(work, UserUpdated())
    assert await fan_out(tenant, heard=()) == 2
    assert await lease(database) == []


async def test_two_fan_out(database: Database, tenant: Tenant) -> None:
    """While one relay fans out, another finds nothing to do; what was fanned out is not fanned out again."""
    async with tenant.work() as work:
        await record.record(work, UserUpdated())
    async with open_fleet(database, SYSTEM, ORIGIN) as one:
        assert await fanout.fan_out(one, limit=100, handled=()) == 1
        assert await fan_out(tenant) == 0
    assert await fan_out(tenant) == 0


async def test_departure_behind_very_many(callers: Callers, tenant: Tenant, owner: Connection) -> None:
    """A departure is fanned out before what another tenant has in masses, but after what was told of that person."""
    other = await a_tenant(callers)
    await owner.execute(
        "UPDATE outbox SET done_at = clock_timestamp(), fanned_out_at = clock_timestamp() WHERE done_at IS NULL"
    )
    crowd = (
        "INSERT INTO outbox (tenant_id, topic, account_id, request_id, payload)"
        " SELECT $1::text::uuid, 'user.role_changed', uuidv7(), 'crowd', '{}' FROM generate_series(1, 30)"
    )
    await owner.execute(crowd, other.id)
    leaver = await tenant.person()
    done(await tenant.scim.patch(f"/Users/{leaver['id']}", json=patch_op({"op": "add", "path": "title", "value": "x"})))
    done(await tenant.scim.patch(f"/Users/{leaver['id']}", json=deactivation()))
    await owner.execute(crowd, other.id)

    async with open_fleet(tenant.callers.database, SYSTEM, ORIGIN) as fleet:
        number = await fanout.fan_out(fleet, limit=10, handled=("user.deactivated",))

    rows = await owner.fetch(
        "SELECT topic, fanned_out_at IS NOT NULL AS told FROM outbox WHERE account_id::text = $1 ORDER BY id",
        leaver["id"],
    )
    assert [(row["topic"], row["told"]) for row in rows] == [
        ("user.provisioned", True),
        ("user.updated", True),
        ("user.deactivated", True),
        ("user.updated", False),
    ]
    assert number == 10 + 3


async def test_revived(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A dead message can be dealt with again, by hand."""
    await announce(tenant)
    (message,) = await lease(database)
    await owner.execute("UPDATE outbox SET dead_at = now() WHERE id = $1", message.id)
    assert await lease(database) == []
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert await outbox.revive(fleet) >= 1
    assert message.id in {each.id for each in await lease(database, limit=100)}


async def test_failure(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A failed attempt is written down, and the next one is some seconds away."""
    await announce(tenant)
    (message,) = await lease(database)
    await fail(tenant, message, "x" * 5000)
    assert await column(owner, message, "last_error") == "x" * 2000
    due = await column(owner, message, "next_try_at")
    assert isinstance(due, datetime)
    assert timedelta(seconds=1) < due - datetime.now(UTC) < timedelta(seconds=3)
    assert await lease(database) == []


async def test_dead_after_three_days(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A message that has failed for three days is dead: kept, counted, and not tried again."""
    await announce(tenant, 2)
    young, old = await lease(database, seconds=0)
    await owner.execute("UPDATE outbox SET created_at = now() - interval '2 days 23 hours' WHERE id = $1", young.id)
    await owner.execute("UPDATE outbox SET created_at = now() - interval '3 days 1 minute' WHERE id = $1", old.id)
    for message in (young, old):
        await fail(tenant, message)
    assert await column(owner, young, "dead_at") is None
    assert await column(owner, old, "dead_at") is not None
    await owner.execute("UPDATE outbox SET next_try_at = now() WHERE tenant_id = $1", UUID(tenant.id))
    assert [message.id for message in await lease(database)] == [young.id]


async def test_backlog(database: Database, tenant: Tenant, owner: Connection) -> None:
    """Ops see how many messages wait, how many are dead, and how old the oldest waiting one is."""
    await owner.execute("DELETE FROM outbox WHERE done_at IS NULL")
    await announce(tenant, 3)
    one, two, _ = await lease(database)
    await owner.execute("UPDATE outbox SET created_at = now() - interval '90 seconds' WHERE id = $1", one.id)
    await owner.execute(
        "UPDATE outbox SET dead_at = now(), created_at = now() - interval '9 days' WHERE id = $1", two.id
    )
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        found = await outbox.backlog(fleet)
    assert (found.waiting, found.dead) == (2, 1)
    assert 90 <= found.oldest_seconds < 120


async def test_empty_backlog(database: Database, tenant: Tenant, owner: Connection) -> None:
    """When everything has been told, nothing is old."""
    await owner.execute("DELETE FROM outbox WHERE done_at IS NULL")
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert await outbox.backlog(fleet) == outbox.OutboxBacklog(waiting=0, dead=0, oldest_seconds=0)


async def test_backlog_reads_nothing_that_is_done(tenant: Tenant, owner: Connection) -> None:
    """What was told and is kept for a while costs nothing every few seconds, however much of it there is."""
    await owner.execute("BEGIN")
    try:
        await owner.execute("DELETE FROM outbox WHERE done_at IS NULL")
        await owner.execute(
            """
            INSERT INTO outbox (tenant_id, topic, payload, request_id, fanned_out_at, done_at)
            SELECT $1, 'user.updated', '{}', 'told', now(), now() FROM generate_series(1, 20000)
            """,
            UUID(tenant.id),
        )
        await owner.execute("ANALYZE outbox")
        plan = json.loads(await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {outbox.BACKLOG}"))[0]["Plan"]
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 50, plan
    finally:
        await owner.execute("ROLLBACK")


async def test_opening_a_message(database: Database, tenant: Tenant, owner: Connection) -> None:
    """Who acts on a message holds it; whoever comes meanwhile waits, and finds that it has been dealt with."""
    await announce(tenant)
    (message,) = await lease(database)

    async def late() -> object:
        async with tenant.work() as work:
            return await outbox.open_message(work, message.id)

    async with tenant.work() as work:
        opened = await outbox.open_message(work, message.id)
        assert opened is not None
        waiting = asyncio.create_task(late())
        await work.db.flush()
        await until_waiting(owner, waiting)
        opened.done_at = work.now
    assert await waiting is None


async def test_failing_what_is_done(database: Database, tenant: Tenant, owner: Connection) -> None:
    """A failure reported after the message was dealt with changes nothing; nor does one for no message."""
    await announce(tenant)
    (message,) = await lease(database)
    await owner.execute("UPDATE outbox SET done_at = now() WHERE id = $1", message.id)
    await fail(tenant, message)
    assert await column(owner, message, "last_error") is None
    async with tenant.work() as work:
        await outbox.fail(work, uuid4(), "no such message")


async def test_another_tenants_message(callers: Callers, database: Database, tenant: Tenant) -> None:
    """A message is opened within its own tenant only."""
    other = await a_tenant(callers)
    await announce(tenant)
    message = next(each for each in await lease(database, limit=100) if each.tenant_id == UUID(tenant.id))
    async with other.work() as work:
        assert await outbox.open_message(work, message.id) is None


async def test_forgetting(database: Database, tenant: Tenant, owner: Connection) -> None:
    """What was dealt with a month ago is deleted; what waits, is dead or was done this month stays."""
    await announce(tenant, 4)
    old, recent, dead, waiting = await lease(database)
    set_done = "UPDATE outbox SET done_at = now() - make_interval(days => $2) WHERE id = $1"
    await owner.execute(set_done, old.id, 31)
    await owner.execute(set_done, recent.id, 29)
    await owner.execute("UPDATE outbox SET dead_at = now() - interval '364 days' WHERE id = $1", dead.id)
    assert await housekeeping.forget_messages(database) == {"messages_forgotten": 1, "dead_messages_forgotten": 0}
    left = await owner.fetch("SELECT id FROM outbox WHERE id = ANY ($1)", [old.id, recent.id, dead.id, waiting.id])
    assert {row["id"] for row in left} == {recent.id, dead.id, waiting.id}


async def test_old_counts(database: Database, tenant: Tenant, owner: Connection) -> None:
    """Old counts of nameless calls are forgotten, and that is safe to repeat."""
    await owner.execute(
        "INSERT INTO refused_calls (minute, source, calls) VALUES (now() - interval '31 days', 'old', 1), "
        "(now() - interval '29 days', 'young', 1)"
    )
    assert await housekeeping.forget_counts(database) == {"counts_forgotten": 1}
    assert await housekeeping.forget_counts(database) == {"counts_forgotten": 0}
    assert await owner.fetchval("SELECT count(*) FROM refused_calls WHERE source IN ('old', 'young')") == 1


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 1), (1, 2), (2, 4), (3, 8), (5, 32), (10, 1024), (11, 2048), (12, 3600), (13, 3600), (10_000, 3600)],
)
def test_backoff(attempts: int, seconds: int) -> None:
    """The wait doubles from two seconds up to an hour."""
    assert backoff(attempts, jitter=0.5) == timedelta(seconds=seconds)


@given(st.integers(min_value=0, max_value=100_000), st.floats(min_value=0, max_value=1))
def test_backoff_is_spread(attempts: int, jitter: float) -> None:
    """Whatever the jitter, a wait is within a quarter of its middle, and never shorter than after one attempt less."""
    wait, middle = backoff(attempts, jitter=jitter), backoff(attempts, jitter=0.5)
    assert middle * 0.75 <= wait <= middle * 1.25
    assert wait <= backoff(attempts + 1, jitter=jitter)
