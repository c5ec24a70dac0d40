"""Refused calls of the management API: one entry for each of a known key, a count for those nobody can be named for."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.expect import turned_down
from factories import Callers, Tenant
from rollcall.api.v1 import refusals
from rollcall.db import Connection

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest_asyncio.fixture
async def ada(acme: Tenant) -> AsyncGenerator[httpx.AsyncClient]:
    """The tenant's admin with a token of their own."""
    issued = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    async with acme.callers.bearer(issued["token"]) as client:
        yield client


async def of_installation(callers: Callers, **question: Any) -> list[dict[str, Any]]:
    """The installation's audit, newest first."""
    answer = await callers.operator.get("/v1/audit", params=question)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def told(entry: dict[str, Any]) -> tuple[str, int, str]:
    """What an entry says of a refusal."""
    assert entry["outcome"] == "refused"
    return entry["action"], entry["status"], entry["actor_kind"]


@pytest.mark.parametrize(
    ("method", "address", "body", "action", "status"),
    [
        ("POST", "/people", {"user_name": ""}, "v1.create_person", 400),
        ("POST", "/people", None, "v1.create_person", 400),
        ("GET", "/people?limit=none", None, "v1.list_people", 400),
        ("GET", "/people?user_name=%00", None, "v1.list_people", 400),
        ("GET", f"/people/{NOBODY}", None, "v1.get_person", 404),
        ("POST", "/people", {"user_name": "x", "role": "emperor"}, "v1.create_person", 400),
        ("PUT", "/role-rule", {}, "v1.put_role_rule", 400),
        ("PATCH", "", {"plan": "no-such-plan"}, "v1.change_tenant", 404),
        ("PATCH", "", {"plan": None}, "v1.change_tenant", 400),
        ("DELETE", "/people", None, "v1.none", 405),
        ("GET", "/nothing", None, "v1.none", 404),
    ],
)
async def test_of_an_operator(acme: Tenant, method: str, address: str, body: Any, action: str, status: int) -> None:
    """What an operator is refused for a tenant stands once in its audit, wherever the refusal came from."""
    answer = await acme.callers.operator.request(
        method, acme.v1 + address, json=body, headers={"X-Request-Id": f"{acme.slug}-refused"}
    )
    assert answer.status_code == status, answer.text

    found = await acme.audit(outcome="refused") or await of_installation(
        acme.callers, request_id=f"{acme.slug}-refused"
    )
    (entry,) = found
    assert told(entry) == (action, status, "operator")
    assert entry["request_id"] == f"{acme.slug}-refused"
    assert entry["detail"] == answer.json()["detail"]
    assert (entry["path"], entry["method"]) == (acme.v1 + address.partition("?")[0], method)


@pytest.mark.parametrize(
    ("method", "address", "action", "status"),
    [
        ("GET", "/v1/tenants/{other}/people", "v1.list_people", 404),
        ("GET", "/v1/tenants", "v1.list_tenants", 403),
        ("GET", "/v1/audit", "v1.read_installation_audit", 403),
        ("POST", "/v1/tenants/{other}/suspend", "v1.suspend_tenant", 403),
        ("POST", "/v1/sessions", "v1.open_session", 403),
        ("GET", "/v1/nothing", "v1.none", 404),
        ("DELETE", "/v1/tenants", "v1.none", 405),
    ],
)
async def test_of_an_admin(
    acme: Tenant, other: Tenant, ada: httpx.AsyncClient, method: str, address: str, action: str, status: int
) -> None:
    """What an admin is refused stands in their own tenant's audit, whatever they named, and in no other."""
    answer = await ada.request(method, address.format(other=other.slug), headers={"X-Request-Id": f"{acme.slug}-ada"})
    assert answer.status_code == status, answer.text

    (entry,) = await acme.audit(outcome="refused")
    assert told(entry) == (action, status, "person")
    assert entry["owner_id"] == acme.admin["id"]
    assert await other.audit(outcome="refused") == []
    assert await of_installation(acme.callers, request_id=f"{acme.slug}-ada") == []


