"""Rollcall for a product written in Python: sessions, "is it still good?", and webhooks."""

from rollcall_client.client import Introspection, OpenedSession, Rollcall
from rollcall_client.errors import RollcallAway, RollcallError, RollcallRefused, WebhookNotVerified
from rollcall_client.middleware import RollcallMiddleware, Visitor
from rollcall_client.webhooks import Webhook, verify

__all__ = [
    "Introspection",
    "OpenedSession",
    "Rollcall",
    "RollcallAway",
    "RollcallError",
    "RollcallMiddleware",
    "RollcallRefused",
    "Visitor",
    "Webhook",
    "WebhookNotVerified",
    "verify",
]
