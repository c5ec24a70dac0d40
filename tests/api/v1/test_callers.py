"""Who may call the management API, how far each key reaches, and what strangers are told."""

import re
from typing import Any

import httpx
import pytest

from api.expect import turned_down
from factories import Callers, Tenant

TENANT = "/v1/tenants/{tenant}"
PERSON = f"{TENANT}/people/{{person}}"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/v1/plans", None),
    ("GET", "/v1/audit", None),
    ("GET", "/v1/tenants", None),
    ("POST", "/v1/tenants", {"slug": "made-here", "name": "Made", "plan": "free"}),
    ("PATCH", TENANT, {"name": "Renamed"}),
    ("POST", f"{TENANT}/suspend", None),
    ("POST", f"{TENANT}/resume", None),
    ("GET", TENANT, None),
    ("GET", f"{TENANT}/people", None),
    ("POST", f"{TENANT}/people", {"user_name": "new"}),
    ("GET", PERSON, None),
    ("POST", f"{PERSON}/appoint", None),
    ("POST", f"{PERSON}/demote", None),
    ("POST", f"{PERSON}/role", {"role": "guest"}),
    ("DELETE", f"{PERSON}/role-override", None),
    ("POST", f"{PERSON}/deactivate", {"reason": "left"}),
    ("POST", f"{PERSON}/reactivate", None),
    ("GET", f"{PERSON}/explain", None),
    ("GET", f"{PERSON}/sessions", None),
    ("GET", f"{PERSON}/receipts", None),
    ("GET", f"{TENANT}/conflict-cases", None),
    ("GET", f"{TENANT}/role-rule", None),
    (
        "PUT",
        f"{TENANT}/role-rule",
        {"roles": {"admin": {"label": "A", "admin": True}, "m": {"label": "M"}}, "default": "m"},
    ),
    ("GET", f"{TENANT}/tokens", None),
    ("POST", f"{TENANT}/tokens", {"label": "new"}),
    ("POST", f"{TENANT}/tokens/{{token}}/rotate", {"overlap_seconds": 60}),
    ("POST", f"{TENANT}/tokens/{{token}}/revoke", None),
    ("GET", f"{TENANT}/audit", None),
    ("DELETE", f"{TENANT}/sessions/{{session}}", None),
    ("POST", "/v1/sessions", {"user_name": "maria"}),
]
OPS_ONLY = ("/v1/plans", "/v1/audit", "/v1/tenants", f"{TENANT}/suspend", f"{TENANT}/resume", f"PATCH {TENANT}")
PRODUCTS = (f"{TENANT}/people", PERSON, f"{PERSON}/sessions")
NOBODY = "00000000-0000-7000-8000-000000000000"


