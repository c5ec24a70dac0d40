"""A creation that is worked out from what is remembered of its caller ends as one that asks the gate first."""

from typing import Any

import pytest

from api.expect import refused
from factories import DART_RULE, USER, Callers, Tenant, a_tenant
from rollcall.crypto import TokenText, read_token
from rollcall.pool import HotPool


def token_of(tenant: Tenant) -> TokenText:
    token = read_token(tenant.token["token"])
    assert token is not None
    return token


def forget(tenant: Tenant) -> None:
    tenant.callers.app.state.door.memory.forget(token_of(tenant))


def is_remembered(tenant: Tenant) -> bool:
    return tenant.callers.app.state.door.memory.recall(token_of(tenant)) is not None


def body(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": "maria", **attributes}


KEPT = ("status", "outcome", "detail", "events", "payload")

BODIES: dict[str, dict[str, Any]] = {
    "plain": body(displayName="Maria", emails=[{"value": "maria@acme.test", "type": "work", "primary": True}]),
    "not plain": body(photos=[{"value": "https://acme.test/maria.png", "type": "photo"}]),
    "a role": body(roles=[{"value": "DART_GUEST"}]),
    "roles that conflict": body(roles=["dart-members", "dart-guests"]),
    "inactive, roles that conflict": body(active=False, roles=["dart-members", "dart-guests"]),
    "taken": body(userName="TAKEN"),
    "no userName": {"schemas": [USER]},
    "does not fit": body(name="Maria"),
    "a secret": body(password="hunter2"),
    "habits": body(active="True", nobodysAttribute=1),
    "an externalId": body(externalId="e-1"),
}


@pytest.mark.parametrize("sent", BODIES.values(), ids=BODIES)
async def test_the_same_either_way(callers: Callers, sent: dict[str, Any]) -> None:
    """The answer, what is stored, the audit and the ledger of habits are the same, remembered or not."""
    outcomes: list[Any] = []
    for remembered in (False, True):
        tenant = await a_tenant(callers)
        await tenant.person("taken")
        if not remembered:
            forget(tenant)
        assert is_remembered(tenant) == remembered
        answer = await tenant.scim.post("/Users", json=sent)
        told: dict[str, Any] = answer.json()
        own_id = told.pop("id", None)
        told.pop("meta", None)
        audit = [
            {
                name: value
                for name, value in entry.items()
                if name in ("status", "outcome", "detail", "events", "payload")
            }
            for entry in await tenant.audit(action="scim.users.create")
        ]
        habits = await callers.operator.get(f"{tenant.v1}/deviations")
        counted = [(each["habit"], each["times"]) for each in habits.json()]
        stored = None if own_id is None else (await tenant.scim.get(f"/Users/{own_id}")).json()["userName"]
        outcomes.append((answer.status_code, told, audit, counted, stored))
    assert outcomes[0] == outcomes[1]


async def test_one_statement(callers: Callers) -> None:
    """A remembered caller's creation asks the database once."""
    tenant = await a_tenant(callers)
    await tenant.person()
    asked: list[str] = []
    through: Any = HotPool.fetchrow

    async def counting(self: HotPool, query: str, *args: object) -> Any:
        asked.append(query)
        return await through(self, query, *args)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(HotPool, "fetchrow", counting)
        await tenant.person()
    assert len(asked) == 1
    assert "scim_create_user" in asked[0]


async def test_a_rule_that_changed_meanwhile(callers: Callers) -> None:
    """Whoever comes right after an edit of the role rule gets their role by the new one."""
    tenant = await a_tenant(callers)
    await tenant.person()
    assert is_remembered(tenant)
    edited = await callers.operator.put(f"{tenant.v1}/role-rule", json=DART_RULE | {"default": "guest"})
    assert edited.status_code == 200, edited.text
    person = await tenant.person("late")
    shown = await callers.operator.get(f"{tenant.v1}/people/{person['id']}")
    assert shown.json()["role"] == "guest"


async def test_a_profile_that_changed_meanwhile(callers: Callers) -> None:
    """Whoever comes right after a tenant turned strict is judged by that."""
    tenant = await a_tenant(callers)
    await tenant.person()
    changed = await callers.operator.patch(tenant.v1, json={"profile": "strict"})
    assert changed.status_code == 200, changed.text
    assert is_remembered(tenant)
    refused(await tenant.scim.post("/Users", json=body(active="True")), 400, "invalidSyntax", saying="to the letter")


async def test_one_permit_each(callers: Callers) -> None:
    """A creation takes one permit of the rate limit, on either way."""
    tenant = await a_tenant(callers, rate_per_second=25, rate_burst=6)
    statuses = [(await tenant.scim.post("/Users", json=body(userName=f"p{n}"))).status_code for n in range(6)]
    assert statuses == [201] * 6
