"""Where a destination may be: at a web server's port, and never inside our own network.

Both are judged when it is registered and again when it is called.

A name is resolved by us, every address it has is judged, and the connection is made to an address that was judged.
So a name that points elsewhere a moment later leads nowhere new.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import httpcore
import structlog

from rollcall.errors import Invalid
from rollcall.events.streams import GatheringStream
from rollcall.settings import DESTINATION_PORTS, Settings

log = structlog.get_logger(__name__)

LONGEST_URL = 2000
RESOLVE_SECONDS = 5.0
RESOLVERS = 32
"""Names that a process looks up at the same time; a name server that hangs holds one for some seconds."""

CALLED_AT_MOST = 4
"""Addresses of a name that are tried before a call has failed."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses that a name has now. Raises OSError when it has none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOK_UPS = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
"""Threads of their own, so that nothing else of a process waits for strangers' name servers."""

_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # carriers' own, RFC 6598
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.88.99.0/24",  # relays of 6to4, RFC 7526
        "168.63.129.16/32",  # a cloud's own host, reachable from every machine in it
        "3fff::/20",  # documentation, RFC 9637
    )
)


class Unreachable(OSError):
    """The address is one that we do not call."""


class DestinationRefused(Invalid):
    """The URL can't be a destination; the message says why."""

    code = "destination_refused"
    param = "url"
    advice = "Choose an https address that leads to a public server; the detail says what is wrong with this one."


async def ask_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine's resolver has them."""

    def look_up() -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, look_up)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an address is somebody's on the open internet, also when it carries another address inside it."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address not in _UNICAST:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _FORBIDDEN)
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart once; what is called is built from these parts and not from the text."""

    scheme: str
    host: str
    port: int
    path: str


def read_url(text: str, *, allow_http: bool) -> Target:
    """Take a destination's URL apart.

    Raises:
        DestinationRefused: it is no URL that we would call; the message says why.
    """
    if len(text) > LONGEST_URL:
        raise DestinationRefused(f"The URL is longer than {LONGEST_URL} characters.")
    if not text.isascii() or not text.isprintable() or any(sign in text for sign in ' \\"<>^`{|}'):
        raise DestinationRefused("The URL holds a character that no URL holds; percent-encode it.")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise DestinationRefused("This is no URL: its host or port can't be read.") from None
    _judge(parts, host, port, allow_http=allow_http)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def _judge(parts: SplitResult, host: str, port: int | None, *, allow_http: bool) -> None:
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise DestinationRefused("A destination's URL starts with https://.")
    if "@" in parts.netloc:
        raise DestinationRefused("The URL holds a user name or password; leave them out, every call is signed.")
    if not host or len(host) > 253:  # RFC 1035 §2.3.4
        raise DestinationRefused("The URL names no host.")
    if port == 0:
        raise DestinationRefused("Port 0 can't be called.")
    if parts.fragment:
        raise DestinationRefused("The URL has a fragment (#…), which is never sent; leave it out.")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses may be called, and how names become addresses."""

    allow_private: bool = False
    """For development: also http://, any port, and addresses inside one's own network."""
    resolve: Resolve = ask_resolver
    ports: tuple[int, ...] = DESTINATION_PORTS
    """The ports that may be called; while developing, any."""

    @classmethod
    def of(cls, settings: Settings) -> "AddressRules":
        """The rules of this installation."""
        return cls(allow_private=settings.allow_private_destinations, ports=settings.destination_ports)

    def read(self, url: str) -> Target:
        """Take a destination's URL apart, and judge its scheme and port.

        Raises:
            DestinationRefused: it is no URL that we would call; the message says why.
        """
        target = read_url(url, allow_http=self.allow_private)
        if not self.allow_private and target.port not in self.ports:
            allowed = " and ".join(str(port) for port in self.ports)
            raise DestinationRefused(
                f"Port {target.port} is not called; destinations may be at {allowed}. Whoever runs Rollcall can allow "
                "others with ROLLCALL_DESTINATION_PORTS."
            )
        return target

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Every address of *host*, all of them judged.

        Raises:
            Unreachable: one of them is not public, or the port is none that is called.
            OSError: the name has none.
        """
        if not self.allow_private and port not in self.ports:
            raise Unreachable(f"port {port} is not one that destinations may have (ROLLCALL_DESTINATION_PORTS)")
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await self.resolve(host, port)
        if not found:
            raise OSError("the name has no address")
        if not self.allow_private and (inside := [each for each in found if not is_public(each)]):
            log.warning("a destination's name leads inside", host=host, address=inside[0])
            raise Unreachable(f"{host} has an address that is not public")
        return found

    async def judge(self, url: str) -> Target:
        """Whether *url* may be a destination as of now.

        Raises:
            DestinationRefused: it may not; the message says why.
        """
        target = self.read(url)
        await self._looked_up(target)
        return target

    async def ahead(self, url: str) -> "AddressRules":
        """These rules with the addresses that *url* has now, so that judging it by them waits for no name server.

        Raises:
            DestinationRefused: it may not be a destination; the message says why.
        """
        found = await self._looked_up(self.read(url))

        async def known(_host: str, _port: int) -> Sequence[str]:
            return found

        return replace(self, resolve=known)

    async def _looked_up(self, target: Target) -> Sequence[str]:
        try:
            return await self.addresses(target.host, target.port)
        except Unreachable:
            raise DestinationRefused(
                "The host has an address that is not public (private, loopback, link-local or reserved)."
            ) from None
        except (OSError, UnicodeError):  # TimeoutError is an OSError; the other for a label longer than DNS has
            raise DestinationRefused("The host has no address: its name can't be resolved now.") from None


class JudgingBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the rules allow, and to those very addresses; TLS still asks for the name."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._asked: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of *host* that takes the connection; each has its share of the time.

        Raises:
            httpcore.ConnectError: the name has no address, one that is not public, or none that answers.
        """
        try:
            found = (await self._addresses(host, port))[:CALLED_AT_MOST]
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error) or "the name was not resolved in time") from error
        timeout = None if timeout is None else timeout / len(found)
        for position, address in enumerate(found):
            try:
                return GatheringStream(
                    await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(found) - 1:
                    raise
        raise AssertionError("a name that has addresses leads to a connection or to an error")

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Calls to one host that begin side by side ask for its addresses once."""
        asked = self._asked.get((host, port))
        if asked is None:
            asked = self._asked[host, port] = asyncio.create_task(self._rules.addresses(host, port))

            def answered(task: "asyncio.Task[Sequence[str]]") -> None:
                del self._asked[host, port]
                if not task.cancelled():
                    task.exception()  # those who asked may all have gone

            asked.add_done_callback(answered)
        return await asyncio.shield(asked)

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks for between its own retries."""
        await self._network.sleep(seconds)
