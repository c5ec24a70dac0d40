"""Forms that did not come from a page of ours change nothing, on any page, and the answer says what to do."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.middleware.csrf import CSRFMiddleware
from litestar.routes import HTTPRoute

from console.conftest import Browser, a_code, signed_in
from factories import Tenant

FORMS = (
    "/console/sign-in",
    "/console/sign-out",
    "/console/account/passkeys/begin",
    "/console/account/passkeys",
    "/console/account/sessions/others",
    "/console/sign-in/passkey",
    "/console/sign-in/passkey/begin",
    "/console/portal",
    "/console/contact",
    "/console/sign-in/mail",
    "/console/sign-in/mail/code",
    "/console/sign-in/mail/tenant",
    "/console/sign-in/password",
    "/console/confirm",
    "/console/team/links",
    "/console/account/password",
)
Browsers = Callable[[], Browser]
PUBLIC = {
    "/console/operators/sign-in": "anybody can ask to be let in",
    "/console/operators/sign-in/begin": "as above",
    "/console/operators/invitation": "whoever has the link is let in by it, once",
    "/console/portal": "the way in by a link from the product",
    "/console/contact": "the way in by a link that an admin vouches for",
    "/console/sign-in/mail": "the way in",
    "/console/sign-in/mail/code": "the way in",
    "/console/sign-in/mail/tenant": "the way in",
    "/console/sign-in/password": "the way in",
    "/console/assets/{name:str}": "what pages load",
    "/console/{rest:path}": "where there is nothing",
    "/console/sign-in": "the way in, and where a code is sent",
    "/console/sign-in/passkey/begin": "the way in",
    "/console/sign-in/passkey": "the way in",
}
"""Addresses of the console for which nobody has to be signed in."""


def handlers(app: Litestar) -> list[tuple[str, Any]]:
    """Every handler of the console, and its address."""
    return [
        (route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/console")
        for handler in route.route_handlers
        if set(handler.http_methods) - {"OPTIONS"}
    ]


def test_every_form_is_held_against_the_cookie(console_app: Litestar) -> None:
    """No handler of the console takes anything but GET without the check, and nothing outside the console has it."""
    checked = 0
    for path, handler in handlers(console_app):
        if handler.http_methods - {"GET", "OPTIONS"}:
            kinds = [getattr(each, "middleware", None) for each in handler.resolve_middleware()]
            assert CSRFMiddleware in kinds, (
                f"{path} takes forms from anywhere: put it beside the other pages with forms"
            )
            checked += 1
    assert checked >= 9
    assert console_app.csrf_config is None


def test_every_page_is_guarded(console_app: Litestar) -> None:
    """A handler of the console has the guard that asks who is signed in, or is one of the few for everybody."""
    seen = {path for path, handler in handlers(console_app) if not handler.resolve_guards()}
    assert seen == set(PUBLIC)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["", "f" * 128, "another"])
async def test_a_forged_form(browsers: Browsers, acme: Tenant, path: str, token: str) -> None:
    """Without what the page holds, with something made up, or with another browser's, a form is refused by a page."""
    browser = await signed_in(browsers(), acme, acme.admin)
    if token == "another":
        other = browsers()
        await other.open("/console/sign-in")
        token = other.csrf

    browser.csrf = token
    answer = await browser.send(path, workspace=acme.slug, code=await a_code(acme, acme.admin))

    assert answer.status_code == 403
    assert "This form is not good any more" in answer.text
    assert 'href="/console/account"' in answer.text
    assert "set-cookie" in answer.headers
    assert (await browser.open("/console/account")).status_code == 200


async def test_a_forged_call(browsers: Browsers, acme: Tenant) -> None:
    """What another page's script sends is refused in the words that our script reads."""
    browser = await signed_in(browsers(), acme, acme.admin)
    browser.csrf = "0" * 128

    answer = await browser.call("/console/account/passkeys/begin")

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


async def test_signing_in_as_somebody_else(browsers: Browsers, acme: Tenant) -> None:
    """Another site can't sign a browser in as its own person: the form to sign in is held against the cookie too."""
    victim = browsers()

    answer = await victim.send("/console/sign-in", workspace=acme.slug, code=await a_code(acme, acme.admin))

    assert answer.status_code == 403
    assert not victim.http.cookies.get("__Host-rollcall-session")


async def test_a_cookie_of_another_key(browser: Browser, acme: Tenant) -> None:
    """A browser that keeps a cookie made under a key which is gone is refused once, and then has a good one."""
    await browser.open("/console/sign-in")
    name = "__Host-rollcall-csrf"
    browser.http.cookies.delete(name)
    browser.http.cookies.set(name, "0" * 128, domain="rollcall.test")
    await browser.open("/console/sign-in")
    code = await a_code(acme, acme.admin)
    assert (await browser.send("/console/sign-in", workspace=acme.slug, code=code)).status_code == 403

    assert (await browser.enter(acme, code)).status_code == 303


async def test_the_cookie_of_forms(browser: Browser) -> None:
    """What forms are held against is bound to the host, and no script reads it."""
    page = await browser.open("/console/sign-in")

    (cookie,) = page.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-rollcall-csrf=")
    for flag in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert flag in cookie
    assert "Domain" not in cookie


async def test_the_first_page_sets_no_cookie(http: httpx.AsyncClient) -> None:
    """The page that a crowd shares gives nobody a cookie, or all would have the same one."""
    for _ in range(2):
        assert "set-cookie" not in (await http.get("/status")).headers


async def test_other_surfaces_need_none(acme: Tenant) -> None:
    """Who comes with a key needs no cookie: SCIM, the management API and introspection take what they took."""
    await acme.person()
    assert await acme.callers.is_live(acme.token["token"])
    assert (await acme.callers.operator.post(f"{acme.v1}/suspend")).status_code == 200


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-in/passkey"])
async def test_too_long(browser: Browser, path: str) -> None:
    """A form that is longer than any of ours is refused by a page, unread."""
    await browser.open("/console/sign-in")

    answer = await browser.send(path, workspace="x" * 70_000)

    assert answer.status_code == 413
    assert "<h1>" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"workspace": 1}',
        b'{"workspace": {}, "challenge": "y", "credential": []}',
        b"\xff",
        b"null",
    ],
    ids=["empty", "list", "half", "number", "other shapes", "no text", "null"],
)
async def test_bodies_that_are_none(browser: Browser, body: bytes) -> None:
    """What the script never sends is refused, and nothing fails."""
    await browser.open("/console/sign-in")
    headers = {"Accept": "application/json", "Content-Type": "application/json", "X-CSRFToken": browser.csrf}
    for path in ("/console/sign-in/passkey/begin", "/console/sign-in/passkey"):
        answer = await browser.http.post(path, content=body, headers=headers)

        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == "invalid"


async def test_files_and_other_shapes(browser: Browser, acme: Tenant) -> None:
    """A file where a text is wanted, fields twice or none: nobody gets in, and nothing fails."""
    await browser.open("/console/sign-in")
    token = {"_csrf_token": browser.csrf}
    shapes: list[dict[str, Any]] = [
        {"files": {"code": ("x", b"y")}, "data": {**token, "workspace": acme.slug}},
        {"data": {**token, "workspace": [acme.slug, "other"], "code": ["a", "b"]}},
        {"data": token},
    ]
    for shape in shapes:
        answer = await browser.http.post("/console/sign-in", **shape)
        assert answer.status_code == 403
        assert re.search("<h1>.+</h1>", answer.text)
