"""Webhooks, checked by the Standard Webhooks specification: that Rollcall sent them, and just now."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rollcall_client.errors import WebhookNotVerified

TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Webhook:
    """What Rollcall tells. The same *id* may come twice: remember those you have dealt with."""

    id: str
    type: str
    timestamp: str
    """When it happened, as RFC 3339 writes it."""
    data: Mapping[str, Any]


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Webhook:
    """Read a webhook after checking that it is signed with one of *secrets* (``whsec_…``) and recent.

    *body* is the request's as it came, before anything parsed it. *now* is for tests.

    Raises:
        WebhookNotVerified: it is not; answer 401 and do nothing.
        ValueError: a secret is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        identifier, sent, signatures = (lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        moment = int(sent)
    except (KeyError, ValueError) as error:
        raise WebhookNotVerified(
            "the headers webhook-id, webhook-timestamp and webhook-signature are needed"
        ) from error
    if abs((time.time() if now is None else now) - moment) > tolerance_seconds:
        raise WebhookNotVerified(f"it was sent more than {tolerance_seconds:.0f} s ago, or this clock is wrong")
    given = [text.removeprefix("v1,").encode() for text in signatures.split() if text.startswith("v1,")]
    known = [secrets] if isinstance(secrets, str) else list(secrets)
    expected = [_signature(_key(secret), identifier, sent, body) for secret in known]
    # Every pair is compared, in the same time whichever fits.
    if not any([hmac.compare_digest(one, other) for one in expected for other in given]):  # noqa: C419
        raise WebhookNotVerified("it is not signed with this secret")
    return _read(identifier, body)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not secret.startswith("whsec_"):
        msg = "this is no webhook's secret: one begins with whsec_ and was shown when the webhook was registered"
        raise ValueError(msg)
    return key


def _signature(key: bytes, identifier: str, sent: str, body: bytes) -> bytes:
    signed = b".".join((identifier.encode(), sent.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())


def _read(identifier: str, body: bytes) -> Webhook:
    try:
        said = cast("dict[str, Any]", json.loads(body))
        return Webhook(identifier, said["type"], said["timestamp"], said["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise WebhookNotVerified("it is signed, and says nothing that can be read") from error
