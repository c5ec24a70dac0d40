"""A look behind the commands' back."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from installations import Installation, an_installation
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.settings import Settings
from rows import connected


@pytest_asyncio.fixture
async def owner(engines: Engines) -> AsyncGenerator[Connection]:
    """A connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def installation(engines: Engines, settings: Settings) -> AsyncGenerator[Installation]:
    """An installation of its own, in which all is well."""
    async with an_installation(engines, settings) as made:
        yield made
