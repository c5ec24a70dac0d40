"""How Alembic reaches the database: over the engine its caller configured, a transaction for each revision."""

import asyncio
from typing import TYPE_CHECKING, cast

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from rollcall.tables import metadata

if TYPE_CHECKING:
    from advanced_alchemy.alembic.commands import AlembicCommandConfig

config = cast("AlembicCommandConfig", context.config)


def _run(connection: Connection) -> None:
    # For the revisions that set none of their own; one that waits behind a long statement has everybody wait behind it.
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        version_table=config.version_table_name,
        transaction_per_migration=True,  # what one has locked is not held while the next one waits
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run_online(engine: AsyncEngine) -> None:
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
    finally:  # a revision may refuse
        await engine.dispose()


asyncio.run(_run_online(cast("AsyncEngine", config.engine)))
