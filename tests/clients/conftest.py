"""The Python client beside the real application."""

from collections.abc import AsyncGenerator

import pytest_asyncio
from litestar import Litestar

from factories import Callers, in_process
from rollcall_client import Rollcall

ADDRESS = "http://rollcall.test"


@pytest_asyncio.fixture
async def rollcall(app: Litestar, callers: Callers) -> AsyncGenerator[Rollcall]:
    """A product that uses the client."""
    key = callers.product.headers["authorization"].removeprefix("Bearer ")
    async with Rollcall(ADDRESS, key, transport=in_process(app), timeout=20) as client:
        yield client
