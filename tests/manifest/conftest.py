"""A manifest's text, applied or compared in a word."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from factories import ORIGIN, Callers, Tenant
from rollcall.db import Database
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.parsing import parse_manifest
from rollcall.work import SYSTEM, Fleet, open_fleet

_NUMBERS = count(1)


class Undo(Exception):
    """Ends a transaction without a commit."""


@asynccontextmanager
async def undone(database: Database) -> AsyncGenerator[Fleet]:
    """A transaction across tenants of which nothing stays."""
    try:
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            yield fleet
            raise Undo
    except Undo:
        pass


class Ops:
    """Whoever applies manifests; changes are told as the lines people read."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers
        self.database = callers.database

    async def apply(self, text: str) -> list[str]:
        """Apply *text* and commit."""
        async with open_fleet(self.database, SYSTEM, ORIGIN) as fleet:
            return [str(change) for change in await apply(fleet, parse_manifest(text))]

    async def compare(self, text: str) -> list[str]:
        """What applying *text* would change."""
        async with open_fleet(self.database, SYSTEM, ORIGIN) as fleet:
            return [str(change) for change in await compare(fleet, parse_manifest(text))]

    async def person(self, slug: str, user_name: str) -> dict[str, object]:
        """A person as the management API shows them."""
        answer = await self.callers.operator.get(f"/v1/tenants/{slug}/people", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return next(person for person in answer.json()["data"] if person["user_name"] == user_name)

    async def entries(self, slug: str) -> int:
        """How many entries the tenant's audit has."""
        await self.callers.app.state.context.batched_entries.flush()
        answer = await self.callers.operator.get(f"/v1/tenants/{slug}/audit", params={"limit": 500})
        assert answer.status_code == 200, answer.text
        return len(answer.json()["data"])


@pytest.fixture
def ops(callers: Callers) -> Ops:
    """Ops of the SaaS company, with a file in their hand."""
    return Ops(callers)


@pytest.fixture
def slug() -> str:
    """A slug nobody has."""
    return f"filed-{next(_NUMBERS)}"


__all__ = ["Ops", "Tenant", "undone"]
