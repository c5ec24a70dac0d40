"""Batched entries: what is gathered in memory and written down in batches; nothing gathered is lost or doubled."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import httpx
import pytest

from factories import Callers, a_tenant
from rollcall.db import Connection, Database
from rollcall.metrics import figures
from rollcall.provisioning import batched_entries
from rollcall.provisioning.batched_entries import BatchedEntries
from rollcall.work import RequestOrigin

ORIGIN = RequestOrigin("r-1", "192.0.2.7", "GET", "/scim/v2/Users")


def gather(gathered: BatchedEntries, tenant: UUID, *, path: str = "/scim/v2/Users") -> None:
    """Let *gathered* know of one successful read."""
    origin = RequestOrigin("r-1", "192.0.2.7", "GET", path)
    token = uuid4()
    gathered.read(
        tenant, token, datetime.now(UTC), origin, action="scim.users.list", label="l", owner_id=None, target=None
    )


async def entries(owner: Connection, tenant: UUID) -> int:
    return await owner.fetchval("SELECT count(*) FROM audit_entries WHERE tenant_id = $1", tenant)


async def refused_from(owner: Connection, source: str) -> int:
    return await owner.fetchval("SELECT coalesce(sum(calls), 0) FROM refused_calls WHERE source LIKE $1", source)


async def test_reads_are_written_down(database: Database, owner: Connection) -> None:
    """What was read is in the audit after a flush, once, however often is flushed."""
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    for _ in range(5):
        gather(gathered, tenant)
    assert await entries(owner, tenant) == 0
    for _ in range(2):
        await gathered.flush()
    assert await entries(owner, tenant) == 5


async def test_flushes_wait_for_each_other(database: Database, owner: Connection) -> None:
    """When a flush returns, everything gathered before it is committed, also what another flush was writing."""
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    gather(gathered, tenant)
    first = asyncio.create_task(gathered.flush())
    await asyncio.sleep(0)
    await gathered.flush()
    assert await entries(owner, tenant) == 1
    await first


async def test_stopping_writes_the_rest(database: Database, owner: Connection) -> None:
    """A process that ends in order leaves nothing behind in memory."""
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    gathered.start()
    gather(gathered, tenant)
    await gathered.stop()
    assert await entries(owner, tenant) == 1


async def test_the_database_refuses_once(database: Database, owner: Connection) -> None:
    """What the database would not take is kept, with what came meanwhile, and written down the next time."""
    gathered, tenant, source = BatchedEntries(database.pool), uuid4(), f"source-{uuid4()}"
    gather(gathered, tenant)
    gathered.refused(source)
    await owner.execute("REVOKE INSERT ON refused_calls FROM rollcall_fleet")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await gathered.flush()
    finally:
        await owner.execute("GRANT INSERT ON refused_calls TO rollcall_fleet")
    assert await entries(owner, tenant) == 0
    gather(gathered, tenant)
    gathered.refused(source)
    await gathered.flush()
    assert await entries(owner, tenant) == 2
    assert await refused_from(owner, source) == 2


async def test_the_writer_survives_a_refusal(
    database: Database, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background writer goes on after the database refused it once."""
    monkeypatch.setattr(batched_entries, "EVERY_SECONDS", 0.01)
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    await owner.execute("REVOKE INSERT ON audit_entries FROM rollcall_fleet")
    try:
        gathered.start()
        gather(gathered, tenant)
        await asyncio.sleep(0.1)
        assert await entries(owner, tenant) == 0
    finally:
        await owner.execute("GRANT INSERT ON audit_entries TO rollcall_fleet")
    async with asyncio.timeout(60):
        while not await entries(owner, tenant):
            await asyncio.sleep(0.01)
    await gathered.stop()
    assert await entries(owner, tenant) == 1


async def test_a_path_that_can_not_be_stored(database: Database, owner: Connection) -> None:
    """Characters that PostgreSQL can't hold don't stop the batch they are in."""
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    for path in ("/a\x00b", "/\ud800", "/plain"):
        gather(gathered, tenant, path=path)
    await gathered.flush()
    assert await entries(owner, tenant) == 3


