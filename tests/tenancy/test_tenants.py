"""Tenants: taken on, changed, suspended and resumed, by ops alone, each change written down once."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from factories import DART_RULE, ORIGIN, Callers, a_tenant, whole
from rollcall.db import Database
from rollcall.errors import NotFound
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, open_fleet


def wanted(slug: str, **terms: Any) -> dict[str, Any]:
    return {"slug": slug, "name": "A tenant", "plan": "business", "role_rule": DART_RULE} | terms


async def test_taken_on(callers: Callers) -> None:
    """A new tenant is active, on its plan, found by id and by slug, and its audit begins with its creation."""
    made = (await callers.operator.post("/v1/tenants", json=wanted("founders"))).json()
    assert (made["status"], made["plan"], made["token_issuing"]) == ("active", "business", "self_service")
    for name in ("founders", made["id"], made["id"].upper()):
        assert (await callers.operator.get(f"/v1/tenants/{name}")).json() == made
    (entry,) = (await callers.operator.get("/v1/tenants/founders/audit")).json()["data"]
    assert (entry["action"], entry["payload"]) == ("tenant.created", {"slug": "founders", "plan": "business"})


AN_ID = UUID("5b6bb6b1-5c2e-4d0e-9a49-0c3a5e4f7d21")


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "-a",
        "a-",
        "A",
        "a b",
        "a_b",
        "a/b",
        "ü",
        "a" * 64,
        "a\n",
        "1" * 32,
        "5b6bb6b1-5c2e-4d0e-9a49-0c3a5e4f7d21",
        "5b6bb6b15c2e4d0e9a490c3a5e4f7d21",
    ],
)
async def test_what_can_be_no_slug(callers: Callers, slug: str) -> None:
    """A slug is letters, digits and dashes, and can't be taken for another tenant's id."""
    answer = await callers.operator.post("/v1/tenants", json=wanted(slug))
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("slug", ["a", "0", "a" * 63, "acme-corp", "1" * 31, "x--y"])
async def test_what_can_be_a_slug(callers: Callers, slug: str) -> None:
    """A tenant is found by any slug that it was given."""
    made = await callers.operator.post("/v1/tenants", json=wanted(slug))
    assert made.status_code == 201, made.text
    assert (await callers.operator.get(f"/v1/tenants/{slug}")).json()["id"] == made.json()["id"]


async def test_taken_slug(callers: Callers) -> None:
    """A slug that another tenant has is refused, and says so."""
    tenant = await a_tenant(callers)
    answer = await callers.operator.post("/v1/tenants", json=wanted(tenant.slug))
    assert (answer.status_code, answer.json()["code"]) == (409, "taken")


async def test_taken_at_the_same_moment(callers: Callers) -> None:
    """Of several tenants made with one slug at the same moment one is made, and the others hear that it is taken."""
    answers = await asyncio.gather(*(callers.operator.post("/v1/tenants", json=wanted("contested")) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    "terms",
    [
        {"plan": "diamond"},
        {"name": ""},
        {"rate_per_second": 24},
        {"rate_per_second": -1},
        {"rate_burst": 0},
        {"token_issuing": "anybody"},
        {"role_rule": {"roles": {}, "default": "x"}},
        {"unheard_of": 1},
    ],
)
async def test_terms_that_can_not_be(callers: Callers, terms: dict[str, Any]) -> None:
    """Terms that can't be are refused in words, for a new tenant and for one there is, and nothing is changed."""
    made = await callers.operator.post("/v1/tenants", json=wanted("impossible", **terms))
    assert made.status_code in (400, 404), made.text
    assert (await callers.operator.get("/v1/tenants/impossible")).status_code == 404
    if "role_rule" not in terms:
        tenant = await a_tenant(callers)
        before = (await callers.operator.get(tenant.v1)).json()
        changed = await callers.operator.patch(tenant.v1, json=terms)
        assert changed.status_code in (400, 404), changed.text
        assert (await callers.operator.get(tenant.v1)).json() == before


