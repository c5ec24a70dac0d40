"""Housekeeping: one at a time does a part, one that fails keeps no other from being done, and what is late is said."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
import pytest_asyncio

from factories import alive, in_process
from journal.houses import House, a_house
from rollcall import functions
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.crypto import Sealer
from rollcall.events.outgoing import Signing
from rollcall.journal import keeping
from rollcall.journal.housekeeping import forget_counts
from rollcall.journal.keeping import Did, Part
from rollcall.settings import Settings
from rollcall.worker import housekeeping


@pytest_asyncio.fixture
async def house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A database of the test's own."""
    async with a_house(engines, settings) as house:
        yield house


def signing(house: House) -> Signing:
    return Signing(Sealer.of(house.settings), house.settings.public_url)


async def state_of(house: House, part: Part) -> tuple[bool, bool, str | None]:
    """Whether a part is leased, and was done, and why it failed last."""
    row = await house.owner.fetchrow(
        "SELECT leased_until IS NOT NULL AS leased, done_at IS NOT NULL AS done, error"
        " FROM housekeeping WHERE part = $1",
        part.value,
    )
    assert row is not None
    return row["leased"], row["done"], row["error"]


async def test_one_at_a_time(house: House) -> None:
    """While somebody does a part nobody else begins it; afterwards the next one may."""
    begun, over, times = asyncio.Event(), asyncio.Event(), 0

    async def do() -> Did:
        nonlocal times
        times += 1
        begun.set()
        await over.wait()
        return {"done": 1}

    async with asyncio.timeout(60):
        first = asyncio.create_task(keeping.keep(house.database, Part.MESSAGES, do))
        await begun.wait()
        assert await keeping.keep(house.database, Part.MESSAGES, do) is None
        assert await state_of(house, Part.MESSAGES) == (True, False, None)
        over.set()
        assert await first == {"done": 1}
        assert await state_of(house, Part.MESSAGES) == (False, True, None)
        assert await keeping.keep(house.database, Part.MESSAGES, do) == {"done": 1}
    assert times == 2


async def test_whoever_was_killed(house: House) -> None:
    """The lease of somebody who was killed runs out; who comes back after that writes nothing over the next one's."""
    over, begun = asyncio.Event(), asyncio.Event()

    async def slow() -> Did:
        begun.set()
        await over.wait()
        return {"by": 1}

    async def quick() -> Did:
        return {"by": 2}

    async with asyncio.timeout(60):
        first = asyncio.create_task(keeping.keep(house.database, Part.COUNTS, slow))
        await begun.wait()
        await house.owner.execute("UPDATE housekeeping SET leased_until = now() - interval '1 s'")
        assert await keeping.keep(house.database, Part.COUNTS, quick) == {"by": 2}
        over.set()
        await first
    assert await house.owner.fetchval("SELECT did ->> 'by' FROM housekeeping WHERE part = 'counts'") == "2"


async def test_all_parts(house: House) -> None:
    """Each part is done and written down; two at once share them, and nothing fails."""
    assert await asyncio.gather(*(housekeeping.keep(house.database, signing(house)) for _ in range(2))) == [[], []]
    assert [*housekeeping.parts(house.database, signing(house))] == [*Part]
    for part in Part:
        assert await state_of(house, part) == (False, True, None)
    assert len(await house.partitions()) == 7


async def test_an_end_to_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that takes long leaves the rest for the next hour; one that is ended in the middle says so at once."""
    monkeypatch.setattr(keeping, "AT_ONCE", 2)
    monkeypatch.setattr(keeping, "LONGEST", 0.0)
    await house.owner.execute(
        "INSERT INTO refused_calls (minute, source, calls)"
        " SELECT now() - interval '99 days', n::text, 1 FROM generate_series(1, 5) n"
    )
    forget = partial(forget_counts, house.database)
    assert await keeping.keep(house.database, Part.COUNTS, forget) == {"counts_forgotten": 2}
    assert await keeping.keep(house.database, Part.COUNTS, forget) == {"counts_forgotten": 2}
    begun = asyncio.Event()

    async def for_ever() -> Did:
        begun.set()
        await asyncio.Event().wait()
        return {}

    async with asyncio.timeout(60):
        part = asyncio.create_task(keeping.keep(house.database, Part.COUNTS, for_ever))
        await begun.wait()
        part.cancel()
        with pytest.raises(asyncio.CancelledError):
            await part
        leased, _, error = await state_of(house, Part.COUNTS)
        assert not leased
        assert (error or "").startswith("it was ended")
        assert await keeping.keep(house.database, Part.COUNTS, forget) == {"counts_forgotten": 1}


async def test_one_fails(house: House) -> None:
    """A part that fails is written down with its reason, the others are done, and it is done when it can be."""
    await house.owner.execute("ALTER TABLE refused_calls RENAME TO elsewhere")
    assert await housekeeping.keep(house.database, signing(house)) == ["counts"]
    leased, done, error = await state_of(house, Part.COUNTS)
    assert (leased, done) == (False, False)
    assert "refused_calls" in (error or "")
    assert await state_of(house, Part.RETENTION) == (False, True, None)
    await house.owner.execute("ALTER TABLE elsewhere RENAME TO refused_calls")
    assert await housekeeping.keep(house.database, signing(house)) == []
    assert await state_of(house, Part.COUNTS) == (False, True, None)


def test_when_it_is_late() -> None:
    """Three hours may pass, in which it was tried three times; not more."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    assert not keeping.is_late(now - timedelta(hours=3), now)
    assert keeping.is_late(now - timedelta(hours=3, seconds=1), now)


async def test_late_parts(house: House) -> None:
    """What was never done is late three hours after the installation, what was done three hours after that."""
    assert await keeping.late(house.database.pool) == []
    await house.owner.execute(
        "UPDATE function_schemas SET installed_at = now() - interval '4 hours' WHERE name = $1", functions.schema()
    )
    assert [each.part for each in await keeping.late(house.database.pool)] == [part.value for part in Part]
    await housekeeping.keep(house.database, signing(house))
    assert await keeping.late(house.database.pool) == []
    await house.owner.execute(
        "UPDATE housekeeping SET done_at = now() - interval '4 hours', error = 'no room' WHERE part = 'messages'"
    )
    (late,) = await keeping.late(house.database.pool)
    assert (late.part, late.error) == ("messages", "no room")


async def test_what_operators_see(house: House) -> None:
    """Once housekeeping was not done for hours readiness says degraded, and stays 200; the status page says so too."""
    await housekeeping.keep(house.database, signing(house))
    async with (
        alive(create_app(house.settings)) as app,
        httpx.AsyncClient(transport=in_process(app), base_url=house.settings.public_url) as http,
    ):
        well = await http.get("/health/ready")
        await house.owner.execute("UPDATE housekeeping SET done_at = now() - interval '4 hours' WHERE part = 'counts'")
        ready, page = await http.get("/health/ready"), await http.get("/status")
    assert well.json()["checks"]["housekeeping"] == "ok"
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["checks"]["housekeeping"].startswith("degraded: counts not done for hours")
    assert "Housekeeping" in page.text
    assert "was not done for hours" in page.text
