"""The owner of the tables, who can turn back the clock, and a second process of the same installation."""

from collections.abc import AsyncGenerator

import pytest_asyncio
from litestar import Litestar

from factories import alive
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.settings import Settings
from rows import connected


@pytest_asyncio.fixture(scope="session")
async def owner(engines: Engines) -> AsyncGenerator[Connection]:
    """A connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection


@pytest_asyncio.fixture(scope="session")
async def second_app(settings: Settings) -> AsyncGenerator[Litestar]:
    """Another web process of the same installation: it shares engines with the first one and nothing else."""
    async with alive(create_app(settings)) as app:
        yield app
