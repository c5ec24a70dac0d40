"""Where a call came from: its caller's address, and the facts that its audit entry gives of it."""

from collections.abc import Container, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

from rollcall.settings import Network
from rollcall.work import Origin

FORWARDED = b"x-forwarded-for"

REMEMBERED = 4096
"""Addresses whose judgement is remembered; then it begins anew, so that strangers can't fill the memory."""


class TrustedProxies:
    """The reverse proxies that are believed, by their addresses; each address is judged once and remembered."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._judged: dict[str, bool] = {}

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        known = self._judged.get(text)
        if known is None:
            if len(self._judged) >= REMEMBERED:
                self._judged.clear()
            known = self._judged[text] = self._judge(text)
        return known

    def _judge(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address  # how a socket for both kinds names a peer of the older one
        return any(address in network for network in self._networks)


def origin_of(scope: Mapping[str, Any], trusted_proxies: Container[str]) -> Origin:
    """Where the request of an ASGI *scope* came from, as its audit entry says it."""
    return Origin(
        request_id=scope["state"].get("request_id", "none"),
        source=source_of(scope, trusted_proxies),
        method=scope["method"],
        path=scope["path"][:500],
    )


def source_of(scope: Mapping[str, Any], trusted_proxies: Container[str]) -> str | None:
    """The caller's address: the peer's, or what trusted reverse proxies say of it."""
    client = scope["client"]
    peer = client[0] if client else None
    if peer is None or peer not in trusted_proxies:
        return peer
    # A proxy adds its word at the end, perhaps in a line of its own; what stands before it anybody can write, unless it
    # is another proxy of ours that the word is about.
    said = b",".join(value for name, value in scope["headers"] if name == FORWARDED).decode("latin-1")
    source = peer
    for word in reversed(said.split(",")):
        source = word.strip()[:64] or source
        if source not in trusted_proxies:
            break
    return source
