"""Calls that change one tenant at the same time: no deadlock, and no error of ours. ``make locks`` tries each pair."""

from datetime import timedelta

import pytest
from litestar import Litestar

from doors import DOORS, a_company, deadlocks, meet
from factories import Callers
from rollcall.db import Connection
from rollcall.provisioning import profile_taking

pytestmark = pytest.mark.slow


async def test_everything_at_once(
    callers: Callers, app: Litestar, second_app: Litestar, watcher: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ways to change a tenant, through two processes, side by side for some seconds."""
    monkeypatch.setattr(profile_taking, "QUIET", timedelta())
    company = await a_company(callers, app, second_app)
    before = await deadlocks(watcher)
    statuses = await meet(company, DOORS, seconds=4, at_once=1)
    assert statuses.keys() & {200, 201, 204}
    assert await deadlocks(watcher) == before, statuses
