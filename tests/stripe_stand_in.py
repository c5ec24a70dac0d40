"""A stand-in of Stripe's API, over real HTTP: it answers pages of what a test puts into it, and sends signed events."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import stripe

API_KEY = "rk_test_stand_in"
SECRET = "whsec_stripe_stand_in"
PAGE = 3
"""Things of a page, however many are asked for."""

DAY = timedelta(days=1)
_NUMBERS = count(1)
Thing = dict[str, Any]


def seconds(at: datetime) -> int:
    """A moment as Stripe says it."""
    return int(at.timestamp())


@dataclass
class Stripe:
    """What there is at Stripe."""

    url: str
    subscriptions: dict[str, Thing] = field(default_factory=dict[str, Thing])
    entitled: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Lookup keys of active entitlements, by customer."""
    features: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Lookup keys of the features of products."""
    invoices: dict[str, Thing] = field(default_factory=dict[str, Thing])
    asked: list[str] = field(default_factory=list[str])
    """The paths that were asked for."""
    gone: dict[str, bool] = field(default_factory=dict[str, bool])
    """Customers of whom nothing is listed, and whether it is known that they were deleted."""
    broken: bool = False
    """Whether everything is answered by 500."""

    def customer(self) -> str:
        """An id of nobody yet."""
        return f"cus_{next(_NUMBERS)}x{seconds(datetime.now(UTC))}"

    def subscribe(self, customer: str, *items: tuple[str, int], status: str = "active", **more: Any) -> Thing:
        """A subscription to prices, each so many times; the product of ``price_x`` is ``prod_x``."""
        made: Thing = {
            "id": f"sub_{next(_NUMBERS)}",
            "object": "subscription",
            "customer": customer,
            "status": status,
            "created": seconds(datetime.now(UTC) - 100 * DAY),
            "cancel_at": None,
            "trial_end": None,
            "items": {
                "object": "list",
                "has_more": False,
                "data": [
                    {
                        "id": f"si_{next(_NUMBERS)}",
                        "object": "subscription_item",
                        "quantity": quantity,
                        "current_period_start": seconds(datetime.now(UTC) - 10 * DAY),
                        "price": {
                            "id": price,
                            "object": "price",
                            "lookup_key": None,
                            "product": price.replace("price_", "prod_"),
                        },
                    }
                    for price, quantity in items
                ],
            },
        }
        made.update(more)
        self.subscriptions[made["id"]] = made
        return made

    def owe(self, subscription: Thing, since: datetime, next_attempt: datetime | None) -> Thing:
        """An invoice that is not paid."""
        made: Thing = {
            "id": f"in_{next(_NUMBERS)}",
            "object": "invoice",
            "customer": subscription["customer"],
            "subscription": subscription["id"],
            "status": "open",
            "created": seconds(since),
            "due_date": None,
            "next_payment_attempt": None if next_attempt is None else seconds(next_attempt),
        }
        self.invoices[made["id"]] = made
        return made

    def pay(self, subscription: Thing) -> None:
        """Settle what is owed, and go on."""
        for invoice in self.invoices.values():
            if invoice["subscription"] == subscription["id"]:
                invoice["status"] = "paid"
        subscription["status"] = "active"

    def listed(self, path: str, asked: dict[str, str]) -> list[Thing] | None:
        """All that a list has; None where there is no such list."""
        customer, subscription = asked.get("customer"), asked.get("subscription")
        if path == "/v1/subscriptions":
            return [each for each in self.subscriptions.values() if each["customer"] == customer]
        if path == "/v1/entitlements/active_entitlements":
            return [
                {"id": f"ent_{key}", "object": "entitlements.active_entitlement", "lookup_key": key}
                for key in self.entitled.get(customer or "", [])
            ]
        if path == "/v1/invoices":
            states = [asked["status"]]
            found = [
                each
                for each in self.invoices.values()
                if each["subscription"] == subscription and each["status"] in states
            ]
            return sorted(found, key=lambda each: each["created"], reverse=True)
        if path == "/v1/subscription_items" and subscription is not None:
            return self.subscriptions[subscription]["all_items"]
        if path.startswith("/v1/products/") and path.endswith("/features"):
            keys = self.features.get(path.split("/")[3], [])
            return [
                {"id": f"prodft_{key}", "object": "product_feature", "entitlement_feature": {"lookup_key": key}}
                for key in keys
            ]
        return None


def event(kind: str, about: Thing, *, at: datetime | None = None, identifier: str = "") -> tuple[dict[str, str], bytes]:
    """An event with its signature: the headers and the body of a call."""
    at = at or datetime.now(UTC)
    return signed_body(
        {
            "id": identifier or f"evt_{next(_NUMBERS)}x{seconds(datetime.now(UTC))}",
            "object": "event",
            "type": kind,
            "created": seconds(at),
            "data": {"object": about},
        },
        at=at,
    )


def signed_body(said: Thing, *, at: datetime | None = None) -> tuple[dict[str, str], bytes]:
    """A body with its signature, as the package makes it."""
    body = json.dumps(said)
    signature: Any = stripe.WebhookSignature
    header = signature.generate_signature_header(body, SECRET, seconds(at or datetime.now(UTC)))
    return {"stripe-signature": header, "content-type": "application/json"}, body.encode()


def summary(customer: str, keys: list[str]) -> Thing:
    """What the event of entitlements is about: ten of them at most, and no id."""
    data = [{"object": "entitlements.active_entitlement", "lookup_key": key} for key in keys[:10]]
    return {
        "object": "entitlements.active_entitlement_summary",
        "customer": customer,
        "entitlements": {"object": "list", "data": data, "has_more": len(keys) > 10},
    }


def _missing(param: str) -> Thing:
    said = {"code": "resource_missing", "param": param, "type": "invalid_request_error"}
    return {"error": {**said, "message": "No such customer"}}


@contextmanager
def stripe_api() -> Generator[Stripe]:
    """Stripe's API on a port of its own, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            there.asked.append(address.path)
            if there.broken:
                self._answer(500, {"error": {"message": "the stand-in is broken", "type": "api_error"}})
            elif self.headers["authorization"] != f"Bearer {API_KEY}":
                self._answer(401, {"error": {"message": "Invalid API Key", "type": "invalid_request_error"}})
            elif asked.get("customer") in there.gone:
                self._answer(400, _missing("customer"))
            elif (gone := there.gone.get(address.path.removeprefix("/v1/customers/"))) is not None:
                deleted = {"id": address.path.rpartition("/")[2], "object": "customer", "deleted": True}
                self._answer(200 if gone else 404, deleted if gone else _missing("id"))
            elif (found := there.listed(address.path, asked)) is None:
                self._answer(404, {"error": {"message": "no such address", "type": "invalid_request_error"}})
            else:
                ids = [each["id"] for each in found]
                first = ids.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
                page = found[first : first + min(PAGE, int(asked.get("limit", 10)))]
                more = first + len(page) < len(found)
                self._answer(200, {"object": "list", "url": address.path, "has_more": more, "data": page})

        def _answer(self, status: int, body: Thing) -> None:
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = Stripe(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
