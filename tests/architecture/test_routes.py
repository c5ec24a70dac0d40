"""Every address of the application, and what stands before it."""

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from factories import Callers

PUBLIC = {
    "/",  # leads to the console
    "/status",  # what is running, without names and numbers
    "/verify",  # says of a receipt that somebody shows whether it is genuine, and keeps nothing
    "/health/live",
    "/health/ready",
    "/oauth/introspect",  # asks for an application key itself, in the statement that looks the credential up
    "/oauth/introspect/batch",  # as above
    "/oauth/revoke",  # asks for an application key itself, and refuses in OAuth's way: 401 for every other key
    "/mail/unsubscribe",  # asks for the sealed key that stands in a mail
    "/billing/stripe",  # asks for Stripe's signature; closed while its secret is not set
    "/billing/entitlements",  # asks for a signature by Standard Webhooks; closed as well
    "/v1/errors",  # what the codes of refusals mean
    "/v1/openapi.json",
    "/v1/openapi-scim.json",
    "/.well-known/jwks.json",  # public keys
    "/.well-known/receipt-keys.json",  # as above
}
"""Addresses outside /scim that answer without a guard. A new one needs a reason."""

DISCOVERY = ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas")
NONSENSE = b'{"Operations": [[[ \xff'


def is_public(path: str) -> bool:
    """Whether an address outside /scim may answer anybody: the listed ones, and the description of the API."""
    return path in PUBLIC or path == "/v1/docs" or path.startswith("/v1/docs/")


def routes(app: Litestar) -> list[HTTPRoute]:
    return [route for route in app.routes if isinstance(route, HTTPRoute)]


def handlers(app: Litestar, prefix: str) -> list[tuple[str, Any]]:
    return [
        (route.path, handler)
        for route in routes(app)
        if route.path.startswith(prefix)
        for handler in route.route_handlers
        if set(handler.http_methods) - {"OPTIONS"}
    ]


def test_there_are_routes(app: Litestar) -> None:
    """What the next tests walk through is the whole application."""
    assert len(handlers(app, "/scim/")) >= 11
    assert len(handlers(app, "/v1/")) >= 30


def test_management_is_guarded(app: Litestar) -> None:
    """Every handler of the management API has a guard, which reads the key before anything else of the request."""
    for path, handler in handlers(app, "/v1"):
        if not is_public(path):
            assert handler.resolve_guards(), f"{path} has no guard: see api/v1/callers.py for the four there are"


def test_nothing_else_is_open(app: Litestar) -> None:
    """An address that is neither SCIM nor guarded is one of the few that are meant to be."""
    for path, handler in handlers(app, "/"):
        if not path.startswith(("/scim/", "/console")) and not is_public(path):
            assert handler.resolve_guards(), f"{path} answers anybody; guard it, or list it here with a reason"


def test_scim_reads_nothing_before_the_gate(app: Litestar) -> None:
    """No SCIM handler has the framework decode a body or convert a path, which happens before we know who calls."""
    for path, handler in handlers(app, "/scim/"):
        parameters = handler.parsed_fn_signature.parameters
        assert "data" not in parameters, f"{path}: take the body as bytes and read it behind the gate"
        assert not handler.resolve_guards()
    for route in routes(app):
        if route.path.startswith("/scim/"):
            for component in route.path_components:
                if not isinstance(component, str):
                    assert component.type is str, f"{route.path}: take {component.name} as str"


def scim_calls(app: Litestar) -> list[tuple[str, str]]:
    return [
        (method, "/".join(part if isinstance(part, str) else "%00" for part in ["", *route.path_components]))
        for route in routes(app)
        if route.path.startswith("/scim/")
        for method in sorted(route.methods - {"OPTIONS"})
    ]


async def test_every_scim_address_passes_the_gate(app: Litestar, http: httpx.AsyncClient) -> None:
    """Without a token every SCIM address answers 401 whatever else is wrong, but the public discovery documents."""
    calls = scim_calls(app)
    assert len(calls) >= 11
    for method, path in calls:
        answer = await http.request(method, path, content=NONSENSE, params={"filter": "((", "count": "many"})
        if path.startswith(tuple(f"/scim/v2{name}" for name in DISCOVERY)):
            assert answer.status_code in (200, 403, 404), path
        else:
            assert answer.status_code == 401, f"{method} {path}"
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_scim_address_takes_a_bad_token(app: Litestar, callers: Callers) -> None:
    """With a token that is none every SCIM address answers 401, the discovery documents too."""
    async with callers.bearer("rc_scim_nonsense") as client:
        for method, path in scim_calls(app):
            answer = await client.request(method, path, content=NONSENSE)
            assert answer.status_code == 401, f"{method} {path}"


async def test_every_management_address_wants_a_key(app: Litestar, http: httpx.AsyncClient) -> None:
    """Without a key every address of the management API answers 401, before body, path or query are judged."""
    for path, handler in handlers(app, "/v1"):
        if is_public(path):
            continue
        for method in sorted(handler.http_methods):
            answer = await http.request(
                method, re.sub(r"\{\w+:str\}", "x", path), content=NONSENSE, params={"limit": "many"}
            )
            assert answer.status_code == 401, f"{method} {path}"


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_the_list_is_current(app: Litestar, path: str) -> None:
    """What the list says is public exists."""
    assert path in {route.path for route in routes(app)}
