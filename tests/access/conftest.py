"""The owner of the tables, who can turn back the clock, and a second process of the same installation."""

import asyncio
from collections.abc import AsyncGenerator

import pytest_asyncio
from litestar import Litestar

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
    app = create_app(settings)
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        await life
    yield app
    over.set()
    await life
