"""Who may call the management API, how far each key reaches, and what strangers are told."""

import re
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute

from api.expect import turned_down
from api.v1.rights import ADMINS, ANYBODY, AUDITORS, NOBODY, OPS, PERSON, PRODUCT, ROUTES, Route, call, ids
from factories import ORIGIN, Callers, Tenant
from rollcall.crypto import TokenKind
from rollcall.tenancy import operators
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import SYSTEM, open_fleet


@pytest_asyncio.fixture(scope="session")
async def keys(callers: Callers) -> dict[str, str]:
    """An operator's key of each role that may not do everything."""
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        return {
            role.value: await operators.issue_key(fleet, TokenKind.OPERATOR, label=f"{role} under test", role=role)
            for role in (OperatorRole.BILLING, OperatorRole.SUPPORT)
        }


async def admins_key(tenant: Tenant) -> str:
    """A token of the tenant's admin for the management API."""
    return (await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"]))["token"]


def let_in(answer: httpx.Response, route: Route) -> None:
    """Check that a call got past the guard, and did what it should."""
    if route.refused is None:
        assert answer.status_code in (200, 201, 202, 204), answer.text
    else:
        assert answer.json()["code"] == route.refused, answer.text


def test_every_route_is_here(app: Litestar) -> None:
    """Of each address of the management API it is said, and tested, who may call it."""
    said = {
        (route.method, re.sub(r"\{\w+\}", "{}", (route.shape or route.address).partition("?")[0])) for route in ROUTES
    }
    there = {
        (method, re.sub(r"\{[^}]+\}", "{}", route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/")
        for method in set(route.methods) - {"OPTIONS", "HEAD"}
        if not re.match(r"/v1/(docs|errors|openapi)", route.path)
    }
    assert said == there


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_operator_reaches_everything(operator: httpx.AsyncClient, acme: Tenant, route: Route) -> None:
    """An operator's key opens every route, and none of them fails."""
    known = await ids(acme, route)
    try:
        let_in(await call(operator, route, known), route)
    finally:
        if "own_destination" in known:
            await operator.delete(f"/v1/destinations/{known['own_destination']}")


@pytest.mark.parametrize("role", ["billing", "support"])
@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_role_of_an_operator(acme: Tenant, keys: dict[str, str], route: Route, role: str) -> None:
    """A key opens what its role does; else it is told which one is needed and how it is made, and nothing is done."""
    reaches = role in route.roles
    known = await ids(acme, route if reaches else None)
    async with acme.callers.bearer(keys[role]) as somebody:
        answer = await call(somebody, route, known)

    if reaches:
        let_in(answer, route)
        return
    needed = " or ".join(each for each in ("ops", "billing", "support") if each in route.roles)
    turned_down(answer, 403, "forbidden", f"of the role {needed}")
    assert f"“{role} under test”, has the role {role}" in answer.json()["detail"]
    assert "rollcall keys issue operator --role" in answer.json()["detail"]
    assert (await acme.callers.operator.get(acme.v1)).json()["plan"] == "business"


async def test_what_a_role_may_not_do_of_a_call(acme: Tenant, keys: dict[str, str]) -> None:
    """Of a tenant billing changes the plan alone, and support gives nothing that opens more than it may do."""
    async with acme.callers.bearer(keys["billing"]) as billing, acme.callers.bearer(keys["support"]) as support:
        renamed = await billing.patch(acme.v1, json={"plan": "enterprise", "name": "Renamed"})
        turned_down(renamed, 403, "forbidden", "of the role ops for anything but the plan")
        wanted = {"label": "x", "scopes": ["admin"], "owner": acme.admin["id"]}
        turned_down(await support.post(f"{acme.v1}/tokens", json=wanted), 403, "forbidden", "with the scope admin")
        wanted["scopes"] = ["auditor"]
        turned_down(await support.post(f"{acme.v1}/tokens", json=wanted), 403, "forbidden", "with the scope auditor")
        for intent in ("tokens", "roles"):
            link = {"intent": intent, "person": acme.admin["id"]}
            answer = await support.post(f"{acme.v1}/portal-links", json=link)
            turned_down(answer, 403, "forbidden", f"of the role ops for a link with the intent {intent}")
            for somebody in (acme.callers.operator, acme.callers.product):
                assert (await somebody.post(f"{acme.v1}/portal-links", json=link)).status_code == 201
        contacts = {"kind": "contact", "intent": "setup", "label": "Kim", "person": acme.admin["id"]}
        answer = await support.post(f"{acme.v1}/portal-links", json=contacts)
        turned_down(answer, 403, "forbidden", "of the role ops for a link of the kind contact")
        made = await acme.callers.operator.post(f"{acme.v1}/portal-links", json=contacts)
        assert (await support.delete(f"{acme.v1}/portal-links/{made.json()['id']}")).status_code == 204
        for intent in ("setup", "activity", "departures"):
            link = {"intent": intent, "person": acme.admin["id"]}
            assert (await support.post(f"{acme.v1}/portal-links", json=link)).status_code == 201
        read_only = {"label": "y", "scopes": ["scim:read"]}
        assert (await support.post(f"{acme.v1}/tokens", json=read_only)).status_code == 201
        assert (await billing.patch(acme.v1, json={"plan": "enterprise"})).status_code == 200
        assert (await support.post(f"{acme.v1}/tokens", json={"label": "x"})).status_code == 201
        for client in (billing, support):
            session = await acme.session(acme.admin)
            assert (await client.post("/oauth/revoke", data={"token": session})).status_code == 403
            assert await acme.callers.is_live(session)

    tenant = (await acme.callers.operator.get(acme.v1)).json()
    assert (tenant["name"], tenant["plan"]) == (acme.slug.title(), "enterprise")
    said = {(entry["action"], entry["actor_label"]) for entry in await acme.audit()}
    assert {("tenant.plan_changed", "billing under test"), ("token.issued", "support under test")} <= said


async def test_figures_by_role(callers: Callers, keys: dict[str, str]) -> None:
    """Support reads the figures of a process, billing does not."""
    for role, status in (("support", 200), ("billing", 403)):
        async with callers.bearer(keys[role]) as somebody:
            assert (await somebody.get("/metrics")).status_code == status


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_application_reaches_what_the_product_needs(acme: Tenant, route: Route) -> None:
    """The product's key reads people and what they have, opens and closes ways in, and nothing else."""
    answer = await call(acme.callers.product, route, await ids(acme, route if route.who != OPS else None))

    if route.who in (PRODUCT, ANYBODY):
        let_in(answer, route)
    else:
        turned_down(answer, 403, "forbidden", "an operator key")


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_admin_reaches_their_own_tenant(acme: Tenant, route: Route) -> None:
    """An admin's token opens everything of its own tenant but what is for ops and for the product."""
    async with acme.callers.bearer(await admins_key(acme)) as ada:
        answer = await call(ada, route, await ids(acme, route if route.who != OPS else None))

    if route.who in (ADMINS, AUDITORS, ANYBODY):
        let_in(answer, route)
    else:
        turned_down(answer, 403, "forbidden")


@pytest.mark.parametrize("owned", [True, False], ids=["an admin's", "the tenant's"])
@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_auditor_reads_what_is_for_auditors(acme: Tenant, route: Route, owned: bool) -> None:
    """A token for auditors reads the audit, receipts, alerts and who was there when; it opens nothing else at all."""
    token = await acme.issue_token(scopes=["auditor"], **({"owner": acme.admin["id"]} if owned else {}))
    async with acme.callers.bearer(token["token"]) as auditor:
        answer = await call(auditor, route, await ids(acme, route if route.who == AUDITORS else None))

    if route.who == AUDITORS:
        assert route.method == "GET"
        let_in(answer, route)
    else:
        turned_down(answer, 403, "forbidden", "a token for auditors")


async def test_auditor_of_another_tenant(acme: Tenant, other: Tenant) -> None:
    """Of another tenant an auditor finds nothing, and over SCIM not even their own; what ends any token ends theirs."""
    token = await acme.issue_token(scopes=["auditor"], owner=acme.admin["id"])
    async with acme.callers.bearer(token["token"]) as auditor:
        assert (await auditor.get(f"{acme.v1}/audit")).status_code == 200
        turned_down(await auditor.get(f"{other.v1}/audit"), 404, "not_found")
        assert (await auditor.get("/scim/v2/Users")).status_code == 401
        await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")
        turned_down(await auditor.get(f"{acme.v1}/audit"), 401, "unauthenticated")
    mixed = {"label": "x", "scopes": ["auditor", "scim"]}
    turned_down(await acme.callers.operator.post(f"{acme.v1}/tokens", json=mixed), 400, "invalid", "different tokens")


@pytest.mark.parametrize("route", [route for route in ROUTES if "tenant" in route.names], ids=str)
async def test_admin_of_another_tenant(acme: Tenant, other: Tenant, route: Route) -> None:
    """To another tenant's admin a tenant does not exist, whatever is named in it, and nothing happens to it."""
    known = await ids(acme, route)
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


@pytest.mark.parametrize("route", [route for route in ROUTES if "tenant" in route.names > {"tenant"}], ids=str)
async def test_ids_of_another_tenant(acme: Tenant, other: Tenant, route: Route) -> None:
    """An id of another tenant is answered like one that never was, to operators as well."""
    theirs = await ids(other, route)
    mixed = theirs | {"tenant": acme.slug}
    never = dict.fromkeys(theirs, NOBODY) | {"tenant": acme.slug}

    for client in (acme.callers.operator, acme.callers.bearer(await admins_key(acme))):
        crossed, nobodys = await call(client, route, mixed), await call(client, route, never)
        assert crossed.status_code in (404, 403)
        assert strip(crossed) == strip(nobodys)
    assert (await call(acme.callers.operator, Route(ANYBODY, "GET", PERSON), theirs)).json()["active"] is True


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_strangers(http: httpx.AsyncClient, acme: Tenant, route: Route) -> None:
    """Without a live key every route is 401, before its body is looked at."""
    known = dict.fromkeys(route.names, NOBODY) | {"tenant": acme.slug, "person": acme.admin["id"]}
    scim = {"Authorization": f"Bearer {acme.token['token']}"}

    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}, scim):
        answer = await http.request(
            route.method, route.address.format_map(known), content=b"{nonsense", headers=headers
        )
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
