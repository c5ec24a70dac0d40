"""Where a call came from: whom a proxy is believed to speak for."""

from typing import Any

import pytest

from rollcall.access.origins import origin_of, source_of

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
    assert source_of(scope, {PROXY}) == source


def test_origin() -> None:
    """An origin says what the audit keeps: the request's id, method, a path of bounded length, and the source."""
    said = origin_of(called("192.0.2.1"), {PROXY})
    assert (said.request_id, said.method, said.source, len(said.path or "")) == ("r", "GET", "192.0.2.1", 500)
