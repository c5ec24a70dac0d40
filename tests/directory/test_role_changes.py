"""Large changes of roles: what is taken counts with the answer, the rest comes in batches, and nothing is ever lost."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from api.expect import done, refused
from factories import DART_RULE, Callers, Tenant, deactivation, patch_op
from rollcall.db import Connection, Database
from rollcall.directory import people, role_changes, roles
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_fleet

CROWD = 6
FIRST = UUID(int=0)
GUESTS_BY_DEFAULT: dict[str, Any] = {**DART_RULE, "default": "guest"}


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two people are many, and two of them a batch."""
    monkeypatch.setattr(role_changes, "MOST_AT_THE_ANSWER", 2)
    monkeypatch.setattr(role_changes, "AT_ONCE", 2)


def ruled(**definitions: dict[str, Any]) -> dict[str, Any]:
    """The dart- rule with some roles defined otherwise."""
    return {**DART_RULE, "roles": {**DART_RULE["roles"], **definitions}}


async def edit(tenant: Tenant, rule: dict[str, Any]) -> dict[str, Any]:
    """Edit the rule as ops do; returns the answer."""
    answer = await tenant.callers.operator.put(
        f"{tenant.v1}/role-rule", json=rule, headers={"X-Request-Id": "the edit"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def applied(tenant: Tenant) -> dict[str, Any]:
    """How far the last large change is, as the management API says it."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/role-rule")).json()["applied"]


async def batch(tenant: Tenant, *, after: UUID = FIRST) -> UUID | None:
    """Bring the change to the next people."""
    async with tenant.work() as work:
        return await role_changes.bring_next(work, after=after)


async def to_the_end(tenant: Tenant, database: Database) -> int:
    """Bring it to everybody; returns how many batches that took."""
    return await role_changes.go_on(database, TenantRef(UUID(tenant.id), tenant.slug), "the edit", seconds=600)


async def role(tenant: Tenant, person: dict[str, Any]) -> str:
    """The role somebody has."""
    async with tenant.work() as work:
        return (await people.find(work, UUID(person["id"]))).account.role


async def roles_of(tenant: Tenant, crowd: list[dict[str, Any]]) -> list[str]:
    """The roles they have."""
    return [await role(tenant, person) for person in crowd]


async def told(watcher: Connection, person: dict[str, Any]) -> list[tuple[str, str]]:
    """What was announced of somebody's role: before and after, the first one first."""
    rows = await watcher.fetch(
        "SELECT payload ->> 'before' AS before, payload ->> 'after' AS after FROM outbox"
        " WHERE account_id::text = $1 AND topic = 'user.role_changed' ORDER BY id",
        person["id"],
    )
    return [(row["before"], row["after"]) for row in rows]


async def a_crowd(tenant: Tenant, **attributes: Any) -> list[dict[str, Any]]:
    """People enough for a large change."""
    return [await tenant.person(**attributes) for _ in range(CROWD)]


async def test_comes_in_batches(acme: Tenant, database: Database, watcher: Connection) -> None:
    """The rule is in force with the answer, which says how many it has still to come to; then it comes to them."""
    crowd = await a_crowd(acme)

    answer = await edit(acme, GUESTS_BY_DEFAULT)

    assert (answer["version"], answer["applied"]["people"], answer["applied"]["left"]) == (2, CROWD, CROWD)
    assert answer["applied"]["ended_at"] is None
    (entry,) = await acme.audit(action="role_rule.changed")
    assert entry["payload"] == {"version": 2, "people_changed": CROWD, "cases_opened": 0}
    assert await batch(acme) is not None
    assert (await applied(acme))["left"] == CROWD - 2
    assert sorted(await roles_of(acme, crowd)) == ["guest"] * 2 + ["member"] * (CROWD - 2)
    await to_the_end(acme, database)
    assert (await applied(acme))["left"] == 0
    assert (await applied(acme))["ended_at"] is not None
    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    assert [await told(watcher, person) for person in crowd] == [[("member", "guest")]] * CROWD


async def test_few_have_it_with_the_answer(acme: Tenant) -> None:
    """A change of few people is brought to them before it is answered."""
    crowd = [await acme.person() for _ in range(2)]

    answer = await edit(acme, GUESTS_BY_DEFAULT)

    assert answer["applied"] is None
    assert await roles_of(acme, crowd) == ["guest"] * 2


async def test_who_comes_meanwhile_has_the_new_rule(acme: Tenant, database: Database) -> None:
    """Somebody who is taken in while batches run is judged by the new rule at once."""
    await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)

    assert await role(acme, await acme.person()) == "guest"


async def test_losses_count_at_the_answer(acme: Tenant, callers: Callers, watcher: Connection) -> None:
    """Whoever is no admin by the new rule is none for the gate and for the product, before any batch came by."""
    await a_crowd(acme)
    boss = await acme.person(roles=["dart-admins"])
    session = await acme.session(boss)
    token = (await acme.issue_token(owner=boss["id"]))["token"]
    mine = callers.bearer(token, path="/scim/v2")
    done(await mine.get("/Users"))
    rule = ruled(admin={"label": "Admin", "admin": True, "names": ["bosses"]}) | {"default": "guest"}

    answer = await edit(acme, rule)

    assert answer["applied"]["left"] >= CROWD
    refused(await mine.get("/Users"), 401, saying="owner")
    seen = (await callers.product.post("/oauth/introspect", data={"token": session})).json()
    assert (seen["active"], seen["role"]) == (True, "guest")
    assert await told(watcher, boss) == [("admin", "guest")]
    done(await acme.scim.get("/Users"))  # ada was made an admin by hand, and nobody has said otherwise


async def test_a_role_that_admits_no_more(acme: Tenant) -> None:
    """An admin role that an edit makes an ordinary one is no admin's from the answer on, whoever waits for a batch."""
    await a_crowd(acme)
    done(await acme.scim.get("/Users"))
    admits = {"label": "Boss", "admin": True, "names": ["bosses"]}

    answer = await edit(acme, ruled(admin={"label": "Admin", "names": ["admins"]}, boss=admits) | {"default": "guest"})

    assert answer["applied"]["left"] == CROWD
    refused(await acme.scim.get("/Users"), 401, saying="owner")


async def test_a_role_that_is_no_more(acme: Tenant, callers: Callers) -> None:
    """A role that an edit takes out of the rule is nobody's from the answer on."""
    crowd = await a_crowd(acme, roles=["dart-guests"])
    session = await acme.session(crowd[0])
    rule = {**DART_RULE, "roles": {key: each for key, each in DART_RULE["roles"].items() if key != "guest"}}

    await edit(acme, rule)

    assert await roles_of(acme, crowd) == ["member"] * CROWD
    assert (await callers.product.post("/oauth/introspect", data={"token": session})).json()["role"] == "member"


async def test_cases_of_many(acme: Tenant, database: Database, watcher: Connection) -> None:
    """Whose names no role has loses theirs with the answer; the case opens as the change comes by, and is told once."""
    crowd = await a_crowd(acme, roles=["dart-guests"])
    rule = ruled(guest={"label": "Guest", "names": ["visitors"]})

    await edit(acme, rule)
    assert await roles_of(acme, crowd) == ["member"] * CROWD
    await to_the_end(acme, database)

    opened = "SELECT count(*) FROM outbox WHERE tenant_id::text = $1 AND topic = 'unknown_role.opened'"
    assert await watcher.fetchval(opened, acme.id) == CROWD
    assert [await told(watcher, person) for person in crowd] == [[("guest", "member")]] * CROWD
    await edit(acme, DART_RULE)
    await to_the_end(acme, database)
    open_cases = "SELECT count(*) FROM conflict_cases WHERE tenant_id::text = $1 AND closed_at IS NULL"
    assert await watcher.fetchval(open_cases, acme.id) == 0
    assert await roles_of(acme, crowd) == ["guest"] * CROWD


async def test_conflicts_of_many(acme: Tenant, database: Database, watcher: Connection) -> None:
    """Whom an edit makes conflict keeps the role; it is known how many they are before anything is answered."""
    crowd = await a_crowd(acme, roles=["dart-members", "sport-guests"])
    rule = ruled(guest={"label": "Guest", "names": ["guests"], "aliases": ["sport-guests"]})

    await edit(acme, rule)
    await to_the_end(acme, database)

    (entry,) = await acme.audit(action="role_rule.changed")
    assert entry["payload"] == {"version": 2, "people_changed": 0, "cases_opened": CROWD}
    assert await roles_of(acme, crowd) == ["member"] * CROWD
    opened = "SELECT count(*) FROM outbox WHERE tenant_id::text = $1 AND topic = 'conflict.opened'"
    assert await watcher.fetchval(opened, acme.id) == CROWD


async def test_killed_in_the_middle(acme: Tenant, database: Database, watcher: Connection) -> None:
    """A batch that is broken off has not been, and what follows comes to everybody, each of them once."""
    crowd = await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)
    last = await batch(acme)
    assert last is not None

    async def killed() -> None:
        async with acme.work() as work:
            assert await role_changes.bring_next(work, after=last) is not None
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await killed()

    assert (await applied(acme))["left"] == CROWD - 2
    assert await to_the_end(acme, database) == (CROWD - 2) // 2
    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    assert [await told(watcher, person) for person in crowd] == [[("member", "guest")]] * CROWD


