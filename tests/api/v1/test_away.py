"""What a call is answered when the database is away."""

from dataclasses import replace

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.expect import turned_down
from rollcall import db
from rollcall.db import Database
from rollcall.pool import HotPool
from rollcall.turns import Turns


async def test_away(
    app: Litestar, database: Database, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that can't be reached is 503, with the seconds to wait, and no 500."""
    nowhere = HotPool("postgresql://nobody@127.0.0.1:1/nothing", Turns(1))
    monkeypatch.setattr(app.state, "database", replace(database, pool=nowhere))
    answer = await operator.get("/v1/tenants")
    turned_down(answer, 503, "unavailable", "try again")
    assert int(answer.headers["retry-after"]) > 0


def test_what_is_away() -> None:
    """Connections refused, pools that are empty and locks not had are away; a mistake of ours is not."""
    assert db.is_away(ConnectionRefusedError())
    assert db.is_away(PoolTimeout())
    assert db.is_away(OperationalError("", {}, ConnectionResetError()))
    assert not db.is_away(KeyError("x"))
    assert not db.is_away(OSError("disk full"))
