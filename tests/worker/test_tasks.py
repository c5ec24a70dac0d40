"""The worker's tasks: departures are settled together, and one that can't be holds up no other."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from factories import DART_RULE, Callers, Tenant, a_tenant, deactivation
from rollcall.db import Connection
from rollcall.directory import role_changes
from rollcall.journal.keeping import Part
from rollcall.provisioning import profile_taking
from rollcall.settings import Settings
from rollcall.worker import tasks
from rollcall.worker.app import make_celery
from rollcall.worker.runtime import Runtime

LEFT = 4


@pytest_asyncio.fixture
async def worker(settings: Settings) -> AsyncGenerator[Any]:
    """Celery, with what tasks run on in a worker process."""
    Runtime.start(settings)
    yield make_celery(settings)
    await asyncio.to_thread(Runtime.stop)


@pytest_asyncio.fixture
async def tenant(callers: Callers) -> Tenant:
    """A tenant that some people have just left."""
    tenant = await a_tenant(callers)
    for _ in range(LEFT):
        person = await tenant.person()
        await tenant.session(person)
        answer = await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
        assert answer.status_code == 200, answer.text
    return tenant


async def departures(owner: Connection, tenant: Tenant) -> list[tuple[str, str]]:
    """What the relay says of those who left: the messages, each with its request."""
    rows = await owner.fetch(
        "UPDATE outbox SET attempts = 1, fanned_out_at = clock_timestamp()"
        " WHERE tenant_id = $1::text::uuid AND topic = 'user.deactivated' RETURNING id, request_id",
        tenant.id,
    )
    return sorted((str(row["id"]), row["request_id"]) for row in rows)


async def settle(worker: Any, tenant: Tenant, those: Sequence[tuple[str, str]]) -> None:
    """Do what a worker process does with one task."""
    await asyncio.to_thread(worker.tasks[tasks.SETTLE_DEPARTURES], tenant.id, those)


async def completed(owner: Connection, tenant: Tenant) -> set[str]:
    """The departures whose receipts are complete."""
    signed = "SELECT id FROM receipts WHERE tenant_id = $1::text::uuid AND completed_at IS NOT NULL AND statement <> ''"
    return {str(row["id"]) for row in await owner.fetch(signed, tenant.id)}


async def test_together(tenant: Tenant, owner: Connection, worker: Any) -> None:
    """One task settles several departures; each has its receipt, of its own request, and nothing is done twice."""
    those = await departures(owner, tenant)
    await settle(worker, tenant, those)
    assert await completed(owner, tenant) == {message for message, _ in those}
    rows = await owner.fetch("SELECT id, request_id, purged FROM receipts WHERE tenant_id = $1::text::uuid", tenant.id)
    assert sorted((str(row["id"]), row["request_id"]) for row in rows) == those
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE tenant_id = $1::text::uuid", tenant.id) == 0

    written = "SELECT array_agg(xmin::text ORDER BY id) FROM receipts WHERE tenant_id = $1::text::uuid"
    before = await owner.fetchval(written, tenant.id)
    await asyncio.gather(*(settle(worker, tenant, those) for _ in range(3)))
    assert await owner.fetchval(written, tenant.id) == before


async def test_the_same_at_the_same_moment(tenant: Tenant, owner: Connection, worker: Any) -> None:
    """Two that have some of the same departures, in other orders, wait for each other and settle each once."""
    those = await departures(owner, tenant)
    await asyncio.gather(*(settle(worker, tenant, each) for each in (those, those[::-1], those[1:], those[:2][::-1])))
    assert await completed(owner, tenant) == {message for message, _ in those}
    assert await owner.fetchval("SELECT max(attempts) FROM outbox WHERE tenant_id = $1::text::uuid", tenant.id) == 1


async def test_one_that_can_not_be_settled(tenant: Tenant, owner: Connection, worker: Any) -> None:
    """The others of its task are settled; it is tried again later, with the reason written down."""
    those = await departures(owner, tenant)
    bad = UUID(those[1][0])
    await owner.execute("""UPDATE outbox SET payload = payload || '{"epoch": "unheard of"}' WHERE id = $1""", bad)
    await settle(worker, tenant, those)
    assert await completed(owner, tenant) == {message for message, _ in those} - {str(bad)}
    (row,) = await owner.fetch(
        "SELECT done_at, last_error, next_try_at > clock_timestamp() AS later FROM outbox WHERE id = $1", bad
    )
    assert (row["done_at"], row["later"]) == (None, True)
    assert "unheard of" in row["last_error"]

    await owner.execute("UPDATE outbox SET payload = jsonb_set(payload, '{epoch}', '2') WHERE id = $1", bad)
    await settle(worker, tenant, [those[1]])
    assert await completed(owner, tenant) == {message for message, _ in those}


async def test_who_left_twice(callers: Callers, owner: Connection, worker: Any) -> None:
    """Two departures of one person in one task: each receipt counts what that departure closed."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    for sessions in (2, 3):
        for _ in range(sessions):
            await tenant.session(maria)
        await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/deactivate")
        await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/reactivate")
    await settle(worker, tenant, await departures(owner, tenant))
    rows = await owner.fetch(
        "SELECT (closed ->> 'sessions')::integer AS closed, (purged ->> 'sessions')::integer AS purged FROM receipts"
        " WHERE tenant_id = $1::text::uuid ORDER BY id",
        tenant.id,
    )
    assert [(row["closed"], row["purged"]) for row in rows] == [(2, 2), (3, 3)]


