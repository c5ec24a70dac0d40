"""The last admin: they always go, and where a tenant keeps one its deputy becomes an admin in the same transaction."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from cli.shell import Shell
from factories import ORIGIN, Callers, Tenant, a_tenant, deactivation
from rollcall.db import Connection, Database
from rollcall.directory import mapping, role_states
from rollcall.settings import Settings
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, open_fleet

PEOPLE = "SELECT user_name FROM accounts WHERE tenant_id = $1 AND active AND is_admin ORDER BY 1"


async def admins(owner: Connection, tenant: Tenant) -> list[str]:
    return [row["user_name"] for row in await owner.fetch(PEOPLE, UUID(tenant.id))]


async def topics(owner: Connection, tenant: Tenant) -> list[str]:
    """What was announced of admins, in order."""
    said = "SELECT topic FROM outbox WHERE tenant_id = $1 AND topic ~ '^tenant[.](deputy|without)' ORDER BY id"
    return [row["topic"] for row in await owner.fetch(said, UUID(tenant.id))]


async def with_deputy(callers: Callers, policy: str = "keep_one", **attributes: Any) -> tuple[Tenant, dict[str, Any]]:
    """A tenant whose only admin is ada, and who has a deputy."""
    acme = await a_tenant(callers, last_admin=policy)
    deputy = await acme.person(**attributes)
    named = await callers.operator.put(f"{acme.v1}/deputy", json={"person": deputy["id"]})
    assert named.status_code == 200, named.text
    assert not named.json()["is_admin"]
    return acme, named.json()


async def leaves(tenant: Tenant) -> None:
    """The provider deactivates the admin."""
    answer = await tenant.scim.get("/Users", params={"filter": f'userName eq "{tenant.admin["user_name"]}"'})
    admin = answer.json()["Resources"][0]
    gone = await tenant.scim.patch(f"/Users/{admin['id']}", json=deactivation())
    assert gone.status_code == 200, gone.text


async def test_obeyed(callers: Callers, owner: Connection) -> None:
    """Unless the tenant has chosen otherwise a deputy changes nothing: there is no admin, and ops are told."""
    acme, _ = await with_deputy(callers, "obey")
    await leaves(acme)
    assert await admins(owner, acme) == []
    assert await topics(owner, acme) == ["tenant.deputy_named", "tenant.without_admin"]


@pytest.mark.parametrize("roles", [{}, {"roles": ["dart-members"]}], ids=["by hand", "by the provider"])
async def test_the_deputy(callers: Callers, owner: Connection, roles: dict[str, Any]) -> None:
    """The last admin is out with all that was theirs, and the deputy an admin as of the same transaction, told once."""
    acme, deputy = await with_deputy(callers, **roles)
    session = await acme.session(acme.admin)
    await leaves(acme)
    assert await admins(owner, acme) == [deputy["user_name"]]
    assert not await callers.is_live(session)
    assert (await acme.scim.get("/Users")).status_code == 401, "their token has ended"
    assert await topics(owner, acme) == ["tenant.deputy_named", "tenant.deputy_appointed"]
    (entry,) = await acme.audit(action="tenant.deputy_appointed")
    assert (entry["target"], entry["outcome"]) == (deputy["id"], "done")
    assert entry["events"] == ["user.role_changed", "tenant.deputy_appointed"]
    (left,) = [each for each in await acme.audit(action="scim.users.patch") if "user.deactivated" in each["events"]]
    assert entry["request_id"] == left["request_id"]
    versions = "SELECT count(DISTINCT xmin::text) FROM accounts WHERE tenant_id = $1 AND id = ANY ($2)"
    both = [UUID(acme.admin["id"]), UUID(deputy["id"])]
    assert await owner.fetchval(versions, UUID(acme.id), both) == 1, "one transaction wrote both"
    assert (
        await owner.fetchval(
            "SELECT count(*) FROM notices WHERE tenant_id = $1 AND topic = 'tenant.deputy_appointed'", UUID(acme.id)
        )
        == 1
    )
    token = await callers.operator.post(f"{acme.v1}/tokens", json={"label": "next", "owner": deputy["id"]})
    assert token.status_code == 201, token.text


@pytest.mark.parametrize("managed", [False, True])
async def test_the_role_is_what_a_hand_gives(
    callers: Callers, owner: Connection, database: Database, managed: bool
) -> None:
    """What the database makes of the deputy's role state is what appointing them by hand makes of it."""
    attributes: dict[str, Any] = {"roles": ["dart-guests"]} if managed else {}
    acme, deputy = await with_deputy(callers, **attributes)
    state = "SELECT role_state::text FROM accounts WHERE tenant_id = $1 AND id = $2"
    before = mapping.read_role_state(await owner.fetchval(state, UUID(acme.id), UUID(deputy["id"])))
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        rule = mapping.rule_of(await tenants.find(fleet, acme.slug))
    first = next(key for key, definition in rule.roles.items() if definition.admin)
    await leaves(acme)
    after = mapping.read_role_state(await owner.fetchval(state, UUID(acme.id), UUID(deputy["id"])))
    assert after == role_states.given_by_hand(rule, before, first)