async def test_two_workers(acme: Tenant, database: Database, watcher: Connection) -> None:
    """Two workers at the same change take different people, and neither waits for the other."""
    crowd = await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)

    async with asyncio.timeout(60), acme.work() as one:
        assert await role_changes.bring_next(one, after=FIRST) is not None
        assert await to_the_end(acme, database) == (CROWD - 2) // 2
        assert (await applied(acme))["ended_at"] is None

    await to_the_end(acme, database)
    assert (await applied(acme))["ended_at"] is not None
    assert [await told(watcher, person) for person in crowd] == [[("member", "guest")]] * CROWD


async def test_each_batch_renews_the_lease(acme: Tenant, database: Database, watcher: Connection) -> None:
    """A change is nobody else's while a batch is under way and shortly after; soon again if its worker is killed."""
    await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)
    left = "SELECT leased_until - clock_timestamp() FROM role_changes WHERE tenant_id::text = $1"
    past = "UPDATE role_changes SET leased_until = clock_timestamp() - interval '1 s' WHERE tenant_id::text = $1"

    async def leased() -> bool:
        async with open_fleet(database, SYSTEM, RequestOrigin(request_id="relay")) as fleet:
            return UUID(acme.id) in [change.tenant_id for change in await role_changes.lease(fleet)]

    async def killed() -> None:
        async with acme.work() as work:
            assert await role_changes.bring_next(work, after=FIRST) is not None
            assert not await leased()
            raise ConnectionResetError

    await batch(acme)
    assert timedelta(0) < await watcher.fetchval(left, acme.id) <= timedelta(seconds=role_changes.LEASE_SECONDS)
    assert not await leased()
    await watcher.execute(past, acme.id)
    with pytest.raises(ConnectionResetError):
        await killed()
    assert await leased()
    assert timedelta(0) < await watcher.fetchval(left, acme.id) <= timedelta(seconds=role_changes.LEASE_SECONDS)


