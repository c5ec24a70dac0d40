"""The middleware around two example applications, asking the real Rollcall: who is let in, and who is not."""

import importlib.util
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from standardwebhooks import Webhook as Signing

from factories import Callers, Tenant, deactivation, in_process
from rollcall import logging
from rollcall.events.webhooks import new_secret
from rollcall_client import Rollcall, RollcallMiddleware

ADDRESS = "http://rollcall.test"
EXAMPLES = Path(__file__).parents[2] / "clients" / "python" / "examples"
SECRET = new_secret()


def example(name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an example, as a server would load it."""
    if name in sys.modules:
        return sys.modules[name]
    for variable, value in (("ROLLCALL_ADDRESS", ADDRESS), ("APPLICATION_KEY", key), ("WEBHOOK_SECRET", SECRET)):
        monkeypatch.setenv(variable, value)
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    logging.configure(environment="development", level="INFO")  # frameworks set their process's; this one is the tests'
    return module


@pytest_asyncio.fixture(params=["litestar_app", "django_app"])
async def shop(
    request: pytest.FixtureRequest, rollcall: Rollcall, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Any, httpx.AsyncClient]]:
    """An example's module, and somebody who calls it; its own client is led to the application under test."""
    key = callers.product.headers["authorization"].removeprefix("Bearer ")
    module = example(request.param, key, monkeypatch)
    monkeypatch.setattr(module.rollcall, "_http", rollcall._http)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(module.rollcall, "_seconds", 20)
    transport = httpx.ASGITransport(app=module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        yield module, client


async def test_in_and_out(shop: tuple[Any, httpx.AsyncClient], rollcall: Rollcall, acme: Tenant) -> None:
    """Somebody is known by cookie or bearer token, in their role of now, until they leave."""
    _, client = shop
    maria = await acme.person("maria@acme.test")
    token = (await rollcall.open_session(acme.slug, person=maria["id"])).token
    by_cookie, by_bearer = {"Cookie": f"other=1; session={token}"}, {"Authorization": f"Bearer {token}"}
    for headers in (by_cookie, by_bearer):
        answer = await client.get("/me", headers=headers)
        assert answer.json() == {"user_name": "maria@acme.test", "tenant": acme.slug, "role": "member"}
    promoted = {"Operations": [{"op": "replace", "path": "roles", "value": [{"value": "dart-admins"}]}]}
    await acme.scim.patch(f"/Users/{maria['id']}", json=promoted)
    assert (await client.get("/me", headers=by_cookie)).json()["role"] == "admin"
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert (await client.get("/me", headers=by_cookie)).status_code == 401


async def test_signed_out(shop: tuple[Any, httpx.AsyncClient], rollcall: Rollcall, acme: Tenant) -> None:
    """Whoever signs out is out, in every tab."""
    _, client = shop
    maria = await acme.person()
    headers = {"Authorization": f"Bearer {(await rollcall.open_session(acme.slug, person=maria['id'])).token}"}
    assert (await client.post("/sign-out", headers=headers)).status_code == 204
    assert (await client.get("/me", headers=headers)).status_code == 401


async def test_strangers(shop: tuple[Any, httpx.AsyncClient], acme: Tenant) -> None:
    """Without a session only what is public answers; a provider's token or nonsense is no session."""
    _, client = shop
    assert (await client.get("/")).json() == {"product": "example"}
    scim = acme.scim.headers["authorization"]
    for headers in (
        {},
        {"Cookie": "session="},
        {"Cookie": "session=x"},
        {"Authorization": "Bearer x"},
        {"Authorization": scim},
    ):
        answer = await client.get("/me", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="product"'
        assert answer.headers["cache-control"] == "no-store"
    assert (await client.get("/hooks/../me")).status_code == 401


async def test_told(shop: tuple[Any, httpx.AsyncClient]) -> None:
    """A signed webhook is taken; one that is not is refused, and does nothing."""
    module, client = shop
    now = datetime.now(UTC)
    body = '{"type": "user.deactivated", "timestamp": "2026-01-01T00:00:00Z", "data": {"person": {"user_name": "ida"}}}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "content-type": "application/json",
    }
    for secret, status in ((new_secret(), 401), (SECRET, 204)):
        signed = headers | {"webhook-signature": Signing(secret).sign("msg_1", now, body)}
        assert (await client.post("/hooks/rollcall", content=body, headers=signed)).status_code == status
        assert module.departed.get("msg_1") == ("ida" if status == 204 else None)


async def product(scope: Any, receive: Any, send: Any) -> None:  # ASGI's interface
    """An application that shows what it was handed."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    visitor = scope["rollcall"]
    said = b"nobody" if visitor is None else visitor.user_name.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})


def calling(middleware: RollcallMiddleware) -> httpx.AsyncClient:
    """Somebody who calls an application behind the middleware."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=cast("Any", middleware)), base_url="http://shop.test")


async def test_nobody_is_let_in_on_a_guess() -> None:
    """While Rollcall is away, slow or odd, everybody is told to come back, and a cached yes does not exist."""
    ways = [
        httpx.MockTransport(lambda _: httpx.Response(500)),
        httpx.MockTransport(lambda _: httpx.Response(200, text="yes")),
        httpx.MockTransport(lambda _: httpx.Response(401, json={"code": "unauthenticated", "detail": "wrong key"})),
        None,
    ]
    for transport in ways:
        async with (
            Rollcall("http://127.0.0.1:1", "key", transport=transport) as away,
            calling(RollcallMiddleware(product, away, public=("/open",))) as client,
        ):
            answer = await client.get("/", headers={"Cookie": "session=x"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert answer.json()["status"] == 503
            assert (await client.get("/open")).text == "nobody"


async def test_asked_every_time() -> None:
    """Two requests are two questions: what was true a moment ago is not believed."""
    asked: list[httpx.Request] = []
    yes = {"active": True, "jti": "1", "sid": "1", "tenant": "a", "tenant_id": "1", "sub": "2", "username": "ida"}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=yes if len(asked) == 1 else {"active": False})

    async with (
        Rollcall("http://here", "key", transport=httpx.MockTransport(answer)) as here,
        calling(RollcallMiddleware(product, here)) as client,
    ):
        headers = {"Authorization": "Bearer x"}
        assert (await client.get("/", headers=headers)).text == "ida"
        assert (await client.get("/", headers=headers)).status_code == 401
    assert len(asked) == 2


async def test_personal_tokens(rollcall: Rollcall, callers: Callers, acme: Tenant) -> None:
    """A person's own token is good for some things only, so it is let in only where its scopes are looked at."""
    maria = await acme.person("maria@acme.test")
    wanted = {"label": "laptop", "scopes": ["repo:read"]}
    made = await callers.product.post(f"/v1/tenants/{acme.slug}/people/{maria['id']}/tokens", json=wanted)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    for allowed, status in ((False, 401), (True, 200)):
        async with calling(RollcallMiddleware(product, rollcall, personal_tokens=allowed)) as client:
            assert (await client.get("/", headers=headers)).status_code == status


@pytest.mark.parametrize("path", ["/static/../me", "/static//me", "/staticme", "/static", "/signin/me", "/"])
async def test_what_is_not_public(app: Litestar, path: str) -> None:
    """Only the named paths, and what lies below those that end in a slash, are open."""
    async with Rollcall(ADDRESS, "key", transport=in_process(app)) as client:
        sent: list[Any] = []
        middleware = RollcallMiddleware(product, client, public=("/static/", "/signin"))
        scope: dict[str, Any] = {"type": "http", "path": path, "headers": []}
        await middleware(scope, cast("Any", None), _collect(sent))
        assert sent[0]["status"] == 401


async def test_web_sockets(app: Litestar) -> None:
    """A web socket without a session is closed before it opens."""
    async with Rollcall(ADDRESS, "key", transport=in_process(app)) as client:
        sent: list[Any] = []

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        scope: dict[str, Any] = {"type": "websocket", "path": "/", "headers": []}
        await RollcallMiddleware(product, client)(scope, receive, _collect(sent))
        assert sent == [{"type": "websocket.close", "code": 1008}]


def _collect(into: list[Any]) -> Any:
    async def send(message: Any) -> None:
        into.append(message)

    return send
