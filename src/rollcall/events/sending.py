"""One call to the outside: bounded in time and in what is read, no redirect followed, no proxy asked."""

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import structlog

from rollcall import logging
from rollcall.events.addresses import AddressRules, DestinationRefused, JudgingBackend
from rollcall.events.connections import Connections
from rollcall.events.outgoing import Outgoing

log = structlog.get_logger(__name__)

READ_AT_MOST = 64 * 1024
PIECES_AT_MOST = 256
"""Chunks of a body that are read: each costs time of the loop, a chunk of one byte too."""

KEEP_OF_BODY = 200
LONGEST_RETRY_AFTER = 3600.0

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\ufffd]+")


@dataclass(frozen=True, slots=True)
class ReceiverAnswer:
    """How a call ended."""

    status: int | None
    """``None`` when there was no answer; *said* tells why."""
    said: str
    """The beginning of the body, or what went wrong; at most 200 characters, fit to be shown and stored."""
    took_ms: int
    retry_after: float | None = None
    """Seconds that the receiver asks us to wait, within bounds."""

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message now."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def ill(self) -> bool:
        """Whether the receiver as a whole seems unable to take anything, and not this message alone."""
        return self.status is None or self.status >= 500 or self.status in (408, 429)


class Sender:
    """Makes calls, up to any number at a time; connections are kept and used again for the same host."""

    def __init__(self, rules: AddressRules, *, seconds: float, trust: ssl.SSLContext | None = None) -> None:
        self._rules = rules
        self._seconds = seconds
        self._connections = Connections(JudgingBackend(rules), trust or ssl.create_default_context())

    @property
    def seconds(self) -> float:
        """How long one call may take from its beginning to its end."""
        return self._seconds

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    async def post(self, outgoing: Outgoing) -> ReceiverAnswer:
        """Make a call; whatever happens, there is an answer."""
        begun = time.monotonic()

        def after(status: int | None, said: str, retry_after: float | None = None) -> ReceiverAnswer:
            return ReceiverAnswer(status, presentable(said), round((time.monotonic() - begun) * 1000), retry_after)

        try:
            async with asyncio.timeout(self._seconds):
                status, headers, body = await self._post(outgoing)
            return after(status, body.decode(errors="replace"), retry_after(headers, datetime.now(UTC)))
        except TimeoutError:
            return after(None, f"no whole answer within {self._seconds:g} s")
        except DestinationRefused as refusal:
            return after(None, refusal.detail)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            return after(None, f"{type(error).__name__}: {error}")
        except Exception as error:  # a stranger's bytes can make a library stumble in any way
            log.exception("a call ended in an unexpected way")
            return after(None, f"the call failed: {type(error).__name__}")

    async def _post(self, outgoing: Outgoing) -> tuple[int, Mapping[str, str], bytes]:
        target = self._rules.read(outgoing.url)
        host = f"[{target.host}]" if ":" in target.host else target.host
        usual = 443 if target.scheme == "https" else 80
        headers = {
            "host": host if target.port == usual else f"{host}:{target.port}",
            "user-agent": "Rollcall",
            "accept": "*/*",
            **{name.lower(): value for name, value in outgoing.headers.items()},
            "content-length": str(len(outgoing.body)),
        }
        request = httpcore.Request(
            "POST",
            httpcore.URL(
                scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
            ),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            content=outgoing.body,
            extensions={"timeout": {"connect": self._seconds}},  # the whole of a call has its end anyway
        )
        async with self._connections.lent(target.scheme, target.host, target.port) as connection:
            response = await connection.handle_async_request(request)
            try:
                return response.status, _plain(response.headers), await _beginning(response)
            finally:
                await response.aclose()


async def _beginning(response: Any) -> bytes:
    """The beginning of a body. What is longer than we read costs its connection, and no more."""
    read, pieces = bytearray(), 0
    async for chunk in response.aiter_stream():
        read += chunk[: READ_AT_MOST - len(read)]
        pieces += 1
        if len(read) >= READ_AT_MOST or pieces >= PIECES_AT_MOST:
            break
    return bytes(read[: 4 * KEEP_OF_BODY])


def _plain(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def presentable(said: str) -> str:
    """The first 200 characters of what somebody outside said, secrets masked, on one line."""
    return _UNPRINTABLE.sub(" ", logging.masked(said)).strip()[:KEEP_OF_BODY]


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """What ``Retry-After`` asks for, in seconds: 0 to an hour; ``None`` when it asks for nothing we can read."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given[:9]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(given)
    except (ValueError, OverflowError):  # the second for numbers beyond any calendar
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