async def test_history_of_many(acme: Tenant, database: Database, watcher: Connection) -> None:
    """What people were before a large change is kept once for each of them, be it taken or given."""
    crowd = await a_crowd(acme, roles=["dart-guests"])
    was = "SELECT role, is_admin, active FROM account_history WHERE account_id::text = $1 ORDER BY until_at"
    rule = {**DART_RULE, "roles": {key: each for key, each in DART_RULE["roles"].items() if key != "guest"}}

    await edit(acme, rule)
    await edit(acme, DART_RULE)
    await to_the_end(acme, database)
    body = patch_op({"op": "replace", "path": "roles", "value": ["dart-technical-admins"]})
    done(await acme.scim.patch(f"/Users/{crowd[0]['id']}", json=body))

    kept = [
        [(row["role"], row["is_admin"], row["active"]) for row in await watcher.fetch(was, person["id"])]
        for person in crowd
    ]
    twice = [("guest", False, True), ("member", False, True)]
    assert kept == [[*twice, ("guest", False, True)]] + [twice] * (CROWD - 1)


async def test_edit_during_an_edit(acme: Tenant, database: Database, watcher: Connection) -> None:
    """An edit that comes while another one is brought to people takes its place: all end by the last rule."""
    crowd = await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)
    await batch(acme)

    await edit(acme, {**DART_RULE, "default": "technical-admin"})
    await to_the_end(acme, database)

    assert await roles_of(acme, crowd) == ["technical-admin"] * CROWD
    heard = sorted([await told(watcher, person) for person in crowd])
    straight, around = [("member", "technical-admin")], [("member", "guest"), ("guest", "technical-admin")]
    assert heard == sorted([straight] * (CROWD - 2) + [around] * 2)


