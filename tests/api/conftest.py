"""A fresh tenant for each test of an address, and a look behind the application's back."""

import pytest_asyncio

from factories import Callers, Tenant, a_tenant


@pytest_asyncio.fixture
async def other(callers: Callers) -> Tenant:
    """Somebody else's tenant."""
    return await a_tenant(callers)
