"""Features and overrides: what each unlocks, for whom, and until when."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factories import ORIGIN, USER, Callers, Tenant, a_tenant, deactivation
from rollcall.db import Connection, Database
from rollcall.functions import qualified
from rollcall.tenancy import plans
from rollcall.tenancy.features import FEATURES
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet

TOMORROW = timedelta(days=1)


async def scim(tenant: Tenant) -> int:
    return (await tenant.scim.post("/Users", json={"schemas": [USER], "userName": "somebody"})).status_code


async def events(tenant: Tenant) -> int:
    wanted = {"url": "https://93.184.215.14/", "label": "everything"}
    return (await tenant.callers.operator.post(f"{tenant.v1}/destinations", json=wanted)).status_code


UNLOCKS: dict[str, Callable[[Tenant], Awaitable[int]]] = {"scim": scim, "events": events}
"""For each feature a call that needs it, and the status of its answer."""


async def bare(callers: Callers, database: Database) -> Tenant:
    """A tenant whose plan has no feature."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "bare", PlanTerms(name="Bare", rate_per_second=0))
    return await a_tenant(callers, plan="bare")


async def override(tenant: Tenant, key: str, value: Any, ends_at: datetime | None = None) -> dict[str, Any]:
    body = {"value": value, "reason": "a trial", "ends_at": None if ends_at is None else ends_at.isoformat()}
    answer = await tenant.callers.operator.put(f"{tenant.v1}/overrides/{key}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_feature_has_its_test() -> None:
    """Whatever a plan can have unlocks something, which a test here shows."""
    assert UNLOCKS.keys() == FEATURES.keys(), "say in UNLOCKS what the feature unlocks, or leave it out of FEATURES"


@pytest.mark.parametrize("feature", FEATURES)
async def test_a_feature_unlocks(callers: Callers, database: Database, feature: str) -> None:
    """Without the feature the call is 403, with it, by an override until tomorrow, it is done, and not after that."""
    tenant = await bare(callers, database)
    assert await UNLOCKS[feature](tenant) == 403
    made = await override(tenant, feature, value=True, ends_at=datetime.now(UTC) + TOMORROW)
    assert (made["holds"], made["by"], made["reason"]) == (True, "ops under test", "a trial")
    assert await UNLOCKS[feature](tenant) == 201
    answer = await callers.operator.delete(f"{tenant.v1}/overrides/{feature}")
    assert answer.status_code == 204, answer.text
    assert await UNLOCKS[feature](tenant) == 403
    named = [event for entry in await tenant.audit() for event in entry["events"] if ".override_" in event]
    assert named == ["tenant.override_ended", "tenant.override_set"]


async def test_a_trial_of_scim_runs_out(callers: Callers, database: Database, owner: Connection) -> None:
    """When a trial is over nobody else is let in, and leavers are cut off all the same, with the same token."""
    tenant = await bare(callers, database)
    ends = datetime.now(UTC) + TOMORROW
    await override(tenant, "scim", value=True, ends_at=ends)
    shown = (await callers.operator.get(tenant.v1)).json()["lapse"]
    assert shown["state"] == "active"
    assert datetime.fromisoformat(shown["offboarding_from"]) == ends
    maria = await tenant.person()
    # The clock: what lies ahead by a day comes two days sooner.
    sooner = """
        UPDATE tenants
           SET lapsed_at = lapsed_at - interval '2 days', offboarding_from = offboarding_from - interval '2 days',
               overrides = jsonb_set(overrides, '{scim,ends_at}', to_jsonb($2::text))
         WHERE id = $1::uuid
    """
    await owner.execute(sooner, tenant.id, (ends - 2 * TOMORROW).isoformat())
    assert (await callers.operator.get(tenant.v1)).json()["lapse"]["state"] == "offboarding_only"
    assert await scim(tenant) == 403
    gone = await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert gone.status_code in (200, 204), gone.text
    assert (await tenant.scim.get(f"/Users/{maria['id']}")).json()["active"] is False
    assert (await callers.operator.patch(tenant.v1, json={"plan": "business"})).status_code == 200
    assert await scim(tenant) == 201


async def test_a_plan_that_loses_scim_beside_a_trial(callers: Callers, database: Database) -> None:
    """Who has SCIM by an override when their plan loses it goes on until that ends."""
    tenant = await a_tenant(callers)
    ends = datetime.now(UTC) + TOMORROW
    await override(tenant, "scim", value=True, ends_at=ends)
    assert (await callers.operator.patch(tenant.v1, json={"plan": "free"})).status_code == 200
    shown = (await callers.operator.get(tenant.v1)).json()["lapse"]
    assert (shown["state"], datetime.fromisoformat(shown["offboarding_from"])) == ("active", ends)
    assert await scim(tenant) == 201


async def test_seats_of_one(callers: Callers, database: Database) -> None:
    """A tenant has other seats than its plan, or another policy, by an override."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        terms = PlanTerms(name="One", features=("scim",), seats=1, rate_per_second=0)
        await plans.define(fleet, "one-seat", terms)
    tenant = await a_tenant(callers, plan="one-seat")
    assert await scim(tenant) == 403
    await override(tenant, "seats", 2)
    assert await scim(tenant) == 201
    await override(tenant, "seat_policy", "overage")
    await tenant.person()
    shown = (await callers.operator.get(f"{tenant.v1}/seats")).json()
    assert (shown["allowed"], shown["used"], shown["policy"]) == (2, 3, "overage")


@pytest.mark.parametrize(
    ("key", "body", "param"),
    [
        ("sso", {"value": True, "reason": "r"}, "key"),
        ("scim", {"value": True, "reason": "r"}, "ends_at"),
        ("scim", {"value": False, "reason": "r", "ends_at": "2041-01-01T00:00:00Z"}, "value"),
        ("seats", {"value": 0, "reason": "r"}, "value"),
        ("seats", {"value": "many", "reason": "r"}, "value"),
        ("seat_policy", {"value": "none", "reason": "r"}, "value"),
        ("seats", {"value": 3, "reason": " "}, "reason"),
        ("seats", {"value": 3, "reason": "r", "ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
    ],
)
async def test_refused(acme: Tenant, key: str, body: dict[str, Any], param: str) -> None:
    """What is no override is refused with the field at fault."""
    answer = await acme.callers.operator.put(f"{acme.v1}/overrides/{key}", json=body)
    assert (answer.status_code, answer.json()["param"]) == (400, param)


async def test_events_of_departures_need_no_feature(callers: Callers, database: Database, owner: Connection) -> None:
    """Without the feature events a destination hears of who is out, and of nothing else, whatever it subscribed to."""
    tenant = await bare(callers, database)
    wanted = {"url": "https://93.184.215.14/", "label": "departures", "topics": ["user.deactivated", "user.removed"]}
    made = await callers.operator.post(f"{tenant.v1}/destinations", json=wanted)
    assert made.status_code == 201, made.text
    address = f"{tenant.v1}/destinations/{made.json()['id']}"
    more = await callers.operator.patch(address, json={"topics": ["user.provisioned"]})
    assert (more.status_code, more.json()["code"]) == (403, "feature_missing")
    asked = "SELECT fn.may_hear($1::uuid, topic) FROM unnest(ARRAY['user.deactivated', 'user.provisioned']) AS topic"
    heard = await owner.fetch(qualified(asked), tenant.id)
    assert [row["may_hear"] for row in heard] == [True, False]