async def test_changed(callers: Callers) -> None:
    """A change leaves the rest as it is; a limit can be set, switched off and given back to the plan."""
    tenant = await a_tenant(callers)
    before = (await callers.operator.get(tenant.v1)).json()
    for rate in (25, 0, None):
        changed = (await callers.operator.patch(tenant.v1, json={"rate_per_second": rate})).json()
        assert changed == before | {"rate_per_second": rate}
    entries = await tenant.audit(action="tenant.changed")
    assert [entry["payload"]["changes"] for entry in entries] == [{"rate_per_second": rate} for rate in (None, 0, 25)]


async def test_changed_to_the_same(callers: Callers) -> None:
    """A change to what is so already is none, and leaves no event."""
    tenant = await a_tenant(callers)
    await callers.operator.patch(tenant.v1, json={"plan": "business", "name": tenant.slug.title()})
    assert [entry["action"] for entry in await tenant.audit(action="tenant")] == ["tenant.created"]


async def test_plan_changed(callers: Callers) -> None:
    """A change of plan says from which to which."""
    tenant = await a_tenant(callers)
    await callers.operator.patch(tenant.v1, json={"plan": "free"})
    (entry,) = await tenant.audit(action="tenant.plan_changed")
    assert entry["payload"] == {"before": "business", "after": "free"}


async def test_suspended_twice(callers: Callers) -> None:
    """Suspending and resuming each happen once, however often they are asked for."""
    tenant = await a_tenant(callers)
    for verb, status in (("suspend", "suspended"), ("resume", "active")):
        for _ in range(2):
            assert (await callers.operator.post(f"{tenant.v1}/{verb}")).json()["status"] == status
    assert [entry["action"] for entry in await tenant.audit(action="tenant")] == [
        "tenant.resumed",
        "tenant.suspended",
        "tenant.created",
    ]


async def test_suspended_is_refused_everywhere(callers: Callers) -> None:
    """A suspended tenant's provider, sessions and admins are all refused; ops still reach it."""
    tenant = await a_tenant(callers)
    session = await tenant.session(tenant.admin)
    personal = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    await callers.operator.post(f"{tenant.v1}/suspend")
    assert (await tenant.scim.get("/Users")).status_code == 403
    assert not await callers.is_live(session)
    wanted_session = {"tenant": tenant.slug, "person": tenant.admin["id"]}
    assert (await callers.product.post("/v1/sessions", json=wanted_session)).status_code == 403
    async with callers.bearer(personal["token"]) as admin:
        assert (await admin.get(tenant.v1)).status_code == 401
    assert (await callers.operator.get(f"{tenant.v1}/people")).status_code == 200


async def test_only_ops(callers: Callers) -> None:
    """Neither the product nor a tenant's admin takes on, changes, suspends or lists tenants."""
    tenant = await a_tenant(callers)
    personal = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    async with callers.bearer(personal["token"]) as admin:
        for client in (callers.product, admin):
            for answer in (
                await client.post("/v1/tenants", json=wanted("cuckoo")),
                await client.patch(tenant.v1, json={"plan": "enterprise"}),
                await client.post(f"{tenant.v1}/suspend"),
                await client.get("/v1/tenants"),
                await client.get("/v1/plans"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_an_admins_own_tenant(callers: Callers) -> None:
    """An admin sees their own tenant by slug and by id; another one is not found, as one that does not exist."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    personal = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    async with callers.bearer(personal["token"]) as admin:
        assert (
            (await admin.get(tenant.v1)).status_code == (await admin.get(f"/v1/tenants/{tenant.id}")).status_code == 200
        )
        headers = {"X-Request-Id": "same"}
        answers = {
            (await admin.get(f"/v1/tenants/{name}", headers=headers)).content
            for name in (other.slug, other.id, "nobody")
        }
    assert len(answers) == 1
    assert b"not_found" in answers.pop()


async def test_listed(callers: Callers) -> None:
    """Ops see all tenants, by slug."""
    made = {(await a_tenant(callers)).slug for _ in range(2)}
    slugs = [each["slug"] for each in await whole(callers.operator, "/v1/tenants")]
    assert made <= set(slugs)
    assert slugs == sorted(slugs)


async def test_not_found(database: Database) -> None:
    """A name or id that no tenant has is not found."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        for name in ("nobody", str(uuid4())):
            with pytest.raises(NotFound):
                await tenants.find(fleet, name)
