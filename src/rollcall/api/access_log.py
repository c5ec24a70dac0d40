"""The access log: one line for each request, when an operator has switched it on."""

import time
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.crypto import read_token

log = structlog.get_logger(__name__)


def access_log(app: ASGIApp) -> ASGIApp:
    """Log each request once it is answered: what was asked of which address, and what became of it.

    The route is what addresses of its kind look like, so no id, no query and no token of a caller gets into the log.
    The time runs from the request's head to the last byte of the answer, in milliseconds.
    """

    async def with_line(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        method = scope["method"]  # what follows makes a GET of HEAD
        status: int | None = None
        sent = 0
        begun = time.perf_counter()

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message["body"])
            await send(message)

        try:
            await app(scope, receive, counted)
        finally:
            facts: Any = scope  # the router writes down where it led
            log.info(
                "request",
                method=method,
                route=facts.get("path_template") or None,
                status=status,
                ms=round((time.perf_counter() - begun) * 1000, 2),
                bytes=sent,
                tenant=_tenant(facts, status),
            )

    return with_line


def _tenant(scope: Any, status: int | None) -> str | None:
    """The tenant a request was about: its slug, or its id where only that is known; None if there is no single one."""
    state = scope.get("state", {})
    if (caller := state.get("caller")) is not None and (tenant := caller.tenant or caller.home) is not None:
        return tenant.slug
    if (visitor := state.get("visitor")) is not None:
        return visitor.tenant.slug
    if status is None or status == 401 or status >= 500:  # nobody has said that the token is good
        return None
    if not str(scope.get("path_template", "")).startswith("/scim/"):
        return None
    presented = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
    token = read_token(presented.partition(" ")[2].strip())
    return None if token is None else str(token.tenant_id)