async def test_edit_back(acme: Tenant, database: Database, watcher: Connection) -> None:
    """An edit that takes the one before back leaves nobody on the list whom that had not come to."""
    crowd = await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)
    await batch(acme)

    await edit(acme, DART_RULE)

    assert await roles_of(acme, crowd) == ["member"] * CROWD
    assert (await applied(acme))["left"] == 0
    assert (await applied(acme))["ended_at"] is not None
    assert sum([len(await told(watcher, person)) for person in crowd]) == 4
    assert await to_the_end(acme, database) == 0


async def test_provider_changes_somebody_meanwhile(acme: Tenant, database: Database, watcher: Connection) -> None:
    """Whom the provider changes while batches run is judged by the new rule there and then, and told of once."""
    crowd = await a_crowd(acme)
    await edit(acme, GUESTS_BY_DEFAULT)
    named, titled = crowd[0], crowd[1]
    body = patch_op({"op": "add", "path": "roles", "value": ["dart-technical-admins"]})
    done(await acme.scim.patch(f"/Users/{named['id']}", json=body))
    done(await acme.scim.patch(f"/Users/{titled['id']}", json=patch_op({"op": "add", "path": "title", "value": "x"})))

    assert await role(acme, named) == "technical-admin"
    await to_the_end(acme, database)

    assert await roles_of(acme, crowd) == ["technical-admin"] + ["guest"] * (CROWD - 1)
    assert await told(watcher, named) == [("member", "technical-admin")]
    assert await told(watcher, titled) == [("member", "guest")]


async def test_departure_beside_an_edit(acme: Tenant) -> None:
    """Whoever leaves while an edit is judging everybody waits for nothing of it, whoever has them leave."""
    crowd = await a_crowd(acme)

    async with asyncio.timeout(60), acme.work() as work:
        assert await roles.edit(work, roles.read_rule(GUESTS_BY_DEFAULT))
        done(await acme.scim.patch(f"/Users/{crowd[0]['id']}", json=deactivation()))
        assert (await acme.scim.delete(f"/Users/{crowd[1]['id']}")).status_code == 204
        by_hand = await acme.callers.operator.post(
            f"{acme.v1}/people/{crowd[2]['id']}/deactivate", json={"reason": "left"}
        )
        assert by_hand.status_code == 200, by_hand.text


async def test_departure_beside_a_batch(acme: Tenant, database: Database) -> None:
    """Somebody whom no batch is at leaves at once, and is given the role of the new rule all the same."""
    crowd = sorted(await a_crowd(acme), key=lambda person: person["id"])
    await edit(acme, GUESTS_BY_DEFAULT)

    async with asyncio.timeout(60), acme.work() as work:
        assert await role_changes.bring_next(work, after=FIRST) is not None
        done(await acme.scim.patch(f"/Users/{crowd[-1]['id']}", json=deactivation()))
    done_with = await acme.scim.delete(f"/Users/{crowd[-2]['id']}")
    assert done_with.status_code == 204

    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    assert (await applied(acme))["left"] == 0


async def test_names_of_groups_of_groups(acme: Tenant, database: Database) -> None:
    """Names that come by a group inside another one count where everybody is judged at once, as for one person."""
    crowd = await a_crowd(acme)
    members = [{"value": person["id"]} for person in crowd]
    inner = done(await acme.scim.post("/Groups", json={"displayName": "inner", "members": members}), 201)
    outer = {"displayName": "sport-guests", "members": [{"value": inner["id"]}]}
    done(await acme.scim.post("/Groups", json=outer), 201)
    rule = ruled(guest={"label": "Guest", "names": ["guests"], "aliases": ["sport-guests"]})

    answer = await edit(acme, rule)

    assert answer["applied"]["left"] == CROWD
    await to_the_end(acme, database)
    assert await roles_of(acme, crowd) == ["guest"] * CROWD
    await edit(acme, DART_RULE)
    assert await roles_of(acme, crowd) == ["member"] * CROWD
