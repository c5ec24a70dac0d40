"""Stripe: its signed events, which are hints, and what it answers about a customer; the package is imported late.

An event carries ten entitlements at most and may come late, twice or never: nothing of it is believed but whose it is.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

import orjson

from rollcall.billing.provider import CanNotAsk, Hint, SignatureRefused, check_moment, object_of, storable
from rollcall.billing.stripe_standing import Found, Listed, candidate, next_attempt, past_due_beside, standing_of
from rollcall.errors import Invalid, Unavailable
from rollcall.scim.reader import check_shape
from rollcall.settings import Settings
from rollcall.tenancy.standing import Standing

SIGNATURE = "stripe-signature"
DEEPEST = 32
SECONDS = 10.0
"""How long Stripe may take for one answer."""

PAGE = 100
INSTALL = "install it: pip install 'rollcall[stripe]'"


class StripeBilling:
    """A `Provider`."""

    def __init__(self, secrets: Sequence[str], api_key: str | None, api_url: str) -> None:
        self._secrets = secrets
        self._api_key = api_key
        self._api_url = api_url
        self._client: Any = None

    @classmethod
    def of(cls, settings: Settings) -> "StripeBilling":
        """That of an installation."""
        secrets = [each.get_secret_value() for each in settings.stripe_webhook_secrets]
        key = settings.stripe_api_key
        return cls(secrets, None if key is None else key.get_secret_value(), settings.stripe_api_url)

    @property
    def is_open(self) -> bool:
        """Whether a secret is set."""
        return bool(self._secrets)

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """Whom an event is about; see `Provider`."""
        if not is_installed():
            msg = f"The package stripe is not installed on this process; {INSTALL}. Stripe sends its events again."
            raise Unavailable(msg, retry_after=60)
        stripe: Any = import_module("stripe")
        header = headers.get(SIGNATURE, "")
        if not any(_is_signed(stripe, secret, header, body) for secret in self._secrets):
            msg = (
                "Stripe-Signature is none of this body with the present secret: put the signing secret of this very "
                "endpoint into ROLLCALL_STRIPE_WEBHOOK_SECRETS, and have no proxy change the body. Nothing was done."
            )
            raise SignatureRefused(msg)
        check_moment(_signed_at(header), now)  # the package itself believes what comes from the future
        return _hint(body)

    async def ask(self, customer: str) -> Standing | None:
        """What a customer pays for; see `Provider`."""
        return await asyncio.to_thread(self._ask, customer)

    def _ask(self, customer: str) -> Standing:
        if self._api_key is None:
            msg = "ROLLCALL_STRIPE_API_KEY is not set, so Stripe can't be asked; set it for the workers"
            raise CanNotAsk(msg)
        if not is_installed():
            msg = f"the package stripe is not installed for the workers; {INSTALL}"
            raise CanNotAsk(msg)
        stripe: Any = import_module("stripe")
        if self._client is None:
            self._client = stripe.StripeClient(
                self._api_key,
                base_addresses={"api": self._api_url},
                http_client=stripe.RequestsClient(timeout=SECONDS),
                max_network_retries=0,  # it is asked again, later each time
            )
        try:
            return standing_of(self._find(customer))
        except stripe.AuthenticationError as error:
            msg = f"Stripe refuses ROLLCALL_STRIPE_API_KEY; put a live key of this account there ({error})"
            raise CanNotAsk(msg) from error
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing" and error.param == "customer":
                return self._without_customer(stripe, customer)
            msg = f"Stripe did not answer: {error}"
            raise CanNotAsk(msg) from error
        except stripe.StripeError as error:
            msg = f"Stripe did not answer: {error}"
            raise CanNotAsk(msg) from error

    def _without_customer(self, stripe: Any, customer: str) -> Standing:
        """What is so of a customer whom Stripe does not list: nothing is paid for, if it says that they were deleted.

        That it knows none of this name says little: the key may be that of another account, or of its test mode.
        """
        try:
            found = self._client.v1.customers.retrieve(customer).to_dict()
        except stripe.StripeError as error:
            msg = (
                "Stripe knows no customer of this name under ROLLCALL_STRIPE_API_KEY; see that the key is a live one "
                f"of the right account, and that the id is right ({error})"
            )
            raise CanNotAsk(msg) from error
        if found.get("id") == customer and found.get("deleted") is True:
            return Standing()
        msg = "Stripe knows this customer and lists nothing of it; it is asked again"
        raise CanNotAsk(msg)

    def _find(self, customer: str) -> Found:
        """All there is to know of a customer, every page of it."""
        of = self._client.v1
        subscriptions = [self._with_all_items(each) for each in _all(of.subscriptions, customer=customer, status="all")]
        entitled = _all(of.entitlements.active_entitlements, customer=customer)
        ended = candidate(subscriptions)
        if ended is None:
            late = [(each, next_attempt(self._owed(each))) for each in past_due_beside(subscriptions)]
            retried = [(each, attempt) for each, attempt in late if attempt is not None]
            features = self._features_of([each for each, _ in retried])
            return Found(subscriptions, [str(each["lookup_key"]) for each in entitled], None, (), features, retried)
        invoices = self._owed(ended)
        paid_at = self._paid_at(ended) if invoices else None
        return Found(subscriptions, (), ended, invoices, self._features_of([ended]), paid_at=paid_at)

    def _owed(self, subscription: Listed) -> list[Listed]:
        return _all(self._client.v1.invoices, subscription=subscription["id"], status="open")

    def _features_of(self, subscriptions: Sequence[Listed]) -> list[str]:
        """Lookup keys of the features of all that was bought."""
        items = [item for each in subscriptions for item in each["items"]["data"]]
        of = self._client.v1.products.features
        found = [
            each
            for product in sorted({str(item["price"]["product"]) for item in items})
            for each in _every(of.list(product, {"limit": PAGE}))
        ]
        return [str(each["entitlement_feature"]["lookup_key"]) for each in found]

    def _paid_at(self, subscription: Listed) -> int | None:
        """When the newest invoice of a subscription that is paid was made; Stripe lists the newest first."""
        wanted = {"subscription": subscription["id"], "status": "paid", "limit": 1}
        return next((int(each["created"]) for each in self._client.v1.invoices.list(wanted).data), None)

    def _with_all_items(self, subscription: Listed) -> Listed:
        items: Any = subscription["items"]
        if not items.get("has_more"):
            return subscription
        every = _all(self._client.v1.subscription_items, subscription=subscription["id"])
        return {**subscription, "items": {"data": every}}


def is_installed() -> bool:
    """Whether Stripe's package is there; it is not imported by looking."""
    return find_spec("stripe") is not None


