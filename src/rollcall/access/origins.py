"""Where a call came from: its caller's address, and the facts that its audit entry gives of it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall.broker import UNBELIEVED
from rollcall.setting_texts import Network
from rollcall.work import RequestOrigin

FORWARDED = b"x-forwarded-for"

REMEMBERED = 4096
"""Addresses whose judgement is remembered; then it begins anew, so that strangers can't fill the memory."""


NOTICE_SECONDS = 60.0
"""How often a process notes, at most, that a peer it does not believe speaks for others."""

NOTED_SECONDS = 86_400
"""How long such a note stays where 'rollcall doctor' looks for it."""

log = structlog.get_logger(__name__)


class Peer(Enum):
    """What an address is to us."""

    TRUSTED = auto()
    NEIGHBOUR = auto()
    """Inside one's own network, where only a reverse proxy has reason to speak for others."""
    STRANGER = auto()


class TrustedProxies:
    """The reverse proxies that are believed, by their addresses; each address is judged once and remembered.

    A neighbour that speaks for others and is not believed is most likely a proxy that nobody listed: that is logged
    once, and noted in the broker, outside of any call.
    """

    def __init__(self, networks: Sequence[Network], redis: Redis | None = None) -> None:
        self._networks = networks
        self._redis = redis
        self._judged: dict[str, Peer] = {}
        self._noted: float | None = None
        self._noting: asyncio.Task[None] | None = None

    def __contains__(self, text: str) -> bool:
        return self._judge(text) is Peer.TRUSTED

    def doubt(self, peer: str) -> None:
        """Take notice that *peer*, which is not believed, spoke for somebody else."""
        if self._judge(peer) is not Peer.NEIGHBOUR:
            return
        now = monotonic()
        if self._noted is None:
            log.warning(
                "X-Forwarded-For is not believed: put the peer into ROLLCALL_TRUSTED_PROXIES if it is your proxy",
                peer=peer,
            )
        elif now - self._noted < NOTICE_SECONDS:
            return
        self._noted = now
        if self._redis is not None:
            self._noting = asyncio.get_running_loop().create_task(self._note(self._redis, peer))

    async def _note(self, redis: Redis, peer: str) -> None:
        with suppress(RedisError, OSError):
            await redis.set(UNBELIEVED, peer, ex=NOTED_SECONDS)

    def _judge(self, text: str) -> Peer:
        known = self._judged.get(text)
        if known is None:
            if len(self._judged) >= REMEMBERED:
                self._judged.clear()
            known = self._judged[text] = self._look_up(text)
        return known

    def _look_up(self, text: str) -> Peer:
        try:
            address = ip_address(text)
        except ValueError:
            return Peer.STRANGER
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address  # how a socket for both kinds names a peer of the older one
        if any(address in network for network in self._networks):
            return Peer.TRUSTED
        return Peer.STRANGER if address.is_global else Peer.NEIGHBOUR


def origin_of(scope: Mapping[str, Any], trusted_proxies: TrustedProxies) -> RequestOrigin:
    """Where the request of an ASGI *scope* came from, as its audit entry says it."""
    return RequestOrigin(
        request_id=scope["state"].get("request_id", "none"),
        source=source_of(scope, trusted_proxies),
        method=scope["method"],
        path=scope["path"][:500],
    )


def source_of(scope: Mapping[str, Any], trusted_proxies: TrustedProxies) -> str | None:
    """The caller's address: the peer's, or what trusted reverse proxies say of it."""
    client = scope["client"]
    peer = client[0] if client else None
    if peer is None:
        return None
    if peer not in trusted_proxies:
        if any(name == FORWARDED for name, _ in scope["headers"]):
            trusted_proxies.doubt(peer)
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


def network(source: str) -> str:
    """What one customer of a network has: an address of IPv4, and of IPv6 a /64."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    return address.exploded[:19] if isinstance(address, IPv6Address) and not address.ipv4_mapped else source
