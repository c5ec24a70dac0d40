"""The database: addresses as hosters give them, and roles that would see every tenant."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cli.shell import rollcall
from rollcall import db, tables
from rollcall.cli.embedded import OWNER, Engines
from rollcall.db import RoleUnbound
from rollcall.settings import Settings
from rows import connected


async def test_how_tls_is_used(settings: Settings) -> None:
    """An address that ends in ``sslmode``, as hosters print it, is understood on both ways and by the migration."""

    def hosted(url: SecretStr | None) -> SecretStr:
        assert url is not None
        return SecretStr(f"{url.get_secret_value()}?sslmode=prefer&application_name=ours")

    said = settings.model_copy(
        update={name: hosted(getattr(settings, name)) for name in ("database_url", "migration_database_url")}
    )
    await tables.migrate(said)
    database = await db.connect(said)
    try:
        assert await database.pool.fetchval("SHOW application_name") == "ours"
        async with database.sessions() as session:
            assert await session.scalar(text("SHOW application_name")) == "ours"
    finally:
        await database.close()


async def test_connections_that_are_gone(engines: Engines, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Management work is lent no connection that the server has closed, nor one that nobody used for long."""
    database = await db.connect(settings)

    async def server() -> int:
        async with database.sessions() as session:
            return int(await session.scalar(text("SELECT pg_backend_pid()")) or 0)

    try:
        first = await server()
        assert await server() == first
        async with connected(engines.postgres.superuser_url) as superuser:
            assert await superuser.fetchval("SELECT pg_terminate_backend($1, 30_000)", first)
        second = await server()
        assert second != first
        monkeypatch.setattr(db, "LONGEST_REST", 0.0)
        assert await server() != second
    finally:
        await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("rights", ["SUPERUSER", "BYPASSRLS", f"IN ROLE {OWNER}"])
async def test_roles_that_see_everything(engines: Engines, settings: Settings, rights: str) -> None:
    """No process connects as a role that row-level security does not bind; commands say so in a line."""
    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"CREATE ROLE unbound LOGIN PASSWORD 'x' {rights}")
        try:
            url = engines.postgres.url("unbound", "x", settings.database_url.get_secret_value().rpartition("/")[2])
            with pytest.raises(RoleUnbound, match=r'"unbound" is a superuser.*CREATE ROLE … LOGIN and nothing more'):
                await db.connect(settings.model_copy(update={"database_url": SecretStr(url)}))
            unbound = settings.model_copy(update={"database_url": SecretStr(url)})
            for words in (["tenants", "list"], ["relay"]):
                said = await asyncio.to_thread(rollcall, unbound, *words)
                assert (said.returncode, said.stdout) == (1, "")
                assert said.stderr.startswith('the running role "unbound"')
        finally:
            await superuser.execute("DROP ROLE unbound")
