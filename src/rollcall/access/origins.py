"""Where a call came from: its caller's address, and the facts that its audit entry gives of it."""

from collections.abc import Collection, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from rollcall.work import Origin


def origin_of(scope: Mapping[str, Any], trusted_proxies: Collection[str]) -> Origin:
    """Where the request of an ASGI *scope* came from, as its audit entry says it."""
    return Origin(
        request_id=scope["state"].get("request_id", "none"),
        source=source_of(scope, trusted_proxies),
        method=scope["method"],
        path=scope["path"][:500],
    )


def source_of(scope: Mapping[str, Any], trusted_proxies: Collection[str]) -> str | None:
    """The caller's address: the peer's, or what a trusted reverse proxy says of it."""
    client = scope["client"]
    peer = client[0] if client else None
    if peer is None or peer not in trusted_proxies:
        return peer
    # A proxy adds its word at the end, perhaps in a line of its own; what stands before it anybody can write.
    said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    return said.rpartition(",")[2].strip()[:64] or peer


def network(source: str) -> str:
    """What one customer of a network has: an address of IPv4, and of IPv6 a /64."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    return address.exploded[:19] if isinstance(address, IPv6Address) and not address.ipv4_mapped else source
