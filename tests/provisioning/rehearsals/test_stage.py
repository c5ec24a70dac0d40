"""The stage: what is a transaction elsewhere is one here too, to whoever opens it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio
from sqlalchemy import text

from api.test_pooler import behind_a_pooler
from factories import ORIGIN, Callers, Tenant, a_tenant
from poolers import PGBOUNCER
from rollcall.db import FLEET_ROLE, lone_engine
from rollcall.provisioning.rehearsals.playing import Rehearsals
from rollcall.provisioning.rehearsals.stage import Stage, open_stage
from rollcall.settings import Settings
from rollcall.work import SYSTEM, TenantRef, open_work


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant."""
    return await a_tenant(callers)


@pytest_asyncio.fixture
async def stage(acme: Tenant, settings: Settings) -> AsyncGenerator[Stage]:
    """A stage for it."""
    engine = lone_engine(settings)
    async with open_stage(engine, TenantRef(UUID(acme.id), acme.slug), ORIGIN) as opened:
        yield opened
    await engine.dispose()


@pytest.mark.parametrize("name", ["rollcall.tenant", "rollcall.before", "role", "statement_timeout", "enable_seqscan"])
async def test_settings_end_with_a_transaction(stage: Stage, name: str) -> None:
    """What one statement has set for its transaction is not set for the next one."""
    pool = stage.database.pool
    before = await pool.fetchval("SELECT current_setting($1, true)", name)
    given = {"role": FLEET_ROLE, "statement_timeout": "25s", "enable_seqscan": "off"}.get(name, stage.tenant.slug)
    assert await pool.fetchval("SELECT set_config($1, $2, true)", name, given) == given

    assert (await pool.fetchval("SELECT current_setting($1, true)", name) or "") == (before or "")


async def test_an_error_ends_its_own(stage: Stage) -> None:
    """A statement that fails undoes what was done with it, and nothing else."""
    pool = stage.database.pool
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMPORARY TABLE stood (number integer) ON COMMIT DROP")
    with pytest.raises(asyncpg.PostgresError):
        async with pool.acquire() as connection:
            await connection.execute("INSERT INTO stood VALUES (1)")
            await connection.execute("SELECT 1 / 0")
    await pool.fetchval("INSERT INTO stood VALUES (2)")

    async with open_work(stage.database, stage.tenant, SYSTEM, ORIGIN) as work:
        assert (await work.db.scalars(text("SELECT number FROM stood"))).all() == [2]


async def test_only_its_own_tenant(stage: Stage, acme: Tenant) -> None:
    """Row-level security holds there: the tenant that is copied is not seen, nor anybody in it."""
    async with open_work(stage.database, stage.tenant, SYSTEM, ORIGIN) as work:
        assert (await work.db.scalars(text("SELECT id FROM tenants"))).all() == [stage.tenant.id]
        assert await work.db.scalar(text("SELECT count(*) FROM accounts")) == 0
    assert stage.tenant.id != UUID(acme.id)


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer on this machine")
async def test_behind_a_pooler(settings: Settings, tmp_path: Path) -> None:
    """Behind a pooler by transactions a rehearsal keeps one server's connection, and leaves it as it was."""
    async with behind_a_pooler(settings, tmp_path, named_statements=False) as (acme, _):
        rehearsals: Rehearsals = acme.callers.app.state.rehearsals
        for provider in ("okta", "entra"):
            played = await rehearsals.play(TenantRef(UUID(acme.id), acme.slug), ORIGIN, provider, ())
            assert not played.stopped
        assert (await acme.scim.get("/Users")).json()["totalResults"] == 1
