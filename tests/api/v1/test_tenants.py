"""/v1/tenants and /v1/plans: customers and what they pay for."""

import asyncio
from typing import Any

import httpx
import pytest

from api.expect import done, refused, turned_down
from factories import DART_RULE, Callers, Tenant


async def test_plans(operator: httpx.AsyncClient) -> None:
    """The plans are listed with their features and limits."""
    plans = {plan["key"]: plan for plan in (await operator.get("/v1/plans")).json()["data"]}

    assert "scim" not in plans["free"]["features"]
    assert "scim" in plans["business"]["features"]
    assert plans["business"]["rate_per_second"] == 0


async def test_new_tenant(operator: httpx.AsyncClient) -> None:
    """A new tenant is there by slug and by id, active, with the roles admin and member if it brought none."""
    made = await operator.post("/v1/tenants", json={"slug": "brand-new", "name": "Brand New", "plan": "business"})

    assert made.status_code == 201
    tenant = made.json()
    assert (tenant["status"], tenant["plan"], tenant["token_issuing"]) == ("active", "business", "self_service")
    for name in ("brand-new", tenant["id"]):
        assert (await operator.get(f"/v1/tenants/{name}")).json() == tenant
    assert tenant in (await operator.get("/v1/tenants")).json()["data"]
    rule = (await operator.get("/v1/tenants/brand-new/role-rule")).json()["rule"]
    assert set(rule["roles"]) == {"admin", "member"}


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"slug": "A B"}, "slug"),
        ({"slug": ""}, "slug"),
        ({"slug": "a" * 64}, "slug"),
        ({"slug": "01a20117-ed40-76b3-83ea-2b88c661dfad"}, "slug"),
        ({"slug": None}, "slug"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": 7}, "name"),
        ({"rate_per_second": 24}, "rate_per_second"),
        ({"rate_per_second": -1}, "rate_per_second"),
        ({"rate_burst": 0}, "rate_burst"),
        ({"token_issuing": "nobody"}, "token_issuing"),
        ({"role_rule": {}}, "roles"),
        ({"role_rule": {**DART_RULE, "default": "emperor"}}, "default"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_no_tenant(operator: httpx.AsyncClient, change: dict[str, Any], saying: str) -> None:
    """A tenant that can't be is refused, and the detail names the field."""
    body = {"slug": "never-made", "name": "Never", "plan": "free"} | change

    turned_down(await operator.post("/v1/tenants", json=body), 400, "invalid", saying)

    assert (await operator.get("/v1/tenants/never-made")).status_code == 404


async def test_unknown_plan(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A plan that is not there is named in the refusal."""
    body = {"slug": "never-made", "name": "Never", "plan": "gold"}

    turned_down(await operator.post("/v1/tenants", json=body), 404, "not_found", "gold")
    turned_down(await operator.patch(acme.v1, json={"plan": "gold"}), 404, "not_found", "gold")


async def test_slug_is_taken(operator: httpx.AsyncClient) -> None:
    """Of several who take a slug at the same moment one gets it, and the others are told."""
    body = {"slug": "wanted", "name": "Wanted", "plan": "free"}

    answers = await asyncio.gather(*(operator.post("/v1/tenants", json=body) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    turned_down(await operator.post("/v1/tenants", json=body), 409, "taken", "wanted")


async def test_change(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """What is given is changed, and what is left out stays."""
    change = {"name": "Acme Inc.", "rate_per_second": 25, "rate_burst": 50}

    changed = (await operator.patch(acme.v1, json=change)).json()

    assert {name: changed[name] for name in change} == change
    assert changed["plan"] == "business"
    assert (await operator.patch(acme.v1, json={"rate_per_second": None})).json()["rate_per_second"] is None
    assert (await operator.get(acme.v1)).json()["rate_burst"] == 50


@pytest.mark.parametrize("field", ["name", "plan", "token_issuing"])
async def test_what_always_is(operator: httpx.AsyncClient, acme: Tenant, field: str) -> None:
    """Name, plan and the way tokens are issued can be changed, not taken away."""
    turned_down(await operator.patch(acme.v1, json={field: None}), 400, "invalid", field)


@pytest.mark.parametrize("rate", [1, 24])
async def test_no_tenant_is_starved(operator: httpx.AsyncClient, acme: Tenant, rate: int) -> None:
    """A rate limit is off or at least 25 a second."""
    turned_down(await operator.patch(acme.v1, json={"rate_per_second": rate}), 400, "invalid", "rate_per_second")


async def test_plan_counts_from_the_next_call(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A change of plan shuts SCIM, or opens it, at the next call, and the refusal names the plans."""
    await operator.patch(acme.v1, json={"plan": "free"})
    detail = refused(await acme.scim.post("/Users", json={}), 403)["detail"]
    assert "Free" in detail
    assert "Business" in detail

    await operator.patch(acme.v1, json={"plan": "business"})
    done(await acme.scim.get("/Users"))


async def test_suspending_twice(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Suspending and resuming take effect at once, and doing either twice is doing it once."""
    session = await acme.session(await acme.person("maria"))

    for _ in range(2):
        assert (await operator.post(f"{acme.v1}/suspend")).json()["status"] == "suspended"
        refused(await acme.scim.get("/Users"), 403)
        assert not await acme.callers.is_live(session)
    for _ in range(2):
        assert (await operator.post(f"{acme.v1}/resume")).json()["status"] == "active"
        done(await acme.scim.get("/Users"))
        assert await acme.callers.is_live(session)

    counted = [entry["action"] for entry in await acme.audit(action="tenant")]
    assert sorted(counted) == ["tenant.created", "tenant.resumed", "tenant.suspended"]


async def test_changes_are_audited(callers: Callers, operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A change of plan stands in the audit with both plans, and one that changes nothing does not."""
    for plan in ("enterprise", "enterprise"):
        await operator.patch(acme.v1, json={"plan": plan})

    (entry,) = await acme.audit(action="tenant.plan_changed")
    assert entry["payload"] == {"before": "business", "after": "enterprise"}
    assert entry["actor_kind"] == "operator"