async def test_a_deputy_who_is_gone(callers: Callers, owner: Connection) -> None:
    """A deputy who left before is none: then it is as without one."""
    acme, deputy = await with_deputy(callers)
    await callers.operator.post(f"{acme.v1}/people/{deputy['id']}/deactivate")
    await leaves(acme)
    assert await admins(owner, acme) == []
    assert (await topics(owner, acme))[-1] == "tenant.without_admin"


async def test_the_role_waits(callers: Callers, owner: Connection) -> None:
    """Where an admin is kept and there is none, whoever is named deputy becomes one at once."""
    acme = await a_tenant(callers, last_admin="keep_one")
    person = await acme.person()
    await leaves(acme)
    assert await topics(owner, acme) == ["tenant.without_admin"]
    named = await callers.operator.put(f"{acme.v1}/deputy", json={"person": person["id"]})
    assert (named.status_code, named.json()["is_admin"]) == (200, True)
    assert await topics(owner, acme) == ["tenant.without_admin", "tenant.deputy_named", "tenant.deputy_appointed"]


async def test_every_way_to_stop_being_an_admin(callers: Callers, owner: Connection) -> None:
    """A demotion, an edit of the role rule and a removal count as a departure does."""
    acme, deputy = await with_deputy(callers)
    await callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")
    assert await admins(owner, acme) == [deputy["user_name"]]

    other, deputy = await with_deputy(callers)
    rule = (await callers.operator.get(f"{other.v1}/role-rule")).json()["rule"]
    rule["roles"]["boss"] = {"label": "Boss", "admin": True}
    for definition in (each for key, each in rule["roles"].items() if key != "boss"):
        definition["admin"] = False
    edited = await callers.operator.put(f"{other.v1}/role-rule", json=rule)
    assert edited.status_code == 200, edited.text
    assert await admins(owner, other) == [deputy["user_name"]]


async def test_with_another_admin_nothing_happens(callers: Callers, owner: Connection) -> None:
    """As long as anybody is an admin the deputy is none."""
    acme, _ = await with_deputy(callers)
    await callers.operator.post(f"{acme.v1}/people", json={"user_name": "zoe", "role": "admin"})
    await leaves(acme)
    assert await admins(owner, acme) == ["zoe"]
    assert await topics(owner, acme) == ["tenant.deputy_named"]


async def test_both_at_once(callers: Callers, owner: Connection) -> None:
    """Whether the last admin leaves as the deputy is named, or with them, there is one, or it is told that none is."""
    for _ in range(5):
        acme = await a_tenant(callers, last_admin="keep_one")
        person = await acme.person()
        naming = callers.operator.put(f"{acme.v1}/deputy", json={"person": person["id"]})
        leaving = callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
        answers = await asyncio.gather(naming, leaving)
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        assert await admins(owner, acme) == [person["userName"]]
    for _ in range(5):
        acme, deputy = await with_deputy(callers)
        both = (
            callers.operator.post(f"{acme.v1}/people/{each}/deactivate") for each in (acme.admin["id"], deputy["id"])
        )
        answers = await asyncio.gather(*both)
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        assert await admins(owner, acme) == []
        assert (await topics(owner, acme)).count("tenant.without_admin") == 1


async def test_whom_one_can_name(callers: Callers) -> None:
    """An active person who is no admin; a tenant's admin may name them, and take it back."""
    acme, deputy = await with_deputy(callers)
    gone = await acme.person(active=False)
    address = f"{acme.v1}/deputy"
    inactive = await callers.operator.put(address, json={"person": gone["id"]})
    assert (inactive.status_code, inactive.json()["code"]) == (409, "person_inactive")
    admin = await callers.operator.put(address, json={"person": acme.admin["id"]})
    assert (admin.status_code, admin.json()["code"]) == (409, "admin_already")
    assert (await callers.operator.get(acme.v1)).json()["deputy_id"] == deputy["id"]
    for _ in range(2):
        assert (await callers.operator.delete(address)).status_code == 204
    assert (await callers.operator.get(acme.v1)).json()["deputy_id"] is None
    assert len(await acme.audit(action="tenant.deputy_named")) == 2


async def test_commands(callers: Callers, settings: Settings) -> None:
    """What it does is said as it is chosen, and who the deputy is."""
    shell = Shell(settings)
    acme = await a_tenant(callers)
    person = await acme.person()
    said = await shell("tenants", "last-admin", acme.slug, "keep_one")
    assert f"name one: 'rollcall tenants deputy {acme.slug} PERSON'" in said.well
    assert "has no deputy" in (await shell("tenants", "deputy", acme.slug)).well
    named = await shell("tenants", "deputy", acme.slug, person["userName"])
    assert f"{person['userName']} is the deputy" in named.well
    assert "its deputy becomes an admin" in (await shell("tenants", "last-admin", acme.slug, "keep_one")).well
    await shell("people", "deactivate", acme.slug, acme.admin["user_name"], "--yes")
    assert "is an admin now" in (await shell("tenants", "deputy", acme.slug)).well
    assert "has no deputy" in (await shell("tenants", "deputy", acme.slug, "--none")).well
    both = await shell("tenants", "deputy", acme.slug, "x", "--none")
    assert both.code == 2
