"""The address at which a process of ours answers Prometheus, apart from what it serves."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6

import click

from rollcall import metrics
from rollcall.cli.giving_up import give_up

Address = tuple[str, int]


def _read_address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Address | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        msg = f"'{value}' is no address and port; 127.0.0.1:9464 is one"
        raise click.BadParameter(msg)
    return host, int(port)


metrics_option = click.option(
    "--metrics",
    "metrics_at",
    metavar="HOST:PORT",
    callback=_read_address,
    help="Answer Prometheus here, at /metrics, without a key: an address that is reached from inside only.",
)


@contextmanager
def answering_prometheus(
    address: Address | None, *, together: bool = False, at_once: bool = True
) -> Generator[Callable[[], None]]:
    """Answer Prometheus at *address*, if there is one, until the block ends.

    With *together* the figures are those of this process and of all that it starts. A thread answers; unless *at_once*,
    it begins when what the block is given is called, so that a process that forks can have done so.
    """
    with ExitStack() as stack:
        if together:
            stack.enter_context(metrics.shared())
        if address is None:
            yield lambda: None
            return
        server = _listen(address)
        stack.callback(server.server_close)

        def begin() -> None:
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            stack.callback(server.shutdown)

        if at_once:
            begin()
        yield begin if not at_once else (lambda: None)


def _listen(address: Address) -> ThreadingHTTPServer:
    kind = type("_Server", (ThreadingHTTPServer,), {"address_family": AF_INET6 if ":" in address[0] else AF_INET})
    try:
        return kind(address, _Figures)
    except OSError as error:
        host, port = address
        give_up(f"{host}:{port} can't be listened on ({error.strerror}); choose another address with --metrics.")


class _Figures(BaseHTTPRequestHandler):
    timeout = 10
    """Seconds that somebody may take to ask; each holds a thread meanwhile."""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "the figures are at /metrics")
            return
        text = metrics.exposition()
        self.send_response(200)
        self.send_header("Content-Type", f"{metrics.CONTENT_TYPE}; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        with suppress(ConnectionError):  # whoever asked has given up waiting
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's names
        """Say nothing: it is asked every few seconds."""
