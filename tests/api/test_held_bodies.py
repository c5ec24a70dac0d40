"""Bodies that don't come: keys are judged by the head, a live caller has its time, and what breaks off is refused."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from litestar import Litestar

from api.held import Held
from api.test_ended_keys import KEY_REVOKED, SCIM_WRITES, end, installation_key
from api.v1.rights import ADMINS, ANYBODY, NOBODY, ROUTES, Route
from architecture.test_routes import handlers
from factories import Callers, Tenant, alive
from rollcall.api import receiving
from rollcall.app import create_app
from rollcall.db import Connection
from rollcall.settings import Settings

WRITING = [route for route in ROUTES if route.method != "GET"]
OAUTH = ["/oauth/introspect", "/oauth/introspect/batch", "/oauth/revoke"]
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def bearer(key: str) -> dict[str, str]:
    """The header that presents a key."""
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("route", WRITING, ids=str)
async def test_dead_keys_of_v1(app: Litestar, callers: Callers, acme: Tenant, owner: Connection, route: Route) -> None:
    """A revoked key of whichever kind is refused by its head on every writing route: nobody asks for the body."""
    address = route.address.format_map(dict.fromkeys(route.names, NOBODY) | {"tenant": acme.slug})
    if route.who in (ADMINS, ANYBODY):
        issued = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
        key = issued["token"]
        await acme.callers.operator.post(f"{acme.v1}/tokens/{issued['id']}/revoke")
    else:
        key = await installation_key(callers, "operator")
        await end(owner, acme, key, KEY_REVOKED)

    for headers in (bearer(key), {}):
        call = await Held(route.method, address, {**JSON, **headers}).sent_to(app)
        assert (call.status, call.asked) == (401, 0), call.text


@pytest.mark.parametrize("address", OAUTH)
async def test_dead_keys_of_oauth(
    app: Litestar, callers: Callers, acme: Tenant, owner: Connection, address: str
) -> None:
    """Without a live key nobody at ``/oauth`` asks for a body, also where the key was good a moment ago."""
    key = await installation_key(callers, "application")
    live = await Held("POST", address, {**FORM, **bearer(key)}, (b"x",), gone=True, length=1_000).sent_to(app)
    assert live.asked == 2, live.text
    await end(owner, acme, key, KEY_REVOKED)
    await asyncio.sleep(1.1)

    for headers in (bearer(key), {}, bearer("nonsense")):
        call = await Held("POST", address, {**FORM, **headers}, length=1_000).sent_to(app)
        assert (call.status, call.asked) == (401, 0), call.text


@pytest.mark.parametrize("write", [name for name in SCIM_WRITES if "delete" not in name])
async def test_dead_tokens_of_scim(app: Litestar, acme: Tenant, write: str) -> None:
    """A SCIM token that was used a moment ago and is revoked is refused while its body has not come."""
    person = await acme.person("maria")
    group = (await acme.scim.post("/Groups", json={"displayName": "g"})).json()
    method, address, _ = SCIM_WRITES[write](acme, person["id"], group["id"])
    await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")

    headers = {**JSON, **bearer(acme.token["token"])}
    call = await Held(method, f"/scim/v2{address}", headers, (b'{"us',)).sent_to(app, seconds=3)

    assert call.status == 401
    assert "has been revoked" in call.json["detail"]
    stranger = await Held(method, f"/scim/v2{address}", JSON).sent_to(app)
    assert (stranger.status, stranger.asked) == (401, 0)


async def test_forms_of_strangers(app: Litestar) -> None:
    """Whoever is not signed in, or has no cookie of a page of ours, is answered before any form is read."""
    judged = 0
    for path, handler in handlers(app, "/console/"):
        if handler.http_methods != {"POST"}:
            continue
        address = re.sub(r"\{[^}]+\}", NOBODY, path)
        bare = await Held("POST", address, FORM).sent_to(app)
        assert (bare.status, bare.asked) == (403, 0), address
        assert b"open for too long" in bare.text
        if handler.resolve_guards():
            call = await Held("POST", address, {**FORM, "cookie": "rollcall-csrf=x"}).sent_to(app)
            assert (call.status, call.asked) == (403, 0), address
            assert b"Sign in first" in call.text
            judged += 1
    assert judged >= 13


@pytest.fixture(scope="module")
def impatient(settings: Settings) -> Settings:
    """Settings under which a body has a second, and one more for each kilobyte."""
    return settings.model_copy(update={"body_seconds": 1.0, "body_bytes_per_second": 1_000})


@pytest_asyncio.fixture(scope="module")
async def hasty(impatient: Settings) -> AsyncGenerator[Litestar]:
    """An application that waits for bodies for a second."""
    async with alive(create_app(impatient)) as app:
        yield app


def surfaces(acme: Tenant, product: str, admin: str) -> dict[str, tuple[str, str, dict[str, str]]]:
    """A writing call of each surface, with a live key."""
    return {
        "scim": ("POST", "/scim/v2/Users", {**JSON, **bearer(acme.token["token"])}),
        "v1": ("POST", f"{acme.v1}/people", {**JSON, **bearer(admin)}),
        "oauth": ("POST", "/oauth/introspect", {**FORM, **bearer(product)}),
        "console": ("POST", "/console/sign-in", {**FORM, "cookie": "rollcall-csrf=x"}),
    }


SHAPES = {
    "scim": "application/scim+json",
    "v1": "application/problem+json",
    "oauth": "application/json",
    "console": "text/html; charset=utf-8",
}


@pytest.mark.parametrize("gone", [False, True], ids=["slow", "broken off"])
@pytest.mark.parametrize("surface", SHAPES)
async def test_live_callers(
    hasty: Litestar, callers: Callers, acme: Tenant, caplog: pytest.LogCaptureFixture, surface: str, gone: bool
) -> None:
    """A live caller's body that does not come is 408, one that breaks off 400, each in the words of its surface."""
    product = await installation_key(callers, "application")
    admin = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    method, address, headers = surfaces(acme, product, admin)[surface]
    caplog.clear()

    call = await Held(method, address, headers, (b"a=", b"b"), gone=gone, length=1_000).sent_to(hasty, seconds=5)

    assert call.status == (400 if gone else 408), call.text
    assert call.said["content-type"] == SHAPES[surface]
    logged = [record for record in caplog.records if "httpx" not in record.name]
    assert [record.levelname for record in logged] == ["INFO"], "one line, and nothing with a traceback"
    assert "refused" in str(logged[0].msg)
    if surface in ("scim", "v1"):
        written = [entry["status"] for entry in await acme.audit(outcome="refused")]
        assert written[:1] == [call.status]


