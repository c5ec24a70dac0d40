"""The story of somebody outside who wants to hear who left, while parts of the machinery fail."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from journeys.conftest import Customer, Product, eventually

Calls = list[tuple[dict[str, str], bytes]]


@contextmanager
def listening(behave: Callable[[int], int]) -> Generator[tuple[str, Calls]]:
    """Somebody who listens, and answers the call of this number with the status that *behave* gives."""
    calls: Calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.append((dict(self.headers.items()), body))
            try:
                self.send_response(behave(len(calls)))
                self.send_header("content-length", "0")
                self.end_headers()
            except ConnectionError:
                return

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hook(customer: Customer, url: str) -> dict[str, Any]:
    """Have the customer register a webhook for departures."""
    return customer.tell("/destinations", url=url, label="hook", topics=["user.deactivated"])


def test_a_departure_is_told(customer: Customer) -> None:
    """Who listens hears of a departure in a moment, signed, and the receipt says that they know."""
    with listening(lambda _: 204) as (url, calls):
        made = hook(customer, url)
        maria = customer.create("maria@acme.test")
        customer.deactivate(maria)
        eventually(lambda: calls)
        ((headers, body),) = calls
        told = Webhook(made["secret"]).verify(body, headers)
        assert told["type"] == "user.deactivated"
        assert told["data"]["person"]["user_name"] == "maria@acme.test"
        (receipt,) = eventually(lambda: [each for each in customer.receipts(maria) if each["completed_at"]])
        (destination,) = receipt["destinations"]
        assert destination["state"] == "delivered"


@pytest.mark.slow
def test_the_worker_is_killed_while_it_calls(product: Product, customer: Customer) -> None:
    """A worker killed while a receiver is taking its time: it is told again, with the same id, and the receipt ends."""
    release = threading.Event()

    def behave(number: int) -> int:
        if number == 1:
            release.wait(60)
        return 204

    with listening(behave) as (url, calls):
        hook(customer, url)
        maria = customer.create("maria@acme.test")
        customer.deactivate(maria)
        eventually(lambda: calls)
        for process in reversed(product.processes("delivery")):
            process.send_signal(signal.SIGKILL)
        release.set()
        eventually(lambda: len(calls) > 1, within=60)
        ids = {headers["webhook-id"] for headers, _ in calls}
        assert len(ids) == 1
        eventually(lambda: [each for each in customer.receipts(maria) if each["completed_at"]], within=30)
        assert len(calls) == 2


def test_a_receiver_that_hangs(customer: Customer, product: Product) -> None:
    """While one tenant's receiver hangs for ten people, another tenant's hears at once, and receipts are written."""
    other = product.customer()
    over = threading.Event()
    try:
        with listening(lambda _: (over.wait(60), 204)[1]) as (slow, _), listening(lambda _: 204) as (quick, calls):
            hook(customer, slow)
            hook(other, quick)
            for number in range(10):
                customer.deactivate(customer.create(f"slow-{number}@acme.test"))
            maria = other.create("maria@acme.test")
            other.deactivate(maria)
            eventually(lambda: calls)
            (receipt,) = eventually(lambda: other.receipts(maria))
            assert receipt["closed"]["sessions"] == 0
            over.set()
    finally:
        over.set()
