"""A fresh tenant for each test of an address, and a look behind the application's back."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from factories import Callers, Tenant, a_tenant
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rows import connected


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant on a plan with SCIM, with the dart- rule and an admin called ada."""
    return await a_tenant(callers)


@pytest_asyncio.fixture
async def other(callers: Callers) -> Tenant:
    """Somebody else's tenant."""
    return await a_tenant(callers)


@pytest_asyncio.fixture(scope="session")
async def owner(engines: Engines) -> AsyncGenerator[Connection]:
    """A connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection


@pytest_asyncio.fixture(scope="session")
async def watcher(engines: Engines) -> AsyncGenerator[Connection]:
    """A second such connection, which sees who waits for whom."""
    async with connected(engines.migration_database_url) as connection:
        yield connection
