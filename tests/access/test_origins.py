"""Where a call came from: whom a proxy is believed to speak for."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from rollcall import broker
from rollcall.access.origins import NOTED_SECONDS, REMEMBERED, TrustedProxies, origin_of, source_of
from rollcall.broker import UNBELIEVED
from rollcall.settings import Settings

PROXY = "10.0.0.1"


def called(*forwarded: str, peer: str | None = PROXY) -> dict[str, Any]:
    """The scope of a request."""
    return {
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"x-forwarded-for", each.encode("latin-1")) for each in forwarded],
        "method": "GET",
        "path": "/x" * 1000,
        "state": {"request_id": "r"},
    }


@pytest.mark.parametrize(
    ("scope", "source"),
    [
        (called("192.0.2.1"), "192.0.2.1"),
        (called("203.0.113.9, 192.0.2.1"), "192.0.2.1"),
        (called("203.0.113.9", "192.0.2.1"), "192.0.2.1"),
        (called("192.0.2.1", peer="198.51.100.7"), "198.51.100.7"),
        (called(), PROXY),
        (called(""), PROXY),
        (called("x" * 200), "x" * 64),
        (called("192.0.2.1", peer=None), None),
    ],
    ids=["one", "a list", "two lines", "no proxy of ours", "silent", "empty", "long", "no peer"],
)
def test_source(scope: dict[str, Any], source: str | None) -> None:
    """A trusted proxy's own word counts, which is the last; what stands before it the caller may have made up."""
    assert source_of(scope, TrustedProxies((ip_network(PROXY),))) == source


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        ("10.0.0.1", True),
        ("10.255.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("11.0.0.1", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("a socket", False),
        ("", False),
    ],
)
def test_networks(peer: str, believed: bool) -> None:
    """Whole networks are believed, and a peer of the older kind however its socket names it."""
    trusted = TrustedProxies(tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"))))
    for _ in range(2):  # the second answer is a remembered one
        assert (peer in trusted) is believed


def test_judgements_are_few() -> None:
    """Whoever calls from many addresses fills no memory."""
    trusted = TrustedProxies((ip_network("10.0.0.0/8"),))
    for number in range(3 * REMEMBERED):
        assert f"2001:db8::{number:x}" not in trusted
    assert len(vars(trusted)["_judged"]) <= REMEMBERED
    assert "10.0.0.1" in trusted


@pytest.mark.parametrize(
    ("forwarded", "source"),
    [
        (("203.0.113.9, 192.0.2.1, 10.0.0.3",), "192.0.2.1"),
        (("192.0.2.1", "10.0.0.3", "10.0.0.4"), "192.0.2.1"),
        (("10.0.0.3, 10.0.0.4",), "10.0.0.3"),
        (("192.0.2.1, , 10.0.0.3",), "192.0.2.1"),
    ],
)
def test_chain(forwarded: tuple[str, ...], source: str) -> None:
    """Behind a chain of our own proxies the caller is the last one named that is none of them."""
    assert source_of(called(*forwarded), TrustedProxies((ip_network("10.0.0.0/8"),))) == source


def test_origin() -> None:
    """An origin says what the audit keeps: the request's id, method, a path of bounded length, and the source."""
    said = origin_of(called("192.0.2.1"), TrustedProxies((ip_network(PROXY),)))
    assert (said.request_id, said.method, said.source, len(said.path or "")) == ("r", "GET", "192.0.2.1", 500)


async def test_a_proxy_that_nobody_listed(settings: Settings) -> None:
    """A neighbour that speaks for others is logged once and noted once a minute; who does so from outside is not."""
    redis = broker.connect(settings)
    await redis.delete(UNBELIEVED)
    doubted = TrustedProxies((ip_network(PROXY),), redis)
    with capture_logs() as logged:
        assert source_of(called("192.0.2.1", peer="8.8.8.8"), doubted) == "8.8.8.8"
        assert source_of(called(peer="10.0.0.8"), doubted) == "10.0.0.8"
        await asyncio.sleep(0.2)
        assert (logged, await redis.get(UNBELIEVED)) == ([], None)
        for _ in range(3):
            assert source_of(called("192.0.2.1", peer="10.0.0.9"), doubted) == "10.0.0.9"
        async with asyncio.timeout(5):
            while await redis.get(UNBELIEVED) is None:
                await asyncio.sleep(0.01)
    assert [(each["peer"], each["log_level"]) for each in logged] == [("10.0.0.9", "warning")]
    assert await redis.get(UNBELIEVED) == b"10.0.0.9"
    assert 0 < await redis.ttl(UNBELIEVED) <= NOTED_SECONDS
    await redis.delete(UNBELIEVED)
    await redis.aclose()


async def test_a_note_that_can_not_be_made(settings: Settings) -> None:
    """A broker that is away makes no call fail, and holds none up."""
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    redis = broker.connect(nowhere)
    assert source_of(called("192.0.2.1", peer="10.0.0.9"), TrustedProxies((), redis)) == "10.0.0.9"
    await asyncio.sleep(0.2)
    await redis.aclose()
