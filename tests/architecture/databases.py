"""Databases of a test's own, beside the one that all tests share."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from pydantic import SecretStr

from rollcall.cli.embedded import OWNER, Engines
from rollcall.settings import Settings
from rows import connected


@asynccontextmanager
async def scratch(engines: Engines, settings: Settings, *, where: str = "pg_default") -> AsyncGenerator[Settings]:
    """An empty database of its own on the same server, in the tablespace *where*."""
    name = f"scratch_{uuid4().hex[:8]}"
    assert settings.migration_database_url is not None

    def elsewhere(url: SecretStr) -> SecretStr:
        return SecretStr(url.get_secret_value().rpartition("/")[0] + f"/{name}")

    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"CREATE DATABASE {name} OWNER {OWNER} TABLESPACE {where} STRATEGY file_copy")
        try:
            yield settings.model_copy(
                update={
                    "database_url": elsewhere(settings.database_url),
                    "migration_database_url": elsewhere(settings.migration_database_url),
                }
            )
        finally:
            await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


def owners_url(settings: Settings) -> str:
    """The address of the role that owns the tables."""
    assert settings.migration_database_url is not None
    return settings.migration_database_url.get_secret_value()
