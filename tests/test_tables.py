"""Migrating: which roles are good enough for isolation, and what is said about those that are not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from rollcall import revisions, tables
from rollcall.cli.embedded import OWNER, Engines
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE
from rollcall.settings import Settings
from rollcall.tables import MigrationRefused
from rows import connected


@asynccontextmanager
async def running_as(engines: Engines, settings: Settings, rights: str, *grants: str) -> AsyncGenerator[Settings]:
    """Settings whose running role is a fresh one with these rights; ``{role}`` in a grant is its name."""
    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"CREATE ROLE candidate LOGIN PASSWORD 'x' {rights}")
        try:
            for grant in grants:
                await superuser.execute(grant.format(role="candidate"))
            yield settings.model_copy(update={"database_url": as_user(settings.database_url, "candidate", "x")})
        finally:
            await superuser.execute("DROP ROLE candidate")


def as_user(url: SecretStr, user: str, password: str) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    return SecretStr(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}").geturl())


async def test_an_ordinary_role(engines: Engines, settings: Settings) -> None:
    """A role with nothing but a login is given what it needs: one role to serve with, one to step into."""
    async with running_as(engines, settings, "") as candidate:
        await tables.migrate(candidate)
        async with connected(candidate.database_url.get_secret_value()) as runner:
            assert await runner.fetchval("SELECT pg_has_role($1::name, 'USAGE')", RUNTIME_ROLE)
            assert await runner.fetchval("SELECT pg_has_role($1::name, 'SET')", FLEET_ROLE)
            assert not await runner.fetchval("SELECT pg_has_role($1::name, 'USAGE')", FLEET_ROLE)


@pytest.mark.parametrize(
    ("rights", "grants"),
    [
        ("SUPERUSER", []),
        ("BYPASSRLS", []),
        ("", [f"GRANT {OWNER} TO {{role}}"]),
        ("", [f"GRANT {OWNER} TO {{role}} WITH INHERIT FALSE, SET TRUE"]),
    ],
)
async def test_roles_that_isolation_does_not_bind(
    engines: Engines, settings: Settings, rights: str, grants: list[str]
) -> None:
    """A running role that could see or become everything is refused, and the message names the remedy."""
    async with running_as(engines, settings, rights, *grants) as candidate:
        with pytest.raises(MigrationRefused, match=r'"candidate" must neither .* CREATE ROLE … LOGIN and nothing more'):
            await tables.migrate(candidate)


async def test_the_owner_itself(settings: Settings) -> None:
    """The owner of the tables is refused as the running role."""
    same = settings.model_copy(update={"database_url": settings.migration_database_url})
    with pytest.raises(MigrationRefused, match="ROLLCALL_DATABASE_URL"):
        await tables.migrate(same)


@pytest.mark.parametrize(
    "grant",
    [
        f"GRANT {FLEET_ROLE} TO {{role}}",
        f"GRANT {FLEET_ROLE} TO {{role}} WITH INHERIT FALSE, SET FALSE",
        f"GRANT {RUNTIME_ROLE} TO {{role}} WITH INHERIT FALSE",
    ],
)
async def test_grants_made_by_hand(engines: Engines, settings: Settings, grant: str) -> None:
    """A grant that would open every tenant to every request, or not be enough to serve, is refused with the remedy."""
    async with running_as(engines, settings, "", grant) as candidate:
        with pytest.raises(
            MigrationRefused, match=r"REVOKE rollcall_\w+ FROM candidate CASCADE; GRANT rollcall_\w+ TO"
        ):
            await tables.migrate(candidate)


async def test_without_the_owners_address(settings: Settings) -> None:
    """Without an address of the owner nothing is migrated, and the message says what to set."""
    with pytest.raises(MigrationRefused, match="ROLLCALL_MIGRATION_DATABASE_URL"):
        await tables.migrate(settings.model_copy(update={"migration_database_url": None}))


async def test_newest_revision(settings: Settings) -> None:
    """A migrated database stands at the newest revision, which the running role can read."""
    async with connected(settings.database_url.get_secret_value()) as runner:
        assert await runner.fetchval("SELECT version_num FROM alembic_version") == revisions.newest()
