"""A look behind the commands' back."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rows import connected


@pytest_asyncio.fixture
async def owner(engines: Engines) -> AsyncGenerator[Connection]:
    """A connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection
