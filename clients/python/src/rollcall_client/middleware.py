"""Lets a request through only while its session is good: ASGI middleware, for Litestar, Django and others."""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal

from rollcall_client.client import Introspection, Rollcall
from rollcall_client.errors import RollcallError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "rollcall"
"""Where the application finds its `Visitor` in the ASGI scope."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose session a request carries, as Rollcall says right now; *token* is what they brought."""

    token: str
    person_id: str
    user_name: str
    tenant: str
    tenant_id: str
    role: str | None
    scopes: tuple[str, ...] | None = None
    """What a person's own token may be used for; None for a session, which may be for everything they may do."""


class RollcallMiddleware:
    """Asks Rollcall about the session of every request before the application sees it.

    The session is the cookie called *cookie*, or a bearer token. A request without a good one is answered 401, and
    while Rollcall gives no answer 503: nobody is let in on a guess, and no answer is kept for the next request.
    Whoever is let in is in ``scope["rollcall"]``.

    *public* are paths that anybody may open, each with what is below it (``/static/``) or by itself (``/sign-in``);
    there a session is not looked at, and ``scope["rollcall"]`` is None. *realm* stands in ``WWW-Authenticate``.
    With *personal_tokens* a person's own token is let in as well: look at its scopes before you do what it asks.
    """

    def __init__(
        self,
        app: App,
        rollcall: Rollcall,
        *,
        cookie: str = "session",
        public: Collection[str] = (),
        personal_tokens: bool = False,
        realm: str = "product",
    ) -> None:
        self._app = app
        self._rollcall = rollcall
        self._cookie = cookie
        self._exact = frozenset(path for path in public if not path.endswith("/") or path == "/")
        self._below = tuple(path for path in public if path.endswith("/") and path != "/")
        self._personal_tokens = personal_tokens
        self._realm = realm

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, web socket, or the application's own start and stop."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # A server may hand the same mapping on; what somebody else left there is no visitor.
        scope = {**scope, KEY: None}
        if self._is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        token = self._token_of(scope)
        try:
            said = Introspection(active=False) if token is None else await self._rollcall.introspect(token)
        except RollcallError as error:
            log.error("nobody is let in: %s", error)
            await self._turn_away(scope, receive, send, 503)
            return
        visitor = None if token is None else _visitor(token, said)
        if visitor is None or (visitor.scopes is not None and not self._personal_tokens):
            await self._turn_away(scope, receive, send, 401)
            return
        scope[KEY] = visitor
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        # "/static/../admin" is none of /static: what a framework would resolve is not guessed at.
        return path in self._exact or (path.startswith(self._below) and ".." not in path and "//" not in path)

    def _token_of(self, scope: Scope) -> str | None:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        for name, value in headers:
            if name.lower() == b"authorization":
                scheme, _, token = value.decode("latin-1").partition(" ")
                return token.strip() or None if scheme.lower() == "bearer" else None
        for name, value in headers:
            if name.lower() == b"cookie":
                try:
                    found = SimpleCookie(value.decode("latin-1")).get(self._cookie)
                except CookieError:
                    continue
                if found is not None and found.value:
                    return found.value
        return None

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send, status: Literal[401, 503]) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008 if status == 401 else 1013})
            return
        headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
        if status == 401:
            title = "A session is needed: sign in."
            headers.append((b"www-authenticate", f'Bearer realm="{self._realm}"'.encode()))
        else:
            title = "Whether your session is good can't be told right now; try again in a moment."
            headers.append((b"retry-after", b"2"))
        body = json.dumps({"title": title, "status": status}).encode()
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _visitor(token: str, said: Introspection) -> Visitor | None:
    """Who may come in; a token that is nobody's is a key, and no session."""
    if not said.active or said.person_id is None or said.user_name is None:
        return None
    if said.tenant is None or said.tenant_id is None:
        return None
    scopes = None if said.is_session else said.scopes
    return Visitor(token, said.person_id, said.user_name, said.tenant, said.tenant_id, said.role, scopes)
