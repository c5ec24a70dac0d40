"""Where a server listens: whether it can, and what to call that place."""

import errno
import socket
import time

from rollcall.cli.giving_up import give_up

ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared, not listened on

LINGER_SECONDS = 3.0
"""How long a port may stay taken: the processes of a server that was killed need a moment to be gone."""


def insist_on_port(host: str, port: int) -> str:
    """The number that *host* stands for; ends the command unless *port* of it can be listened on by us alone.

    The server sets SO_REUSEPORT, for one listening socket in each of its processes; with it, a second server on the
    same port would start as well and take every other call.
    """
    deadline = time.monotonic() + LINGER_SECONDS
    while True:
        try:
            return _listened_on(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                said = error.strerror or error
                give_up(f"Can't listen on port {port} of {host}: {said}. Name others with --host and --port.")
        if time.monotonic() > deadline:
            give_up(f"Port {port} of {host} is taken by another process; end that, or choose another with --port.")
        time.sleep(0.1)


def _listened_on(host: str, port: int) -> str:
    """Listen for a moment; returns the number of the address.

    Raises:
        OSError: that can't be.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are over do not count
        probe.bind(address)
        probe.listen()
    return str(address[0])


def local_url(host: str, port: int) -> str:
    """The address at which this machine itself reaches what listens on *host*."""
    return _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104  # as above


def usable_url(host: str, port: int) -> str:
    """The address at which others reach it, as far as can be seen from here."""
    return _url(_outward(host) if host in ANYWHERE else host, port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _outward(host: str) -> str:
    """This machine's own address on the way to others; nothing is sent to find it."""
    v6 = ":" in host
    family, elsewhere, alone = (
        (socket.AF_INET6, "2001:db8::1", "::1") if v6 else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((elsewhere, 9))
            return str(way.getsockname()[0])
    except OSError:
        return alone
