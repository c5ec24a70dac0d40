"""A look behind the commands' back."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from installations import Installation, an_installation
from rollcall.cli.embedded import Engines
from rollcall.settings import Settings


@pytest_asyncio.fixture
async def installation(engines: Engines, settings: Settings) -> AsyncGenerator[Installation]:
    """An installation of its own, in which all is well."""
    async with an_installation(engines, settings) as made:
        yield made
