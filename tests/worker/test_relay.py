"""The relay: it gives the broker what the broker has room for, and leaves the rest where nothing is lost."""

from base64 import b64decode
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
import pytest_asyncio
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from factories import Callers, Tenant, a_tenant, deactivation
from rollcall import broker, waiting
from rollcall.broker import HOUSEKEEPING, REVOCATION
from rollcall.db import Connection, Database
from rollcall.settings import Settings
from rollcall.worker import relay
from rollcall.worker.app import make_celery

LEFT = 5
BROKER = waiting.Reminder(structlog.get_logger(__name__), over="the broker is there")


@pytest_asyncio.fixture
async def queue(settings: Settings) -> AsyncGenerator[Redis]:
    """The broker, with nothing in it before and after."""
    redis = broker.connect(settings)
    await redis.delete(REVOCATION)
    yield redis
    await redis.delete(REVOCATION)
    await redis.aclose()


@pytest_asyncio.fixture
async def tenant(callers: Callers, owner: Connection) -> Tenant:
    """A tenant that people have left, and an outbox in which nothing else is due."""
    await owner.execute(
        "UPDATE outbox SET done_at = coalesce(done_at, clock_timestamp()), "
        "fanned_out_at = coalesce(fanned_out_at, clock_timestamp())"
    )
    tenant = await a_tenant(callers)
    await left(tenant, LEFT)
    return tenant


async def left(tenant: Tenant, number: int) -> None:
    """So many people leave, one after the other."""
    for _ in range(number):
        person = await tenant.person()
        answer = await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
        assert answer.status_code == 200, answer.text


async def leased(owner: Connection, tenant: Tenant) -> int:
    """How many departures somebody has been handed."""
    counted = (
        "SELECT count(*) FROM outbox WHERE tenant_id = $1::text::uuid AND topic = 'user.deactivated' AND attempts > 0"
    )
    return await owner.fetchval(counted, tenant.id)


async def queued(queue: Redis) -> list[tuple[str, list[str]]]:
    """The tasks of departures that wait in the broker, oldest first: each with its tenant and its messages."""
    tasks: Any = await cast("Any", queue.lrange(REVOCATION, 0, -1))
    arguments = [orjson.loads(b64decode(orjson.loads(task)["body"]))[0] for task in reversed(tasks)]
    return [(tenant, [message for message, _ in departures]) for tenant, departures in arguments]


async def test_settled_together(
    tenant: Tenant,
    callers: Callers,
    owner: Connection,
    queue: Redis,
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tenant's departures are one task, up to a number, and never together with another tenant's."""
    monkeypatch.setattr(relay, "TOGETHER", LEFT - 1)
    other = await a_tenant(callers)
    await left(other, 1)
    await relay.hand_over(database, make_celery(settings, publishing=True), queue, settings, BROKER)
    tasks = await queued(queue)
    assert sorted((whose, len(messages)) for whose, messages in tasks) == sorted(
        [(tenant.id, LEFT - 1), (tenant.id, 1), (other.id, 1)]
    )
    told = "SELECT id::text FROM outbox WHERE tenant_id = $1::text::uuid AND topic = 'user.deactivated' ORDER BY id"
    rows = await owner.fetch(told, tenant.id)
    assert [each for whose, messages in tasks if whose == tenant.id for each in messages] == [row["id"] for row in rows]


async def test_no_more_than_there_is_room_for(
    tenant: Tenant,
    owner: Connection,
    queue: Redis,
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Departures that the broker has no room for wait in PostgreSQL, unleased, and follow as the worker gets on."""
    monkeypatch.setattr(relay, "QUEUED_AT_MOST", 2)
    monkeypatch.setattr(relay, "BATCH", 1)
    celery = make_celery(settings, publishing=True)
    for room in (1, 2, 2):
        await relay.hand_over(database, celery, queue, settings, BROKER)
        assert (len(await queued(queue)), await leased(owner, tenant)) == (room, room)
    await queue.delete(REVOCATION)
    monkeypatch.setattr(relay, "BATCH", LEFT)
    await relay.hand_over(database, celery, queue, settings, BROKER)
    assert (len(await queued(queue)), await leased(owner, tenant)) == (1, LEFT)


async def test_the_broker_is_away(tenant: Tenant, owner: Connection, database: Database, settings: Settings) -> None:
    """What is due is fanned out and stays due; nothing is leased to nobody."""
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    redis = broker.connect(nowhere)
    assert await relay.hand_over(database, make_celery(nowhere, publishing=True), redis, nowhere, BROKER) == 0
    await redis.aclose()
    assert await leased(owner, tenant) == 0
    waiting = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND fanned_out_at IS NULL"
    assert await owner.fetchval(waiting, UUID(tenant.id)) == 0


async def test_large_changes_are_handed_over(
    callers: Callers, owner: Connection, queue: Redis, database: Database, settings: Settings
) -> None:
    """A large change of roles is given to one worker at a time, and back when the broker is away."""
    tenant = await a_tenant(callers)
    await queue.delete(HOUSEKEEPING)
    await owner.execute("UPDATE role_changes SET ended_at = clock_timestamp() WHERE ended_at IS NULL")
    await owner.execute("INSERT INTO role_changes VALUES ($1::text::uuid, 'the edit', 1)", tenant.id)
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    await relay.hand_over(database, make_celery(nowhere, publishing=True), queue, settings, BROKER)
    leased = "SELECT leased_until FROM role_changes WHERE tenant_id::text = $1"
    assert await owner.fetchval(leased, tenant.id) is None

    celery = make_celery(settings, publishing=True)
    for _ in range(2):
        await relay.hand_over(database, celery, queue, settings, BROKER)
    tasks: Any = await cast("Any", queue.lrange(HOUSEKEEPING, 0, -1))
    assert [orjson.loads(b64decode(orjson.loads(task)["body"]))[0] for task in tasks] == [[tenant.id, "the edit"]]

    await owner.execute("UPDATE role_changes SET leased_until = now() WHERE tenant_id::text = $1", tenant.id)
    await relay.hand_over(database, celery, queue, settings, BROKER)
    assert await cast("Any", queue.llen(HOUSEKEEPING)) == 2
    await queue.delete(HOUSEKEEPING)
