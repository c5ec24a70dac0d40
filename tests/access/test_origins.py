"""Where a call came from: whom a proxy is believed to speak for."""

from ipaddress import ip_network
from typing import Any

import pytest

from rollcall.access.origins import REMEMBERED, TrustedProxies, origin_of, source_of

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