async def admins_key(tenant: Tenant) -> str:
    """A token of the tenant's admin for the management API."""
    return (await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"]))["token"]


async def ids(tenant: Tenant, user_name: str = "maria") -> dict[str, str]:
    """What stands in the addresses: ids of things that the tenant has."""
    person = await tenant.person(user_name)
    session = await tenant.callers.product.post("/v1/sessions", json={"tenant": tenant.slug, "person": person["id"]})
    return {
        "tenant": tenant.slug,
        "person": person["id"],
        "token": tenant.token["id"],
        "session": session.json()["id"],
    }


async def call(client: httpx.AsyncClient, route: tuple[str, str, Any], known: dict[str, str]) -> httpx.Response:
    """Call a route with these ids."""
    method, address, body = route
    if address == "/v1/sessions":
        body = {**body, "tenant": known["tenant"]}
    return await client.request(method, address.format(**known), json=body)


def named(route: tuple[str, str, Any]) -> str:
    """A route as its test is called."""
    return re.sub(r"/v1|/tenants/\{tenant\}", "", f"{route[0]} {route[1]}")


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_operator_reaches_everything(
    operator: httpx.AsyncClient, acme: Tenant, route: tuple[str, str, Any]
) -> None:
    """An operator's key opens every route, and none of them fails."""
    answer = await call(operator, route, await ids(acme))

    assert answer.status_code in (200, 201, 204), answer.text


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_application_reaches_what_the_product_needs(acme: Tenant, route: tuple[str, str, Any]) -> None:
    """The product's key reads people and their sessions, opens and closes sessions, and nothing else."""
    answer = await call(acme.callers.product, route, await ids(acme))

    method, address, _ = route
    if "/sessions" in address or (method == "GET" and address in PRODUCTS):
        assert answer.status_code in (200, 201, 204), answer.text
    else:
        turned_down(answer, 403, "forbidden", "an operator key")


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_admin_reaches_their_own_tenant(acme: Tenant, route: tuple[str, str, Any]) -> None:
    """An admin's token opens everything of its own tenant but what is for ops and for the product."""
    async with acme.callers.bearer(await admins_key(acme)) as ada:
        answer = await call(ada, route, await ids(acme))

    method, address, _ = route
    ops_only = address in OPS_ONLY or f"{method} {address}" in OPS_ONLY
    products = address == "/v1/sessions" or address.endswith("{session}")
    if ops_only or products:
        turned_down(answer, 403, "forbidden")
    else:
        assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize("route", [route for route in ROUTES if "{tenant}" in route[1]], ids=named)
async def test_admin_of_another_tenant(acme: Tenant, other: Tenant, route: tuple[str, str, Any]) -> None:
    """To another tenant's admin a tenant does not exist, whatever is named in it, and nothing happens to it."""
    known = await ids(acme)
    async with acme.callers.bearer(await admins_key(other)) as stranger:
        theirs = await call(stranger, route, known)
        nobodys = await call(stranger, route, known | {"tenant": "no-such-tenant"})

    if theirs.status_code == 403:  # ops only: that is said before any tenant is looked at
        turned_down(nobodys, 403, "forbidden")
    else:
        turned_down(theirs, 404, "not_found")
        assert strip(theirs) == strip(nobodys)
    assert (await acme.callers.operator.get(acme.v1)).json()["status"] == "active"


def strip(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """An answer without what differs from request to request."""
    return answer.status_code, {name: text for name, text in answer.json().items() if name != "request_id"}


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if re.search(r"\{(person|token|session)\}", route[1])], ids=named
)
async def test_ids_of_another_tenant(acme: Tenant, other: Tenant, route: tuple[str, str, Any]) -> None:
    """An id of another tenant is answered like one that never was, to operators as well."""
    theirs = await ids(other)
    mixed = theirs | {"tenant": acme.slug}
    never = {"tenant": acme.slug, "person": NOBODY, "token": NOBODY, "session": NOBODY}

    for client in (acme.callers.operator, acme.callers.bearer(await admins_key(acme))):
        crossed, nobodys = await call(client, route, mixed), await call(client, route, never)
        assert crossed.status_code in (404, 403)
        assert strip(crossed) == strip(nobodys)
    assert (await call(acme.callers.operator, ("GET", PERSON, None), theirs)).json()["active"] is True


