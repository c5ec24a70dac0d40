"""The hot paths' pool against a real server: nobody gets what is somebody else's, and nobody waits for ever."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from rollcall import db
from rollcall.cli.embedded import Engines
from rollcall.pool import HotPool
from rollcall.turns import Turns

PID = "SELECT pg_backend_pid()"


@asynccontextmanager
async def pool_of(url: str, size: int, share: int | None = None) -> AsyncGenerator[HotPool]:
    pool = HotPool(url, Turns(size, share))
    try:
        yield pool
    finally:
        await pool.close()


async def test_one_connection_serves_one_after_the_other(engines: Engines) -> None:
    """As long as one is enough, only one is opened."""
    async with pool_of(engines.database_url, 4) as pool:
        assert len({await pool.fetchval(PID) for _ in range(5)}) == 1


async def test_more_callers_than_connections(engines: Engines) -> None:
    """Whoever comes when all are lent waits, gets their own answer, and never more than the size are open."""
    async with pool_of(engines.database_url, 3) as pool:
        answers = await asyncio.gather(
            *(pool.fetchrow(f"SELECT pg_sleep(0.01), {n} AS n, pg_backend_pid() AS pid") for n in range(20))
        )
    assert [answer["n"] for answer in answers] == list(range(20))
    assert len({answer["pid"] for answer in answers}) == 3


async def test_a_share_of_the_connections(engines: Engines) -> None:
    """However many calls a tenant makes, they run over its share of the connections; others have theirs at once."""
    async with pool_of(engines.database_url, 8, 3) as pool:
        slow = [
            asyncio.create_task(pool.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.1)", of="a")) for _ in range(12)
        ]
        await asyncio.sleep(0)
        began = time.monotonic()
        assert await pool.fetchval("SELECT 1", of="b") == 1
        assert time.monotonic() - began < 0.1 or not any(each.done() for each in slow)
        assert len(set(await asyncio.gather(*slow))) == 3


async def test_a_transaction_is_a_turn(engines: Engines) -> None:
    """Who holds a connection for several statements holds a place of their tenant's share."""
    async with pool_of(engines.database_url, 8, 1) as pool:
        async with pool.acquire(of="a"):
            waiting = asyncio.create_task(pool.fetchval("SELECT 1", of="a"))
            assert await pool.fetchval("SELECT 2", of="b") == 2
            assert not waiting.done()
        assert await waiting == 1


async def test_an_answer_nobody_waits_for_is_nobody_elses(engines: Engines) -> None:
    """A caller who gives up in the middle takes the connection with them; the next one gets a new one."""
    async with pool_of(engines.database_url, 1) as pool:
        before = await pool.fetchval(PID)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.fetchval("SELECT pg_sleep(5)")
        assert await pool.fetchval("SELECT 7") == 7
        assert await pool.fetchval(PID) != before


async def test_a_caller_who_gives_up_waiting_leaves_the_place(engines: Engines) -> None:
    """Who is cancelled while waiting for a connection costs nobody else theirs."""
    async with pool_of(engines.database_url, 1) as pool:
        async with pool.acquire():
            waiting = [asyncio.create_task(pool.fetchval("SELECT 1")) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == [1, 1]
        assert await pool.fetchval("SELECT 2") == 2


async def test_a_place_handed_over_to_somebody_who_leaves_at_that_moment(engines: Engines) -> None:
    """Who is cancelled just as they are given the connection passes it on."""
    async with pool_of(engines.database_url, 1) as pool:
        async with pool.acquire():
            first, second = (asyncio.create_task(pool.fetchval("SELECT 1")) for _ in range(2))
            await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.wait_for(second, 2) == 1
        assert await pool.fetchval("SELECT 2") == 2


async def test_a_connection_the_server_closed(engines: Engines) -> None:
    """A connection that the server has ended is not lent again."""
    async with pool_of(engines.database_url, 1) as pool, pool_of(engines.database_url, 1) as other:
        pid = await pool.fetchval(PID)
        assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
        await asyncio.sleep(0.05)
        assert await pool.fetchval(PID) != pid


async def test_a_refused_statement_costs_no_connection(engines: Engines) -> None:
    """An error of the statement is the caller's; the connection goes on."""
    async with pool_of(engines.database_url, 1) as pool:
        pid = await pool.fetchval(PID)
        with pytest.raises(db.DatabaseError, match="division by zero"):
            await pool.fetchval("SELECT 1 / 0")
        assert await pool.fetchval(PID) == pid


async def test_a_transaction_left_open(engines: Engines) -> None:
    """A connection that comes back in the middle of a transaction is closed, so nobody continues it."""
    async with pool_of(engines.database_url, 1) as pool:
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
            await connection.execute("CREATE TEMPORARY TABLE left_behind ()")
        assert await pool.fetchval("SELECT to_regclass('left_behind')") is None


async def test_no_server(engines: Engines) -> None:
    """Everybody who waits learns that there is no server, instead of waiting on."""
    address = engines.database_url.rpartition("@")[0] + "@127.0.0.1:1/rollcall"
    async with pool_of(address, 1) as pool:
        outcomes = await asyncio.wait_for(
            asyncio.gather(*(pool.fetchval("SELECT 1") for _ in range(4)), return_exceptions=True), 10
        )
    assert all(isinstance(outcome, OSError) for outcome in outcomes)


async def test_closed(engines: Engines) -> None:
    """A closed pool lends nothing, and what was lent is closed when it comes back."""
    async with pool_of(engines.database_url, 2) as pool:
        async with pool.acquire() as connection:
            await pool.close()
            assert await connection.fetchval("SELECT 1") == 1
        assert connection.is_closed()
        with pytest.raises(db.DatabaseError, match="the pool is closed"):
            await pool.fetchval("SELECT 1")