async def test_slow_and_steady(hasty: Litestar, acme: Tenant) -> None:
    """A body that takes longer than the first second, and comes at the pace that is asked for, is read."""

    class Steady(Held):
        async def _receive(self) -> dict[str, Any]:
            self.asked += 1
            await asyncio.sleep(0.25)
            last = self.asked == 8
            body = b'{"userName": "maria"}' if last else b" " * 500
            return {"type": "http.request", "body": body, "more_body": not last}

    call = Steady("POST", "/scim/v2/Users", {**JSON, **bearer(acme.token["token"])}, length=3521)
    assert (await call.sent_to(hasty)).status == 201, call.text


@pytest.mark.parametrize(("address", "most"), [(OAUTH[0], 16_384), (OAUTH[1], 262_144), (OAUTH[2], 16_384)])
async def test_largest_questions(app: Litestar, callers: Callers, address: str, most: int) -> None:
    """A question about one credential has 16 kB at most, one about many 256 kB; the refusal says so."""
    headers = {**FORM, **bearer(await installation_key(callers, "application"))}
    announced = await Held("POST", address, headers, length=most + 1).sent_to(app)
    assert (announced.status, announced.asked) == (413, 0)
    assert str(most) in announced.json["error_description"]
    without_length = await Held("POST", address, headers, (b"x" * most, b"x"), length=most).sent_to(app)
    assert without_length.status == 413


async def test_room_for_bodies(app: Litestar, acme: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key's bodies under way have so much room; beyond it its large ones are 429, and nobody else's are."""
    monkeypatch.setattr(receiving, "HELD_BY_ONE", 300_000)
    headers = {**JSON, **bearer(acme.token["token"])}
    held = [Held("POST", "/scim/v2/Users", headers, (b" " * 100_000,)) for _ in range(3)]
    calls = [asyncio.create_task(each.sent_to(app)) for each in held]
    async with asyncio.timeout(5):
        while any(each.asked < 2 for each in held):
            await asyncio.sleep(0.01)

    large = await Held("POST", "/scim/v2/Users", headers, (b" " * 100_000,)).sent_to(app, seconds=3)
    assert (large.status, large.said["retry-after"]) == (429, "5"), large.text
    await acme.person("small")
    others = {**JSON, **bearer(other.token["token"])}
    neighbour = await Held("POST", "/scim/v2/Users", others, (b" " * 100_000,), gone=True).sent_to(app)
    assert neighbour.status == 400

    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    again = await Held("POST", "/scim/v2/Users", headers, (b" " * 100_000,), gone=True).sent_to(app)
    assert again.status == 400, "what is held no more has made room"
