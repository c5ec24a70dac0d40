"""The rate limiter by itself: on a real Valkey, without one, and with one that does not answer."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from rollcall import broker
from rollcall.provisioning.limits import RateLimiter
from rollcall.settings import Settings

PATIENCE = 0.25
"""How long a limiter waits for Redis, in seconds."""


@asynccontextmanager
async def limiter(settings: Settings, url: str | None = None) -> AsyncGenerator[RateLimiter]:
    """A process's limiter, connected as the application does it."""
    if url is not None:
        settings = settings.model_copy(update={"redis_url": SecretStr(url)})
    redis = broker.connect(settings, patience=PATIENCE)
    try:
        yield RateLimiter(redis)
    finally:
        await redis.aclose()


@contextmanager
def silent_server() -> Generator[str]:
    """The address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@contextmanager
def nobody_there() -> Generator[str]:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"redis://127.0.0.1:{port}/0"


async def passed(limiters: list[RateLimiter], tenant: UUID, calls: int, *, rate: int, burst: int) -> int:
    """How many of *calls*, spread over the limiters, may pass."""
    waits = [await limiters[n % len(limiters)].wait_for(tenant, rate=rate, burst=burst) for n in range(calls)]
    return waits.count(0)


async def test_one_bucket_for_all(settings: Settings) -> None:
    """Two processes share a tenant's bucket: together they let through its burst and then its rate, no more."""
    async with limiter(settings) as one, limiter(settings) as two:
        tenant, began = uuid4(), time.monotonic()
        through = await passed([one, two], tenant, 100, rate=25, burst=40)
        assert 40 <= through <= 40 + math.ceil((time.monotonic() - began) * 25)


async def test_callers_at_once(settings: Settings) -> None:
    """Calls that arrive together in one process are counted one by one."""
    async with limiter(settings) as one:
        tenant, began = uuid4(), time.monotonic()
        waits = await asyncio.gather(*(one.wait_for(tenant, rate=25, burst=30) for _ in range(200)))
        assert 30 <= waits.count(0) <= 30 + math.ceil((time.monotonic() - began) * 25)


async def test_the_wait_is_enough(settings: Settings) -> None:
    """Who waits as long as they were told passes."""
    async with limiter(settings) as one:
        tenant = uuid4()
        while not (wait := await one.wait_for(tenant, rate=5, burst=4)):
            pass
        assert wait <= 0.2
        await asyncio.sleep(wait + 0.005)
        assert await one.wait_for(tenant, rate=5, burst=4) == 0


async def test_tenants_do_not_share(settings: Settings) -> None:
    """One tenant's flood takes nothing from another tenant."""
    async with limiter(settings) as one:
        flooding, quiet = uuid4(), uuid4()
        await passed([one], flooding, 100, rate=25, burst=5)
        assert await one.wait_for(quiet, rate=25, burst=5) == 0


async def test_off(settings: Settings) -> None:
    """A rate of 0 is no limit, and nothing is counted anywhere."""
    async with limiter(settings) as one:
        tenant = uuid4()
        assert await passed([one], tenant, 1_000, rate=0, burst=1) == 1_000
        assert not await bucket_exists(settings, tenant)


@pytest.mark.parametrize("away", [silent_server, nobody_there])
async def test_redis_away(settings: Settings, away: Callable[[], AbstractContextManager[str]]) -> None:
    """Without Redis the first call waits for a moment, the others not at all, and the limit holds."""
    with away() as url:
        async with limiter(settings, url) as one:
            tenant, began = uuid4(), time.monotonic()
            assert await one.wait_for(tenant, rate=25, burst=20) == 0
            assert time.monotonic() - began < 20 * PATIENCE
            began = time.monotonic()
            through = await passed([one], tenant, 100, rate=25, burst=20)
            elapsed = time.monotonic() - began
            assert elapsed < 20 * PATIENCE, "each of a hundred waited"
            assert 19 <= through <= 19 + math.ceil((elapsed + 0.1) * 25)


async def test_redis_away_for_many(settings: Settings) -> None:
    """Calls that arrive together while Redis does not answer wait for one attempt, not for one each."""
    with silent_server() as url:
        async with limiter(settings, url) as one:
            tenant, began = uuid4(), time.monotonic()
            await asyncio.gather(*(one.wait_for(tenant, rate=25, burst=20) for _ in range(50)))
            assert time.monotonic() - began < 20 * PATIENCE, "each of fifty waited"


async def test_redis_comes_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A while after Redis failed it is asked again, and counts for all from then on."""
    monkeypatch.setattr("rollcall.provisioning.limits.REDIS_PAUSE_SECONDS", 0.05)
    tenant, real = uuid4(), urlsplit(settings.redis_url.get_secret_value())
    with nobody_there() as url:
        port = urlsplit(url).port
        through_there = real._replace(netloc=f":{real.password}@127.0.0.1:{port}").geturl()
        async with limiter(settings, through_there) as one:
            assert await one.wait_for(tenant, rate=25, burst=4) == 0
            assert not await bucket_exists(settings, tenant)
            async with relayed(settings, port):
                while not await bucket_exists(settings, tenant):
                    await asyncio.sleep(0.06)
                    await one.wait_for(tenant, rate=25, burst=4)


async def bucket_exists(settings: Settings, tenant: UUID) -> bool:
    async with broker.connect(settings) as redis:
        return bool(await redis.exists(f"rollcall:rate:{tenant}"))


@asynccontextmanager
async def relayed(settings: Settings, port: int | None) -> AsyncGenerator[None]:
    """Let the real Valkey be found at *port* too."""
    real = urlsplit(settings.redis_url.get_secret_value())

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    callers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        far_reader, far_writer = await asyncio.open_connection(real.hostname, real.port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    # Since Python 3.12 a server that is closed waits for its connections, and the limiter keeps its own.
    async with await asyncio.start_server(forward, "127.0.0.1", port):
        try:
            yield
        finally:
            for caller in callers:
                caller.close()


@pytest.mark.parametrize("away", [False, True])
async def test_debt(settings: Settings, away: bool) -> None:
    """A call that costs more than there is passes; nobody else does until it is paid, and who waits so long passes."""
    with nobody_there() as nowhere:
        async with limiter(settings, nowhere if away else None) as one:
            tenant, other = uuid4(), uuid4()
            assert await one.wait_for(tenant, rate=100, burst=20) == 0
            await one.charge(tenant, 49, rate=100, burst=20)
            wait = await one.wait_for(tenant, rate=100, burst=20)
            assert 0 < wait <= 0.31
            assert await one.wait_for(other, rate=100, burst=20) == 0
            await asyncio.sleep(wait + 0.005)
            assert await one.wait_for(tenant, rate=100, burst=20) == 0


async def test_debt_is_everybodys(settings: Settings) -> None:
    """What a call in one process owes, another process waits for; and a debt lasts as long as it takes to pay it."""
    async with limiter(settings) as one, limiter(settings) as two:
        tenant = uuid4()
        assert await one.wait_for(tenant, rate=2, burst=4) == 0
        await one.charge(tenant, 100, rate=2, burst=4)
        assert 40 < await two.wait_for(tenant, rate=2, burst=4) <= 50
        await one.charge(tenant, 100, rate=0, burst=4)
        await asyncio.sleep(0.1)
        assert 40 < await two.wait_for(tenant, rate=2, burst=4) <= 50
