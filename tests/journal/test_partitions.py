"""The audit's months: made long before they begin, beside readers and writers; what came too early is moved."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio

from architecture.databases import owners_url
from journal.houses import House, a_house
from rollcall.cli.embedded import Engines
from rollcall.functions import qualified
from rollcall.journal import partitions
from rollcall.journal.partitions import AuditInUse, Span, missing, month_after, name_of
from rollcall.settings import Settings
from rows import connected

NOW = datetime(2026, 11, 18, 3, 20, tzinfo=UTC)
WAITING = """
SELECT count(*) FILTER (WHERE mode = 'RowExclusiveLock') AS writers,
       count(*) FILTER (WHERE mode = 'AccessExclusiveLock') AS makers
  FROM pg_locks
 WHERE NOT granted AND locktype = 'relation'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
MAKE = qualified("SELECT fn.make_audit_partition('audit_entries', $1, $2, $3)")


@pytest_asyncio.fixture
async def house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A database of the test's own."""
    async with a_house(engines, settings) as house:
        yield house


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries follow each other at once."""
    monkeypatch.setattr(partitions, "TRY_AGAIN_AFTER", 0.0)


def month(year: int, number: int) -> Span:
    begins = datetime(year, number, 1, tzinfo=UTC)
    return Span(begins, month_after(begins, 1))


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_months_to_come() -> None:
    """What is missing of the months to come is made whole, over the end of a year; what there is, is not."""
    there = [month(2026, 11), month(2027, 1)]
    assert missing(there, [], NOW, ahead=3) == [month(2026, 12), month(2027, 2)]
    assert [name_of("audit_entries", span) for span in missing(there, [], NOW, ahead=3)] == [
        "audit_entries_2026_12",
        "audit_entries_2027_02",
    ]


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        (NOW, at(18, 4)),
        (at(18, 3) + timedelta(minutes=55), at(18, 5)),
        (at(30, 22) + timedelta(minutes=51), None),
    ],
)
def test_the_present_month(now: datetime, begins: datetime | None) -> None:
    """Nobody waits for rows of the present month to be moved: its partition begins soon, and the rest is made then."""
    wanted = missing([], [at(1)], now, ahead=0)
    assert wanted == ([] if begins is None else [Span(begins, at(1) + timedelta(days=30))])
    if begins is not None:
        assert name_of("audit_entries", wanted[0]) == f"audit_entries_2026_11_{begins:%d_%H}"
        later = missing(wanted, [at(1)], begins, ahead=0)
        assert later == [Span(at(1), begins)]
        assert name_of("audit_entries", later[0]) == "audit_entries_2026_11_01_00"
        assert missing([*wanted, *later], [at(1)], begins, ahead=0) == []


def test_months_that_are_over() -> None:
    """A month that is over gets a partition only if the default one has rows of it."""
    assert missing([month(2026, 11)], [datetime(2026, 8, 1, tzinfo=UTC)], NOW, ahead=0) == [month(2026, 8)]


async def test_made_once(house: House) -> None:
    """A new database has some months; the rest is made once, for entries and payloads, and each refuses rewriting."""
    made = await partitions.make(house.database)
    assert made == {"partitions_made": 6, "entries_moved": 0}
    assert await partitions.make(house.database) == {"partitions_made": 0, "entries_moved": 0}
    names = await house.partitions()
    assert names == [f"audit_entries_{month_after(datetime.now(UTC), step):%Y_%m}" for step in range(7)]
    assert [name.replace("entries", "payloads") for name in names] == await house.partitions("audit_payloads")
    await house.entered(month_after(datetime.now(UTC), 6))
    for rewrite in ("UPDATE {} SET detail = 'x'", "DELETE FROM {}", "TRUNCATE {}"):
        for table in (names[-1], "audit_entries"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await house.owner.execute(rewrite.format(table))


async def test_two_at_once(house: House) -> None:
    """Two beats that make partitions at the same moment do no harm: each is made once."""
    made = await asyncio.gather(*(partitions.make(house.database) for _ in range(3)))
    assert sum(each["partitions_made"] for each in made) == 6
    assert len(await house.partitions()) == len(await house.partitions("audit_payloads")) == 7


async def test_the_turn_of_the_month_beside_a_reader(house: House) -> None:
    """While a dump reads the audit no month can be made, and nobody who writes waits; afterwards it is made."""
    address, written, stop = owners_url(house.settings), 0, asyncio.Event()
    waiting = {"writers": 0, "makers": 0}

    async def write() -> None:
        nonlocal written
        async with connected(address) as writer:
            while not stop.is_set():
                await house.enter(writer)
                written += 1

    async def watch() -> None:
        async with connected(address) as watcher:
            while not stop.is_set():
                row = await watcher.fetchrow(WAITING)
                assert row is not None
                for who in waiting:
                    waiting[who] += row[who]

    turn = month_after(datetime.now(UTC), 1) + timedelta(days=30)
    async with connected(address) as dump, asyncio.timeout(120):
        others = [asyncio.create_task(each) for each in (write(), write(), watch())]
        async with dump.transaction():
            await dump.execute("LOCK TABLE audit_entries, audit_payloads IN ACCESS SHARE MODE")  # as pg_dump does
            before = written
            with pytest.raises(AuditInUse, match="pg_stat_activity"):
                await partitions.make(house.database, now=turn)
            assert written > before
        assert waiting["makers"] > 0
        assert (await partitions.make(house.database, now=turn))["partitions_made"] == 8 * 2 - 4 * 2
        stop.set()
        await asyncio.gather(*others)
    assert waiting["writers"] == 0
    assert await house.count(where="request_id = 'now'") == written
    assert await house.count("audit_entries_default") == 0


async def test_what_came_too_early_is_moved(house: House) -> None:
    """Entries of months that nobody prepared are kept, and stand in their month once it is made, payloads too."""
    future, past = month_after(datetime.now(UTC), 5) + timedelta(days=3), datetime(2025, 2, 3, tzinfo=UTC)
    await house.entered(future, 30)
    await house.entered(past, 20)
    text = "SELECT string_agg(e::text, ' ' ORDER BY e.id) FROM audit_entries e"
    before = await house.owner.fetchval(text)
    assert await partitions.make(house.database) == {"partitions_made": 6 + 2, "entries_moved": 100}
    assert await house.owner.fetchval(text) == before
    assert (
        await house.count(f"audit_entries_{future:%Y_%m}") == await house.count(f"audit_payloads_{future:%Y_%m}") == 30
    )
    assert await house.count("audit_entries_2025_02") == await house.count("audit_payloads_2025_02") == 20
    assert await house.count("audit_entries_default") == await house.count("audit_payloads_default") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await house.owner.execute("DELETE FROM audit_entries_2025_02")
    await house.entered(datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await house.owner.execute("DELETE FROM audit_entries_default")


async def test_a_present_month_without_partition(house: House) -> None:
    """Where the present month was never made its partition begins soon, and what is before that follows in time."""
    now = datetime.now(UTC)
    for table in partitions.TABLES:
        name = f"{table}_{now:%Y_%m}"
        await house.owner.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
        await house.owner.execute(f"DROP TABLE {name}")
    await house.entered(month_after(now, 0), 3)
    soon = month_after(now, 0) + timedelta(hours=3)
    assert (await partitions.make(house.database, now=soon))["entries_moved"] == 0
    begins = soon + timedelta(hours=1)
    assert f"audit_entries_{begins:%Y_%m_%d_%H}" in await house.partitions()
    await house.entered(month_after(now, 0), 7)
    assert await partitions.make(house.database, now=begins) == {"partitions_made": 2, "entries_moved": 20}
    assert await house.count() == await house.count(f"audit_entries_{now:%Y_%m}_01_00") == 10
    assert await house.count("audit_entries_default") == await house.count("audit_payloads_default") == 0


@pytest.mark.parametrize(
    ("table", "name"),
    [("users", "users_2026_11"), ("audit_entries", "users_2026_11"), ("audit_entries", "audit_entries_default")],
)
async def test_nothing_else_is_made(house: House, table: str, name: str) -> None:
    """The function that makes partitions makes no other table, and takes rows out of no other one."""
    statement = MAKE.replace("'audit_entries'", f"'{table}'")
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await house.owner.fetchval(statement, name, at(1), at(2))