async def test_nothing_to_settle(callers: Callers, tenant: Tenant, owner: Connection, worker: Any) -> None:
    """A message that has been forgotten, or another tenant's, is nothing to do."""
    other = await a_tenant(callers)
    await settle(worker, other, [*await departures(owner, tenant), (str(uuid4()), "none")])
    assert await completed(owner, tenant) == await completed(owner, other) == set()


async def test_profiles_are_taken(callers: Callers, worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that waited for its provider to be quiet is taken by a task, which may run twice."""
    acme = await a_tenant(callers, profile="auto")
    acme.scim.headers["User-Agent"] = "Okta SCIM Client 1.0.0"
    await acme.person()
    await callers.app.state.context.batched_entries.flush()

    async def in_effect() -> str:
        await asyncio.to_thread(worker.tasks[tasks.TAKE_PROFILES])
        return (await callers.operator.get(f"{acme.v1}/provider")).json()["profile_in_effect"]

    assert await in_effect() == "default"
    monkeypatch.setattr(profile_taking, "QUIET", timedelta())
    assert [await in_effect(), await in_effect()] == ["okta", "okta"]
    assert len(await acme.audit(action="tenant.profile_taken")) == 1


async def test_marks_are_forgotten(callers: Callers, worker: Any, owner: Connection) -> None:
    """What was not met for three months goes with the housekeeping; what is younger stays."""
    acme = await a_tenant(callers)
    mark = "INSERT INTO provider_marks VALUES ($1::text::uuid, $2, now(), now() - make_interval(days => $3), 1)"
    for name, days in (("user-agent:old", 91), ("user-agent:young", 89)):
        await owner.execute(mark, acme.id, name, days)
    await asyncio.to_thread(worker.tasks[tasks.KEEP_HOUSE])
    left = await owner.fetch("SELECT mark FROM provider_marks WHERE tenant_id = $1::text::uuid ORDER BY mark", acme.id)
    assert "user-agent:young" in {row["mark"] for row in left}
    assert "user-agent:old" not in {row["mark"] for row in left}


async def test_keeping_house(owner: Connection, worker: Any) -> None:
    """What beat asks for, twice at the same moment: each part is done, and none has failed."""
    await asyncio.gather(*(asyncio.to_thread(worker.tasks[tasks.KEEP_HOUSE]) for _ in range(2)))
    rows = await owner.fetch("SELECT part, done_at, leased_until, error FROM housekeeping")
    assert {row["part"] for row in rows} == {part.value for part in Part}
    assert all(row["done_at"] is not None and row["leased_until"] is None and row["error"] is None for row in rows)


def test_every_task_has_an_end_to_its_time(worker: Any) -> None:
    """A task is cancelled after its seconds, and its process is killed a little later if it does not even hear that."""
    ours = [task for name, task in worker.tasks.items() if name.startswith("rollcall.")]
    assert len(ours) == 10
    for task in ours:
        assert 0 < task.seconds < task.time_limit <= 3600


async def test_roles_are_brought(
    worker: Any, callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's large change of roles is brought on by a task, and is free for the next one when its time is over."""
    monkeypatch.setattr(role_changes, "MOST_AT_THE_ANSWER", 1)
    monkeypatch.setattr(role_changes, "AT_ONCE", 1)
    monkeypatch.setattr(role_changes, "LONGEST_TURN", 0.0)
    tenant = await a_tenant(callers)
    crowd = [await tenant.person() for _ in range(3)]
    answer = await callers.operator.put(f"{tenant.v1}/role-rule", json={**DART_RULE, "default": "guest"})
    assert answer.json()["applied"]["left"] == len(crowd)
    leased = "UPDATE role_changes SET leased_until = now() + interval '1 hour' WHERE tenant_id::text = $1"
    left = "SELECT count(*) FROM role_change_people WHERE tenant_id::text = $1"

    for still in (2, 1, 0):
        await owner.execute(leased, tenant.id)
        await asyncio.to_thread(worker.tasks[tasks.BRING_ROLES], tenant.id, "the edit")
        assert await owner.fetchval(left, tenant.id) == still
        assert not await owner.fetchval("SELECT leased_until FROM role_changes WHERE tenant_id::text = $1", tenant.id)

    assert await owner.fetchval(
        "SELECT count(*) FROM accounts WHERE role = 'guest' AND tenant_id::text = $1", tenant.id
    )
