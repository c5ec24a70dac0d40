"""An upgrade that stops in the middle, and writers who are there meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest

from architecture.databases import owners_url, scratch
from architecture.test_migrations import differences
from architecture.test_upgrades import REVISIONS, counts, old_installation, said_by_check, upgrade
from rollcall import catalogue, functions, revisions, tables
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.settings import Settings
from rollcall.tables import MigrationStopped
from rows import connected

IN_THE_WAY = "passwords"
"""A table that a revision makes."""
FAILS = "2026_11_30_ways_in"


async def test_taken_up_again(engines: Engines, settings: Settings) -> None:
    """A revision that fails is undone and named, those before it stand, and the next run goes on from there."""
    stood = REVISIONS[REVISIONS.index(FAILS) - 1]
    async with old_installation(engines, settings) as there, connected(owners_url(there)) as owner:
        before = await counts(there)
        await owner.execute(f"CREATE TABLE {IN_THE_WAY} (id int)")
        for _ in range(2):  # it is in the way of the next run, too
            with pytest.raises(MigrationStopped, match=rf"{FAILS} failed and was undone: .*\n.*stands at {stood};"):
                await tables.migrate(there)
            assert await tables.current_revision(owner) == stood
        assert await owner.fetchval("SELECT to_regnamespace($1) IS NULL", functions.schema())
        assert not await owner.fetchval(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'tenants'::regclass AND attname = 'break_glass'"
        )
        code, said, _ = await said_by_check(there)
        assert code == 3
        assert f"to come  {FAILS}" in said
        await owner.execute(f"DROP TABLE {IN_THE_WAY}")
        await tables.migrate(there)
        assert await tables.current_revision(owner) == revisions.newest()
        assert await counts(there) == before
        assert await differences(there) == []


async def test_a_lock_that_is_not_had(engines: Engines, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision that does not get its lock undoes none before it, and has been begun again before it gives up."""
    begun: list[str | None] = []
    seen = tables.current_revision

    async def noted(owner: Connection) -> str | None:
        begun.append(await seen(owner))
        return begun[-1]

    monkeypatch.setattr(tables, "current_revision", noted)
    monkeypatch.setattr(tables, "REVISION_TRIES", 2)
    stood = REVISIONS[REVISIONS.index("2026_11_29_tenant_fields") - 1]
    async with (
        old_installation(engines, settings) as there,
        connected(owners_url(there)) as busy,
        connected(owners_url(there)) as owner,
    ):
        async with busy.transaction():
            await busy.execute("LOCK TABLE tenants IN ROW EXCLUSIVE MODE")
            with pytest.raises(MigrationStopped, match=f"lock timeout(?s:.)*stands at {stood};"):
                await tables.migrate(there)
        assert begun.count(stood) == 1 + 2, "once before the second try, and once after each"
        await tables.migrate(there)
        assert await seen(owner) == revisions.newest()


@asynccontextmanager
async def writing(settings: Settings, written: list[int]) -> AsyncGenerator[None]:
    """Three who write all the time, in the order of locks; as all of ours do, they do again what a deadlock undid."""
    over = asyncio.Event()

    async def write(owner: Connection) -> None:
        async with owner.transaction():
            await owner.execute("SELECT FROM plans JOIN tenants ON plan = key")  # as every gate does
            await owner.execute("SELECT FROM accounts ORDER BY id FOR UPDATE")
            await asyncio.sleep(0.01)
            await owner.execute("UPDATE users SET active = active")
            await owner.execute("UPDATE sessions SET label = label")

    async def go_on(number: int) -> None:
        async with connected(owners_url(settings)) as owner:
            while not over.is_set():
                with suppress(asyncpg.DeadlockDetectedError):
                    await write(owner)
                    written[number] += 1

    writers = [asyncio.create_task(go_on(number)) for number in range(len(written))]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*writers)


async def more(written: list[int]) -> None:
    """Wait until each of them has written again."""
    before = [*written]
    async with asyncio.timeout(30):
        while any(map(int.__eq__, before, written)):
            await asyncio.sleep(0.01)


async def test_beside_writers(engines: Engines, settings: Settings) -> None:
    """All revisions pass beside writers who have some tables and come to others, and all of these go on."""
    async with old_installation(engines, settings) as there:
        written = [0] * 3
        async with writing(there, written):
            await more(written)
            await tables.migrate(there)
            await more(written)
        assert await differences(there) == []


async def test_locks_end_with_their_revision(engines: Engines, settings: Settings) -> None:
    """Of two revisions of one upgrade the first is to be seen by everybody while the second waits."""
    async with scratch(engines, settings) as there:
        await upgrade(there, catalogue.FOUNDATION)
        async with connected(owners_url(there)) as busy, connected(owners_url(there)) as owner:
            async with busy.transaction():
                await busy.execute("LOCK TABLE tenants IN ROW EXCLUSIVE MODE")
                migrating = asyncio.create_task(tables.migrate(there))
                async with asyncio.timeout(30):
                    while await tables.current_revision(owner) == catalogue.FOUNDATION:
                        assert not migrating.done()
                        await asyncio.sleep(0.01)
            await migrating