def _all(service: Any, **wanted: object) -> list[Listed]:
    return _every(service.list({**wanted, "limit": PAGE}))


def _every(first: Any) -> list[Listed]:
    """All pages of a list, as plain dictionaries."""
    return [cast("Listed", each.to_dict()) for each in first.auto_paging_iter()]


def _is_signed(stripe: Any, secret: str, header: str, body: bytes) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _signed_at(header: str) -> datetime:
    moments = [part[2:] for part in header.split(",") if part.startswith("t=")]
    try:
        [moment] = moments  # of several the package signs with one, and another one might be read here
        return datetime.fromtimestamp(int(moment), UTC)
    except (ValueError, OverflowError, OSError):
        msg = "Stripe-Signature: its t is not one number of seconds since 1970. Nothing was done."
        raise SignatureRefused(msg) from None


def _hint(body: bytes) -> Hint:
    check_shape(body, depth=DEEPEST, lists=True)
    try:
        event = object_of(orjson.loads(body), "body")
        about = object_of(object_of(event.get("data"), "data").get("object"), "data.object")
        if event.get("object") != "event":
            raise ValueError
        happened_at = datetime.fromtimestamp(int(event["created"]), UTC)
        identifier, kind = storable(event["id"], "id"), storable(event["type"], "type")
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        msg = "body: it is no event of Stripe's; have the endpoint send events as snapshots, not thin ones"
        raise Invalid(msg, param="body") from None
    customer = about.get("id") if about.get("object") == "customer" else about.get("customer")
    if isinstance(customer, dict):
        customer = cast("Listed", customer).get("id")
    named = storable(customer, "customer") if isinstance(customer, str) else None
    return Hint(identifier, kind, named, happened_at)
