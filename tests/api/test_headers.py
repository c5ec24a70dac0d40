"""The headers of every answer, as they come out of a real server: what may be kept, and whose request it was."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from factories import Callers, Tenant, a_tenant, alive
from rollcall.app import create_app
from rollcall.engines.processes import free_port
from rollcall.settings import Settings

ASKED = {"X-Request-Id": "asked-4711"}
YEAR = "max-age=31536000"


@dataclass(frozen=True)
class Surface:
    """One way to ask, and whether the answer may be kept in a cache that others read."""

    method: str
    address: str
    status: int
    key: str | None = None
    shared: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.status}"


SURFACES = [
    Surface("GET", "/scim/v2/Users", 200, "scim"),
    Surface("GET", "/scim/v2/Users", 401),
    Surface("GET", "/scim/v2/Users/none", 404, "scim"),
    Surface("POST", "/scim/v2/Users", 400, "scim"),
    Surface("GET", "/scim/v2/ServiceProviderConfig", 200),
    Surface("GET", "/scim/v2/Schemas", 200, "scim"),
    Surface("GET", "/v1/tenants/{tenant}", 200, "operator"),
    Surface("HEAD", "/v1/tenants/{tenant}", 200, "operator"),
    Surface("OPTIONS", "/v1/tenants/{tenant}", 204),
    Surface("GET", "/v1/tenants/{tenant}/tokens", 200, "operator"),
    Surface("POST", "/v1/tenants/{tenant}/tokens", 400, "operator"),
    Surface("GET", "/v1/tenants", 401),
    Surface("GET", "/v1/nothing", 404),
    Surface("DELETE", "/v1/tenants", 405, "operator"),
    Surface("POST", "/oauth/introspect", 400, "operator"),
    Surface("POST", "/oauth/introspect", 401),
    Surface("POST", "/oauth/revoke", 401),
    Surface("GET", "/health/live", 200),
    Surface("GET", "/health/ready", 200),
    Surface("GET", "/console/sign-in", 200),
    Surface("GET", "/status", 200),
    Surface("GET", "/console/assets/nothing", 404),
    Surface("GET", "/nothing", 404),
    Surface("GET", "/.well-known/nothing", 404),
    Surface("GET", "/.well-known/jwks.json", 200, shared=True),
    Surface("GET", "/.well-known/receipt-keys.json", 200, shared=True),
    Surface("GET", "/v1/openapi.json", 200, shared=True),
    Surface("GET", "/v1/docs", 200, shared=True),
    Surface("GET", "/v1/docs/assets/docs.js", 200, shared=True),
    Surface("GET", "/console/assets/console.css", 200, shared=True),
]


@asynccontextmanager
async def server(app: Litestar) -> AsyncGenerator[str]:
    """*app* behind the server that production has; its address."""
    port = free_port(None)
    granian = Server(cast("Any", app), address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.create_task(granian.serve())
    address = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            with suppress(httpx.TransportError):
                await client.get(f"{address}/health/live")
                break
            await asyncio.sleep(0.02)
    try:
        yield address
    finally:
        granian.stop()
        await asyncio.wait_for(serving, timeout=20)


@pytest_asyncio.fixture(scope="module")
async def plain(app: Litestar) -> AsyncGenerator[str]:
    """An installation that is reached by http."""
    async with server(app) as address:
        yield address


@pytest_asyncio.fixture(scope="module")
async def secure(settings: Settings) -> AsyncGenerator[str]:
    """An installation whose public address is https, behind a proxy that ends TLS."""
    public = settings.model_copy(update={"public_url": "https://rollcall.test"})
    async with alive(create_app(public)) as app, server(app) as address:
        yield address


@pytest_asyncio.fixture(scope="module")
async def tenant(callers: Callers) -> Tenant:
    """A tenant to ask about."""
    return await a_tenant(callers)


async def ask(base: str, tenant: Tenant, surface: Surface) -> httpx.Response:
    keys = {"scim": tenant.scim, "operator": tenant.callers.operator}
    key = {} if surface.key is None else {"Authorization": keys[surface.key].headers["authorization"]}
    async with httpx.AsyncClient(base_url=base) as client:
        answer = await client.request(
            surface.method, surface.address.format(tenant=tenant.slug), headers={**ASKED, **key}
        )
    assert answer.status_code == surface.status, answer.text
    return answer


@pytest.mark.parametrize("surface", SURFACES, ids=str)
async def test_what_may_be_kept(plain: str, tenant: Tenant, surface: Surface) -> None:
    """Only what is public may be kept, and it names nobody's request; all else is no-store and names its own."""
    answer = await ask(plain, tenant, surface)

    kept = answer.headers.get_list("cache-control")
    assert len(kept) == 1
    assert ("no-store" in kept[0]) == (not surface.shared)
    assert answer.headers.get_list("x-request-id") == ([] if surface.shared else ["asked-4711"])
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("surface", SURFACES, ids=str)
async def test_https_only(secure: str, tenant: Tenant, surface: Surface) -> None:
    """With an https public address every answer says that there is no other way, once."""
    answer = await ask(secure, tenant, surface)
    assert answer.headers.get_list("strict-transport-security") == [YEAR]


async def test_a_page_that_is_kept_for_a_crowd(plain: str) -> None:
    """Whoever is given a page that Rollcall made for somebody else a moment ago is told their own request, once."""
    async with httpx.AsyncClient(base_url=plain) as client:
        for name in ("first", "second", "third"):
            answer = await client.get("/status", headers={"X-Request-Id": name})
            assert answer.status_code == 200
            assert answer.headers.get_list("x-request-id") == [name]
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_secrets_are_not_kept(plain: str, tenant: Tenant) -> None:
    """What shows a secret, and what tells whether one is good, says no-store."""
    async with httpx.AsyncClient(base_url=plain) as client:
        operator = {"Authorization": tenant.callers.operator.headers["authorization"]}
        product = {"Authorization": tenant.callers.product.headers["authorization"]}
        shown = [
            await client.post(f"{tenant.v1}/tokens", json={"label": "x"}, headers=operator),
            await client.post(
                "/v1/sessions", json={"tenant": tenant.slug, "person": tenant.admin["id"]}, headers=product
            ),
        ]
        asked = await client.post("/oauth/introspect", data={"token": shown[1].json()["token"]}, headers=product)
        many = await client.post(
            "/oauth/introspect/batch", json={"tokens": [each.json()["token"] for each in shown]}, headers=product
        )
    assert [each.status_code for each in (*shown, asked, many)] == [201, 201, 200, 200]
    assert {each.headers["cache-control"] for each in (*shown, asked, many)} == {"no-store"}


async def test_not_modified(plain: str, tenant: Tenant) -> None:
    """A provider that remembers an entity tag itself is still answered 304: no-store is said to caches on the way."""
    maria = await tenant.person()
    token = {"Authorization": tenant.scim.headers["authorization"]}
    async with httpx.AsyncClient(base_url=plain) as client:
        found = await client.get(f"/scim/v2/Users/{maria['id']}", headers=token)
        unchanged = await client.get(
            f"/scim/v2/Users/{maria['id']}", headers={**token, "If-None-Match": found.headers["etag"]}
        )
    assert (found.headers["cache-control"], unchanged.headers["cache-control"]) == ("no-store", "no-store")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