async def test_of_the_product(acme: Tenant) -> None:
    """What the product is refused stands in the audit of the tenant that it named, in the path or in the body."""
    product = acme.callers.product
    assert (await product.get(f"{acme.v1}/tokens")).status_code == 403
    wanted = {"tenant": acme.slug, "person": NOBODY}
    assert (await product.post("/v1/sessions", json=wanted)).status_code == 404

    assert [told(entry) for entry in await acme.audit(outcome="refused")] == [
        ("v1.open_session", 404, "application"),
        ("v1.list_tokens", 403, "application"),
    ]


@pytest.mark.parametrize(
    ("method", "address", "body", "action", "status"),
    [
        ("POST", "/v1/tenants", {"slug": "A B", "name": "x", "plan": "free"}, "v1.create_tenant", 400),
        ("POST", "/v1/tenants", {}, "v1.create_tenant", 400),
        ("POST", "/v1/sessions", {"user_name": "x"}, "v1.open_session", 400),
        ("GET", "/v1/tenants/no-such-tenant", None, "v1.get_tenant", 404),
        ("POST", "/v1/tenants/no-such-tenant/suspend", None, "v1.suspend_tenant", 404),
        ("GET", "/v1/tenants/%00", None, "v1.get_tenant", 400),
        ("GET", "/v1/audit?limit=0", None, "v1.read_installation_audit", 400),
    ],
)
async def test_of_no_tenant(acme: Tenant, method: str, address: str, body: Any, action: str, status: int) -> None:
    """What is refused without a tenant that there is stands once in the installation's audit."""
    request_id = f"{acme.slug}-fleet"
    answer = await acme.callers.operator.request(method, address, json=body, headers={"X-Request-Id": request_id})
    assert answer.status_code == status, answer.text

    (entry,) = await of_installation(acme.callers, request_id=request_id)
    assert told(entry) == (action, status, "operator")


async def test_of_nobody(acme: Tenant, owner: Connection, http: httpx.AsyncClient) -> None:
    """Calls without a live key are counted by their source, and leave no entry."""

    async def counted() -> int:
        await acme.callers.app.state.context.batched_entries.flush()
        return await owner.fetchval("SELECT coalesce(sum(calls), 0) FROM refused_calls")

    before = await counted()
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {acme.token['token']}"}):
        assert (await http.get(f"{acme.v1}/people", headers=headers)).status_code == 401
        assert (await http.get("/v1/nothing", headers=headers)).status_code == 404

    assert await counted() == before + 6
    assert await acme.audit(outcome="refused") == []


async def test_installations_audit(acme: Tenant, callers: Callers) -> None:
    """Operators read what concerns no single tenant, page by page; no tenant's entries are among it."""
    for _ in range(3):
        await callers.operator.get("/v1/tenants/no-such-tenant")
    first = (await callers.operator.get("/v1/audit", params={"limit": 2, "outcome": "refused"})).json()
    second = (
        await callers.operator.get(
            "/v1/audit", params={"limit": 2, "outcome": "refused", "cursor": first["next_cursor"]}
        )
    ).json()

    assert len({entry["id"] for entry in first["data"] + second["data"]}) == 4
    assert "installation_key.issued" in {entry["action"] for entry in await of_installation(callers, limit=500)}
    assert await of_installation(callers, actor=acme.token["id"]) == []


async def test_audit_that_fails(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that can't be written down is answered all the same, and is in the log."""

    async def fail(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(refusals, "record_refusal", fail)

    turned_down(await acme.callers.operator.get("/v1/tenants/no-such-tenant"), 404, "not_found")
    turned_down(await acme.callers.operator.post(f"{acme.v1}/people", json={}), 400, "invalid", "user_name: is missing")


async def test_what_cannot_be_kept(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A refusal that repeats a NUL character is answered and entered like any other, with the character replaced."""
    body = {"role": "guest", "x\x00": ["y\x00"]}
    answer = await operator.post(f"{acme.v1}/people/{acme.admin['id']}/role", json=body)
    turned_down(answer, 400, "invalid")
    entries = await acme.audit(outcome="refused")
    assert [entry["status"] for entry in entries] == [400]
    assert "\ufffd" in entries[0]["detail"]