async def test_nameless_refusals(callers: Callers, owner: Connection, http: httpx.AsyncClient) -> None:
    """Calls that nobody can be named for leave no entry each; they are counted for their source and minute."""
    await callers.app.state.context.batched_entries.flush()
    before = await refused_from(owner, "127.0.0.1")
    in_audit = await owner.fetchval("SELECT count(*) FROM audit_entries")
    for text in (None, "Bearer x", "Basic x") * 4:
        await http.get("/scim/v2/Users", headers={} if text is None else {"Authorization": text})
    await callers.app.state.context.batched_entries.flush()
    assert await refused_from(owner, "127.0.0.1") == before + 12
    assert await owner.fetchval("SELECT count(*) FROM audit_entries") == in_audit


async def test_a_flood_of_sources(database: Database, owner: Connection) -> None:
    """From a flood of addresses at most a thousand a minute get a row; the others are counted together."""
    gathered, flood = BatchedEntries(database.pool), uuid4().hex[:8]
    others = await refused_from(owner, "others")
    for part in range(4):  # flushing in between does not make room for more
        for number in range(400):
            gathered.refused(f"{flood}-{part}-{number}")
        await gathered.flush()
    rows = await owner.fetchval("SELECT count(*) FROM refused_calls WHERE source LIKE $1", f"{flood}-%")
    minutes = await owner.fetchval(
        "SELECT count(DISTINCT minute) FROM refused_calls WHERE source LIKE $1", f"{flood}-%"
    )
    assert rows <= batched_entries.SOURCES_A_MINUTE * minutes
    assert rows + await refused_from(owner, "others") - others == 1600


async def test_known_sources_go_on_counting(database: Database, owner: Connection) -> None:
    """A source that has its row is counted there, however full the minute is."""
    gathered, flood = BatchedEntries(database.pool), uuid4().hex[:8]
    for number in range(batched_entries.SOURCES_A_MINUTE + 50):
        gathered.refused(f"{flood}-{number}")
    gathered.refused(f"{flood}-0")
    await gathered.flush()
    assert await refused_from(owner, f"{flood}-0") == 2


async def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away, entries beyond a bound are not gathered, and counted."""
    dropped = figures().registry.get_sample_value("rollcall_traces_dropped_total")
    monkeypatch.setattr(batched_entries, "MOST_ENTRIES", 3)
    gathered, tenant = BatchedEntries(database.pool), uuid4()
    for _ in range(10):
        gather(gathered, tenant)
    await gathered.flush()
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('rollcall.tenant', $1, true)", str(tenant))
        assert await connection.fetchval("SELECT count(*) FROM audit_entries") == 3
    assert figures().registry.get_sample_value("rollcall_traces_dropped_total") == (dropped or 0) + 7


async def test_the_latest_use_stays(callers: Callers, database: Database, owner: Connection) -> None:
    """Two processes write a token's uses in any order; the latest one stays."""
    tenant = await a_tenant(callers)
    ids = UUID(tenant.id), UUID(tenant.token["id"])
    early, late = BatchedEntries(database.pool), BatchedEntries(database.pool)
    late.used(*ids, datetime(2040, 1, 2, tzinfo=UTC), "late")
    early.used(*ids, datetime(2040, 1, 1, tzinfo=UTC), "early")
    await late.flush()
    await early.flush()
    assert await owner.fetchval("SELECT last_used_from FROM tokens WHERE id = $1", ids[1]) == "late"


async def test_uses_are_locked_in_order(callers: Callers, database: Database) -> None:
    """Processes that write the uses of the same tokens at the same moment don't deadlock."""
    tenant = await a_tenant(callers)
    ids = [UUID(tenant.token["id"])] + [UUID((await tenant.issue_token())["id"]) for _ in range(5)]
    for _ in range(10):
        one, two = BatchedEntries(database.pool), BatchedEntries(database.pool)
        for gathered, order in ((one, ids), (two, ids[::-1])):
            for token in order:
                gathered.used(UUID(tenant.id), token, datetime.now(UTC), "x")
        await asyncio.gather(one.flush(), two.flush())
