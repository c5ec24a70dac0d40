"""The migrations make the tables that the models say, can be taken back, and can be repeated."""

import asyncio
import re
from typing import Any

import pytest
from advanced_alchemy.alembic.commands import AlembicCommands
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy.ext.asyncio import create_async_engine

from architecture.databases import owners_url, scratch
from rollcall import tables
from rollcall.cli.embedded import Engines
from rollcall.db import alchemy_config
from rollcall.settings import Settings
from rows import connected

PARTITION = re.compile(r"audit_(entries|payloads)_(\d{4}_\d{2}|default)")


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name is None or not PARTITION.fullmatch(name)


async def differences(settings: Settings) -> list[Any]:
    """What alembic would change to bring the database to the models; partitions are the database's own."""

    def compare(connection: AlchemyConnection) -> list[Any]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": is_compared,
            },
        )
        return list(compare_metadata(context, tables.metadata))

    engine = create_async_engine(owners_url(settings).replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def remains(settings: Settings) -> set[str]:
    """Everything of ours that is in the database's schema."""
    async with connected(owners_url(settings)) as owner:
        rows = await owner.fetch(
            "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
            "UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace "
            "UNION SELECT 'a right on ' || c.relname FROM pg_class c, aclexplode(c.relacl) a "
            "WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner"
        )
    return {row["name"] for row in rows}


async def test_tables_are_what_the_models_say(settings: Settings) -> None:
    """A migrated database and the models do not differ in any table, column, key or index."""
    assert await differences(settings) == []


async def test_a_difference_would_be_seen(engines: Engines, settings: Settings) -> None:
    """The comparison sees a missing index, a lost column and a looser one."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        before = len(await differences(there))
        async with connected(owners_url(there)) as owner:
            await owner.execute("DROP INDEX ix_outbox_due")
            await owner.execute("ALTER TABLE sessions DROP COLUMN label")
            await owner.execute("ALTER TABLE tokens ALTER COLUMN label DROP NOT NULL")
        assert len(await differences(there)) == before + 3


async def test_there_and_back_again(engines: Engines, settings: Settings) -> None:
    """Every migration can be taken back: nothing but Alembic's own table remains, and then all can be made anew."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        full = await remains(there)
        await asyncio.to_thread(lambda: AlembicCommands(alchemy_config(owners_url(there))).downgrade("base"))
        assert await remains(there) <= {"alembic_version", "alembic_version_pkc", "_alembic_version"}
        await tables.migrate(there)
        assert await remains(there) == full
        assert await differences(there) == []


async def test_repeating_changes_nothing(settings: Settings) -> None:
    """Migrating a database that is current is safe and leaves it as it is."""
    before = await remains(settings)
    await tables.migrate(settings)
    assert await remains(settings) == before


async def test_two_at_once(engines: Engines, settings: Settings) -> None:
    """Two processes that migrate an empty database at the same moment wait for each other, and both succeed."""
    async with scratch(engines, settings) as there:
        await asyncio.gather(tables.migrate(there), tables.migrate(there))
        assert await differences(there) == []


@pytest.mark.parametrize("name", ["rollcall_runtime", "rollcall_fleet"])
async def test_roles_can_not_log_in(engines: Engines, settings: Settings, name: str) -> None:
    """The two roles that hold rights are nobody's login."""
    async with connected(engines.postgres.superuser_url) as superuser:
        assert await superuser.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", name) is False
