"""Why something is refused to a tenant, and what another plan would change, before it does."""

from datetime import UTC, datetime, timedelta
from typing import Any

from factories import ORIGIN, Callers, Tenant, a_tenant
from rollcall.db import Database
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet


async def why(tenant: Tenant) -> dict[str, tuple[bool, str]]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/plan/explain")
    assert answer.status_code == 200, answer.text
    return {each["what"]: (each["passes"], each["because"]) for each in answer.json()["data"]}


async def do(tenant: Tenant, method: str, path: str = "", **body: Any) -> None:
    answer = await tenant.callers.operator.request(method, f"{tenant.v1}{path}", json=body)
    assert answer.status_code == 200, answer.text


async def test_explained(callers: Callers, database: Database) -> None:
    """Each thing that can refuse is named: plan, override, lapse, seats, a pause and a suspension."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "two", PlanTerms(name="Two", features=("scim",), seats=2, rate_per_second=0))
    tenant = await a_tenant(callers, plan="two")
    assert await why(tenant) == {"scim": (True, "plan"), "events": (False, "plan"), "newcomers": (True, "seats")}
    await tenant.person()
    assert (await why(tenant))["newcomers"] == (False, "seats")
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await do(tenant, "PUT", "/overrides/events", value=True, reason="a trial", ends_at=soon)
    await do(tenant, "PUT", "/overrides/seat_policy", value="overage", reason="a trial")
    assert await why(tenant) == {"scim": (True, "plan"), "events": (True, "override"), "newcomers": (True, "seats")}
    await do(tenant, "POST", "/pause", seconds=3600)
    assert (await why(tenant))["newcomers"] == (False, "paused")
    await do(tenant, "PATCH", plan="free")
    assert (await why(tenant))["scim"] == (False, "lapse")
    assert (await why(tenant))["newcomers"] == (False, "lapse")
    await do(tenant, "POST", "/suspend")
    assert set((await why(tenant)).values()) == {(False, "suspended")}


async def test_previewed(callers: Callers, database: Database) -> None:
    """Beforehand it is said by name what a plan takes and gives, and nothing is changed by it."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "narrow", PlanTerms(name="Narrow", seats=1, rate_per_second=0))
    tenant = await a_tenant(callers)
    await tenant.person()
    hook = {"url": "https://93.184.215.14/", "label": "everything"}
    assert (await callers.operator.post(f"{tenant.v1}/destinations", json=hook)).status_code == 201
    answer = await callers.operator.get(f"{tenant.v1}/plan/preview", params={"plan": "narrow"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["lost"], found["gained"]) == (["events", "scim"], [])
    assert (found["seats_before"], found["seats_after"], found["used"]) == (None, 1, 2)
    assert (found["tokens"], found["destinations"]) == (["identity provider"], ["everything"])
    said = " ".join(found["sentences"])
    for part in ("2 active people", "“identity provider”", "“everything”", "seats any -> 1, 2 used, 1 too many"):
        assert part in said
    assert (await callers.operator.get(tenant.v1)).json()["plan"] == "business"
    same = (await callers.operator.get(f"{tenant.v1}/plan/preview", params={"plan": "business"})).json()
    assert same["sentences"] == []
    missing = await callers.operator.get(f"{tenant.v1}/plan/preview", params={"plan": "none-such"})
    assert missing.status_code == 404
