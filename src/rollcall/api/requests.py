"""What every request carries, an id and where it came from; and the headers that every answer has."""

import re
from secrets import token_hex
from typing import Any, cast

from litestar import Litestar, Request
from litestar.enums import HttpMethod
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from rollcall.access import origins
from rollcall.current_call import CurrentCall, current_call
from rollcall.work import RequestOrigin

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")

LARGEST_BODY = 1_048_576
"""Bytes of a body that are read; what is longer is refused there and then."""

AnyRequest = Request[Any, Any, Any]


_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")


def request_ids(app: ASGIApp, *, https: bool) -> ASGIApp:
    """Give every request an id, its caller's ``X-Request-Id`` if that is plain: it is logged, kept and answered.

    What says nothing about caching is kept by nobody. An answer that others may be given from a cache says nothing of
    whoever asked for it, so it goes without the id. *https* tells browsers that there is no other way here.
    """
    always = [_NO_SNIFFING, _HTTPS_ONLY] if https else [_NO_SNIFFING]
    by_default = [_NO_STORE, *always]

    async def with_request_id(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        request_id = given if _PLAIN.fullmatch(given) else token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        header = (b"x-request-id", request_id.encode())
        current_call.set(CurrentCall(request_id))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                said = next((value for name, value in headers if name == b"cache-control"), None)
                if said is None:
                    headers += by_default
                    headers.append(header)
                else:
                    headers += always
                    if b"no-store" in said or b"private" in said:
                        headers.append(header)
                # A new message: the framework keeps the one it sent, for the next visitor of a page that it caches.
                message = cast("Message", {**message, "headers": headers})
            await send(message)

        await app(scope, receive, send_with_headers)

    return with_request_id


def head_and_options(app: Litestar, handler: ASGIApp) -> ASGIApp:
    """Answer OPTIONS with the methods that an address takes, and HEAD like GET, without the body."""

    async def with_head_and_options(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("HEAD", "OPTIONS"):
            await handler(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        methods = _methods_at(app, scope["path"])
        if scope["method"] == "HEAD":
            if "HEAD" in methods:
                scope["method"] = HttpMethod.GET
            await handler(scope, receive, send_head)
        elif methods:
            allow = (b"allow", ", ".join(methods).encode())
            await send({"type": "http.response.start", "status": 204, "headers": [allow]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await handler(scope, receive, send)

    return with_head_and_options


def header(scope: Scope, name: bytes) -> str | None:
    """The first line of a header; None if there is none. *name* is in small letters.

    The framework makes a dictionary of all headers for whoever asks for one of them.
    """
    for each, value in scope["headers"]:
        if each == name:
            return value.decode("latin-1")
    return None


def header_list(scope: Scope, name: bytes) -> str | None:
    """A header that is a list, and may be sent in several lines; None if it is empty, or not there."""
    return ",".join([value.decode("latin-1") for each, value in scope["headers"] if each == name]) or None


def name_tenant(scope: Scope, tenant: str) -> None:
    """Say whose request this is, for what is logged of it."""
    scope["state"]["tenant"] = tenant


def methods_of(request: AnyRequest) -> tuple[str, ...]:
    """The methods that this request's address takes, in alphabetical order."""
    return _methods_at(request.app, request.scope["path"])


def _methods_at(app: Litestar, path: str) -> tuple[str, ...]:
    asked = path.strip("/").split("/")
    found: dict[int, set[str]] = {}
    for route in app.routes:
        declared = route.path_format.strip("/").split("/")
        if len(declared) == len(asked) and all(
            part.startswith("{") or part == given for part, given in zip(declared, asked, strict=True)
        ):
            found.setdefault(route.path_format.count("{"), set()).update(route.methods)
    methods = found[min(found)] if found else set[str]()
    return tuple(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def origin(request: AnyRequest) -> RequestOrigin:
    """Where a request came from, as its audit entry says it."""
    return origins.origin_of(request.scope, request.app.state.trusted_proxies)


def source_of(request: AnyRequest) -> str | None:
    """The caller's address: the peer's, or what a trusted reverse proxy says of it."""
    return origins.source_of(request.scope, request.app.state.trusted_proxies)
