"""Connections to receivers: kept open for some seconds after a call, and used again for the same host.

httpcore's own pool looks at every connection it has, several times for each call: with some dozens of receivers that
costs more than the calls.
"""

import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpcore

KEPT_SECONDS = 15.0
KEPT_FOR_A_HOST = 10
KEPT_AT_MOST = 500

Peer = tuple[bytes, bytes, int]
"""Scheme, host and port: what a connection leads to."""


class Connections:
    """Lends connections, any number at a time; one that comes back in order may be lent again."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, trust: ssl.SSLContext) -> None:
        self._network = network
        self._trust = trust
        self._idle: dict[Peer, list[httpcore.AsyncHTTPConnection]] = {}
        self._kept = 0
        self._swept_at = time.monotonic()
        self._closed = False

    @asynccontextmanager
    async def lent(self, scheme: str, host: str, port: int) -> AsyncGenerator[httpcore.AsyncHTTPConnection]:
        """A connection to a host, for one call; it connects when it is first used."""
        origin = scheme.encode(), host.encode(), port
        if time.monotonic() - self._swept_at > KEPT_SECONDS:
            await self._sweep()
        connection = await self._kept_for(origin) or httpcore.AsyncHTTPConnection(
            httpcore.Origin(*origin),
            ssl_context=self._trust,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=self._network,
        )
        try:
            yield connection
        finally:
            await self._take_back(origin, connection)

    async def close(self) -> None:
        """Close what is kept; what is lent is closed as it comes back."""
        self._closed = True
        await self._sweep()

    async def _kept_for(self, origin: Peer) -> httpcore.AsyncHTTPConnection | None:
        """The connection that was used last, unless its receiver has closed it."""
        while kept := self._idle.get(origin):
            self._kept -= 1
            connection = kept.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _take_back(self, origin: Peer, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep a connection that is in order; whether its receiver has closed it is seen when somebody wants it."""
        kept = self._idle.setdefault(origin, [])
        full = len(kept) >= KEPT_FOR_A_HOST or self._kept >= KEPT_AT_MOST
        if self._closed or full or not connection.is_idle():
            await connection.aclose()
        else:
            kept.append(connection)
            self._kept += 1

    async def _sweep(self) -> None:
        """Close what nobody has used for a while, at whatever host."""
        self._swept_at = time.monotonic()
        idle, self._idle, self._kept = self._idle, {}, 0
        for origin, kept in idle.items():
            for connection in kept:
                if connection.has_expired():
                    await connection.aclose()
                else:
                    await self._take_back(origin, connection)
