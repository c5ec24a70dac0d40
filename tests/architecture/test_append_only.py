"""The audit is append-only because the database refuses, whoever asks."""

from collections.abc import AsyncGenerator
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio

from factories import Callers, Tenant, a_tenant
from rollcall.cli.embedded import Engines
from rollcall.db import FLEET_ROLE, Connection
from rows import connected

REWRITES = [
    "UPDATE {table} SET detail = 'nothing happened'",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
]


@pytest_asyncio.fixture(scope="session")
async def audited(callers: Callers) -> Tenant:
    """A tenant of whom something has been written down."""
    tenant = await a_tenant(callers)
    await tenant.person()
    return tenant


@pytest_asyncio.fixture
async def runner(engines: Engines) -> AsyncGenerator[Connection]:
    """The running role."""
    async with connected(engines.database_url) as connection:
        yield connection


async def partition_of_today(owner: Connection) -> str:
    return await owner.fetchval("SELECT 'audit_entries' || to_char(now() AT TIME ZONE 'UTC', '_YYYY_MM')")


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("role", ["", FLEET_ROLE])
async def test_running_roles_are_refused(runner: Connection, audited: Tenant, rewrite: str, role: str) -> None:
    """Neither the running role, with the tenant set, nor the fleet's may change or remove an entry."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with runner.transaction():
            if role:
                await runner.execute(f"SET LOCAL ROLE {role}")
            await runner.execute("SELECT set_config('rollcall.tenant', $1, true)", audited.id)
            await runner.execute(rewrite.format(table="audit_entries"))


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("where", ["the table", "its partition"])
async def test_the_owner_is_refused(owner: Connection, audited: Tenant, rewrite: str, where: str) -> None:
    """Not even the owner of the tables changes or removes an entry, through the table or through a partition."""
    table = "audit_entries" if where == "the table" else await partition_of_today(owner)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        async with owner.transaction():
            await owner.execute(rewrite.format(table=table))


@pytest.mark.parametrize("rewrite", REWRITES)
async def test_the_last_resort_is_append_only(owner: Connection, audited: Tenant, rewrite: str) -> None:
    """The partition for months that nobody prepared refuses as well."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        async with owner.transaction():
            await owner.execute(
                "INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_label, outcome) "
                "VALUES ($1, '2100-01-01Z', 'x', 'x', 'system', 'x', 'done')",
                UUID(audited.id),
            )
            await owner.execute(rewrite.format(table="audit_entries_default"))


@pytest.mark.parametrize("rewrite", ["UPDATE audit_payloads SET payload = '{}'", "DELETE FROM audit_payloads"])
@pytest.mark.parametrize("role", ["", FLEET_ROLE])
async def test_payloads_stay_too(runner: Connection, audited: Tenant, rewrite: str, role: str) -> None:
    """What an entry's request carried is no request's to change or erase either."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with runner.transaction():
            if role:
                await runner.execute(f"SET LOCAL ROLE {role}")
            await runner.execute("SELECT set_config('rollcall.tenant', $1, true)", audited.id)
            await runner.execute(rewrite)


async def test_payloads_are_never_edited(owner: Connection, audited: Tenant) -> None:
    """A payload can be erased with a person, but not even the owner can make it say something else."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        async with owner.transaction():
            await owner.execute("UPDATE audit_payloads SET payload = '{}'")