@pytest.mark.parametrize("route", ROUTES, ids=named)
async def test_strangers(http: httpx.AsyncClient, acme: Tenant, route: tuple[str, str, Any]) -> None:
    """Without a live key every route is 401, before its body is looked at."""
    method, address, _ = route
    known = {"tenant": acme.slug, "person": acme.admin["id"], "token": acme.token["id"], "session": NOBODY}
    scim = {"Authorization": f"Bearer {acme.token['token']}"}

    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}, scim):
        answer = await http.request(method, address.format(**known), content=b"{nonsense", headers=headers)
        turned_down(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("end", ["revoke", "demote", "deactivate", "suspend"])
async def test_admins_token_ends(acme: Tenant, end: str) -> None:
    """An admin's token stops at the next call when it is revoked, its owner no active admin, the tenant suspended."""
    issued = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    address = {
        "revoke": f"{acme.v1}/tokens/{issued['id']}/revoke",
        "demote": f"{acme.v1}/people/{acme.admin['id']}/demote",
        "deactivate": f"{acme.v1}/people/{acme.admin['id']}/deactivate",
        "suspend": f"{acme.v1}/suspend",
    }[end]
    async with acme.callers.bearer(issued["token"]) as ada:
        assert (await ada.get(acme.v1)).status_code == 200
        assert (await acme.callers.operator.post(address)).status_code == 200
        turned_down(await ada.get(acme.v1), 401, "unauthenticated")


async def test_admin_names_their_tenant_by_id_too(acme: Tenant) -> None:
    """An admin reaches their tenant by its slug and by its id."""
    async with acme.callers.bearer(await admins_key(acme)) as ada:
        assert (await ada.get(f"/v1/tenants/{acme.id}")).json() == (await ada.get(acme.v1)).json()


@pytest.mark.parametrize("name", ["no-such-tenant", NOBODY, "A B", "%FF", "..", "'"])
async def test_no_such_tenant(operator: httpx.AsyncClient, name: str) -> None:
    """A tenant that is not there is 404."""
    answer = await operator.get(f"/v1/tenants/{name}/people")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "address", ["/v1/tenants/%00", "{v1}/people?user_name=%00", "{v1}/people/%00", "{v1}/audit?action=a%00b"]
)
async def test_nul_in_an_address(operator: httpx.AsyncClient, acme: Tenant, address: str) -> None:
    """A NUL character in an address is refused; nothing can be called so."""
    turned_down(await operator.get(address.format(v1=acme.v1)), 400, "invalid", "NUL")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"label": "\\ud800"}', b"[" * 100_000, b'{"label": 1e999}'],
)
async def test_malformed_bodies(operator: httpx.AsyncClient, acme: Tenant, content: bytes) -> None:
    """A body that can't be read is refused with 400."""
    for address in (f"{acme.v1}/tokens", f"{acme.v1}/people", "/v1/tenants", "/v1/sessions"):
        turned_down(await operator.post(address, content=content), 400, "invalid")
    turned_down(await operator.put(f"{acme.v1}/role-rule", content=content), 400, "invalid")


async def test_body_too_large(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A body larger than is read is 413."""
    turned_down(await operator.post(f"{acme.v1}/people", content=b" " * 1_048_577), 413, "too_large", "1048576")


async def test_method_not_allowed(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A method that an address does not take is 405, and Allow lists those it takes."""
    answer = await operator.delete(f"{acme.v1}/people")

    turned_down(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


async def test_refusals_are_audited(acme: Tenant) -> None:
    """A refused call stands in the tenant's audit: by whom, why, and with which answer."""
    await acme.callers.operator.post(f"{acme.v1}/people/{NOBODY}/deactivate", headers={"X-Request-Id": "refused-1"})
    async with acme.callers.bearer(await admins_key(acme)) as ada:
        await ada.post(f"{acme.v1}/people", json={"user_name": acme.admin["user_name"]})

    refusals = {entry["action"]: entry for entry in await acme.audit(outcome="refused")}
    assert refusals["v1.deactivate_person"]["request_id"] == "refused-1"
    assert refusals["v1.deactivate_person"]["status"] == 404
    assert refusals["v1.create_person"]["status"] == 409
    assert refusals["v1.create_person"]["owner_id"] == acme.admin["id"]


async def test_no_secret_in_the_log(callers: Callers, acme: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    """What is issued, presented or put into an address leaves no secret in the log."""
    key = await admins_key(acme)
    async with callers.bearer(key) as ada:
        await ada.get(f"{acme.v1}/people")
        await ada.get(f"{acme.v1}/people/{key}")
        await ada.post(f"{acme.v1}/people", json={"user_name": key, "role": key})

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("rollcall")]
    assert ours
    assert not [line for line in ours if key.split("_")[4] in line]
