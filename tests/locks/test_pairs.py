"""Each pair of ways to change a tenant, against each other: none is a deadlock, and none ends as an error of ours."""

import os
from datetime import timedelta
from itertools import combinations_with_replacement

import pytest
from litestar import Litestar

from doors import DOORS, Door, a_company, deadlocks, meet
from factories import Callers
from rollcall.db import Connection
from rollcall.provisioning import profile_taking

SECONDS = float(os.environ.get("SECONDS_A_PAIR", "3"))


@pytest.mark.parametrize(
    ("one", "other"), [*combinations_with_replacement(DOORS, 2)], ids=lambda door: getattr(door, "__name__", "")
)
async def test_pair(
    callers: Callers,
    app: Litestar,
    second_app: Litestar,
    watcher: Connection,
    one: Door,
    other: Door,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two processes let both through for some seconds."""
    monkeypatch.setattr(profile_taking, "QUIET", timedelta())
    company = await a_company(callers, app, second_app)
    before = await deadlocks(watcher, wait=0)  # the pair before has waited for its own
    statuses = await meet(company, (one, other), seconds=SECONDS)
    assert sum(statuses.values()) > 0
    assert await deadlocks(watcher) == before, statuses
