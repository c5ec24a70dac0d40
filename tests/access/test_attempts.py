"""Attempts at signing in: so many a minute from one address, at one workspace, for one account, over all processes."""

import time
from collections.abc import AsyncGenerator
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from rollcall import broker
from rollcall.access import attempts
from rollcall.access.attempts import MOST_AT_A_WORKSPACE, MOST_FOR_AN_ACCOUNT, Attempts
from rollcall.errors import TooManyRequests
from rollcall.settings import Settings

AWAY = "redis://127.0.0.1:1/0"


@pytest_asyncio.fixture
async def redis(settings: Settings) -> AsyncGenerator[Redis]:
    """Redis, as the application is connected to it, in which nobody has made attempts."""
    redis = broker.connect(settings, patience=0.25)
    for key in await counts(redis):
        await redis.delete(key)
    yield redis
    await redis.aclose()


@pytest_asyncio.fixture
async def away(settings: Settings) -> AsyncGenerator[Redis]:
    """A Redis that is not there."""
    redis = broker.connect(settings.model_copy(update={"redis_url": SecretStr(AWAY)}), patience=0.25)
    yield redis
    await redis.aclose()


async def counts(redis: Redis) -> list[bytes]:
    """The keys of what is counted."""
    return cast("list[bytes]", await redis.keys("rollcall:attempts:*"))  # pyright: ignore[reportUnknownMemberType]


async def spend(made: Attempts, source: str | None, workspace: str = "acme") -> None:
    """Make all the attempts that one address may make at a workspace."""
    for _ in range(MOST_AT_A_WORKSPACE):
        await made.check(source, workspace)


async def is_refused(
    made: Attempts,
    source: str | None,
    workspace: str = "acme",
    shown: str | None = None,
    named: str | None = None,
) -> bool:
    """Whether one more attempt is one too many."""
    try:
        await made.check(source, workspace, shown=shown, named=named)
    except TooManyRequests as refused:
        return 0 < refused.retry_after <= 60
    return False


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, None, True),
        (None, "192.0.2.1", False),
        ("not an address", "192.0.2.1", False),
    ],
)
@pytest.mark.parametrize("server", ["redis", "away"])
async def test_one_address(
    redis: Redis, away: Redis, server: str, one: str | None, other: str | None, alike: bool
) -> None:
    """An address has its own count; of IPv6 all that one customer of a network has is one."""
    made = Attempts(redis if server == "redis" else away)

    await spend(made, one)

    assert await is_refused(made, other) is alike


async def test_all_processes(redis: Redis) -> None:
    """Two processes count together."""
    await spend(Attempts(redis), "192.0.2.1")

    assert await is_refused(Attempts(redis), "192.0.2.1")


async def test_other_workspaces(redis: Redis) -> None:
    """Behind one address, a proxy's say, a crowd at one workspace leaves the others their turn, up to a limit."""
    made = Attempts(redis)
    await spend(made, "192.0.2.1", "acme")

    assert await is_refused(made, "192.0.2.1", " ACME ")
    assert not await is_refused(made, "192.0.2.1", "other")
    refused = [await is_refused(made, "192.0.2.1", uuid4().hex) for _ in range(attempts.MOST_FROM_A_SOURCE)]
    assert 0 < refused.count(True) < 100
    assert not await is_refused(made, "192.0.2.2", "other")


async def test_an_account(redis: Redis) -> None:
    """What one passkey or code is tried for is counted from wherever; the others of the workspace go on."""
    made = Attempts(redis)
    for number in range(MOST_FOR_AN_ACCOUNT):
        assert not await is_refused(made, f"192.0.2.{number}", shown="credential")

    assert await is_refused(made, "198.51.100.1", shown="credential")
    assert not await is_refused(made, "198.51.100.1", shown="another")
    assert not await is_refused(made, "198.51.100.1", "other", shown="credential")


@pytest.mark.parametrize("server", ["redis", "away"])
async def test_a_name(redis: Redis, away: Redis, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that anybody can say is used up where it is said, however it is spelled and tried, and nowhere else."""
    monkeypatch.setattr("rollcall.access.attempts.time.monotonic", lambda: 1_000_000_020.0)
    monkeypatch.setattr(attempts, "MOST_FOR_A_NAME", 3 * MOST_FOR_AN_ACCOUNT)
    made = Attempts(redis if server == "redis" else away)
    spellings = ("ada", "ADA", " ada\u200b", "\uff41da") * MOST_FOR_AN_ACCOUNT

    refused = [await is_refused(made, "192.0.2.1", named=each) for each in spellings]

    assert refused.count(False) == MOST_FOR_AN_ACCOUNT
    assert not await is_refused(made, "192.0.2.2", named="ada")
    assert not await is_refused(made, "192.0.2.1", named="bob")


async def test_a_name_from_everywhere(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """From all addresses together a name is tried so often, which is much more."""
    assert attempts.MOST_FOR_A_NAME >= 20 * MOST_FOR_AN_ACCOUNT
    monkeypatch.setattr(attempts, "MOST_FOR_A_NAME", 12)
    made = Attempts(redis)
    refused = [await is_refused(made, f"192.0.2.{number}", named="ada") for number in range(13)]
    assert refused == [False] * 12 + [True]
    assert not await is_refused(made, "192.0.2.77", "other", named="ada")


async def test_the_next_minute(redis: Redis) -> None:
    """The counts end by themselves, and those who are refused go on waiting no longer for trying again."""
    made = Attempts(redis)
    await spend(made, "192.0.2.1")
    assert await is_refused(made, "192.0.2.1")

    keys = await counts(redis)

    assert len(keys) == 2
    assert all([0 < await redis.ttl(key) <= 60 for key in keys])


async def test_the_next_minute_without_redis(away: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made too many is told how many seconds to wait, and may then try again."""
    now = [1_000_000_020.0]
    monkeypatch.setattr("rollcall.access.attempts.time.monotonic", lambda: now[0])
    made = Attempts(away)
    await spend(made, "192.0.2.1")
    with pytest.raises(TooManyRequests) as refused:
        await made.check("192.0.2.1", "acme")
    assert refused.value.retry_after == 60 - int(now[0]) % 60

    now[0] += refused.value.retry_after

    await made.check("192.0.2.1", "acme")


async def test_a_crowd(away: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more names than a process tells apart the others count as one, so that no crowd fills the memory."""
    monkeypatch.setattr(attempts, "NAMES", 4)
    made = Attempts(away)

    refused = [await is_refused(made, f"192.0.2.{number}") for number in range(2 + MOST_AT_A_WORKSPACE + 5)]

    assert refused == [False] * (2 + MOST_AT_A_WORKSPACE) + [True] * 5
    assert not await is_refused(made, "192.0.2.0")


async def test_redis_comes_back(away: Redis, redis: Redis) -> None:
    """While Redis is away it is left alone for a second, so that attempts are answered at once."""
    made = Attempts(away)
    await made.check("192.0.2.1", "acme")
    began = time.monotonic()

    for _ in range(20):
        await made.check("192.0.2.1", "acme")

    assert time.monotonic() - began < 1
