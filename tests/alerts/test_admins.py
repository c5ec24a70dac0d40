"""Alerts about what may come of those on whom a connection hangs: owners who may leave, and a deputy who is missing."""

from uuid import UUID

from alerts.test_alerts import alerts, judge
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection


async def connected(tenant: Tenant) -> str:
    """Have the provider call once, so that it is a connection; returns the id of ada's resource."""
    asked = {"filter": f'userName eq "{tenant.admin["user_name"]}"'}
    answer = await tenant.scim.get("/Users", params=asked)
    await tenant.callers.app.state.context.batched_entries.flush()
    return answer.json()["Resources"][0]["id"]


async def test_an_owner_who_was_said_to_leave(callers: Callers) -> None:
    """A departure that came while the tenant was suspended is told, and over as they are out."""
    acme = await a_tenant(callers)
    ada = await connected(acme)
    await judge(callers)
    assert await alerts(acme, "owner_at_risk") == []
    await callers.operator.post(f"{acme.v1}/suspend")
    assert (await acme.scim.patch(f"/Users/{ada}", json=deactivation())).status_code == 403
    for _ in range(2):
        await judge(callers)
    (alert,) = await alerts(acme, "owner_at_risk")
    assert (alert["stage"], alert["subject"]) == ("said_to_leave", acme.admin["id"])
    assert f"{acme.admin['user_name']} owns the token “identity provider”, and left while" in alert["says"]
    await callers.operator.post(f"{acme.v1}/resume")
    await judge(callers)
    assert await alerts(acme, "owner_at_risk") == []
    assert len(await alerts(acme, "owner_at_risk", only_open=False)) == 1


async def test_an_owner_whose_role_is_contested(callers: Callers) -> None:
    """An owner of whom the provider says two roles is told until that is settled; another person is not."""
    acme = await a_tenant(callers)
    ada = await connected(acme)
    other = await acme.person()
    both = patch_op({"op": "replace", "path": "roles", "value": ["dart-members", "dart-guests"]})
    for person in (ada, other["id"]):
        assert (await acme.scim.patch(f"/Users/{person}", json=both)).status_code == 400
    for _ in range(2):
        await judge(callers)
    (alert,) = await alerts(acme, "owner_at_risk")
    assert (alert["stage"], alert["subject"]) == ("role_contested", acme.admin["id"])
    assert "is an admin only until it is settled" in alert["says"]
    assert alert["remedy"].startswith("Have another admin issue a token")
    settled = patch_op({"op": "replace", "path": "roles", "value": ["dart-admins"]})
    answer = await acme.scim.patch(f"/Users/{ada}", json=settled)
    assert answer.status_code == 200, answer.text
    await judge(callers)
    assert await alerts(acme, "owner_at_risk") == []


async def test_no_deputy(callers: Callers, owner: Connection) -> None:
    """A tenant that keeps an admin and has one alone wants a deputy who may come in, or a second admin."""
    acme = await a_tenant(callers, last_admin="keep_one")

    async def open_now() -> int:
        for _ in range(2):
            await judge(callers)
        return len(await alerts(acme, "no_deputy"))

    assert await open_now() == 1
    (alert,) = await alerts(acme, "no_deputy")
    assert alert["says"].startswith(f"{acme.admin['user_name']} is the only active admin")
    deputy = (await callers.operator.post(f"{acme.v1}/people", json={"user_name": "zoe"})).json()
    await callers.operator.put(f"{acme.v1}/deputy", json={"person": deputy["id"]})
    assert await open_now() == 0
    await callers.operator.post(f"{acme.v1}/people/{deputy['id']}/deactivate")
    assert await open_now() == 1
    await callers.operator.post(f"{acme.v1}/people", json={"user_name": "max", "role": "admin"})
    assert await open_now() == 0
    assert len(await alerts(acme, "no_deputy", only_open=False)) == 2
    await owner.execute("UPDATE tenants SET last_admin = 'obey' WHERE id = $1", UUID(acme.id))
    assert await open_now() == 0
