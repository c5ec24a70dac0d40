"""People by hand, while somebody else is at it: the doors that the management API, the console and ops share."""

import asyncio
from uuid import UUID

import pytest

from api.expect import done, refused, turned_down
from factories import DART_RULE, Tenant, patch_op
from rollcall.db import Connection
from rollcall.directory import conflict_cases, people, roles
from rollcall.directory.people import Draft
from rollcall.errors import Conflict, Invalid, NotFound, Taken
from rows import until_waiting

CONFLICT = [{"value": "dart-admins"}, {"value": "dart-guests"}]


def rule_without(role: str) -> dict[str, object]:
    """The dart- rule without one of its roles."""
    return {**DART_RULE, "roles": {key: value for key, value in DART_RULE["roles"].items() if key != role}}


async def test_the_first_to_commit_has_the_name(acme: Tenant, watcher: Connection) -> None:
    """Who creates somebody that is being taken in at that moment waits, and is told that the name is taken."""
    async with acme.work() as work:
        await people.take_in(work, Draft(user_name="Maria"))
        by_scim = asyncio.create_task(acme.scim.post("/Users", json={"userName": "maria"}))
        await until_waiting(watcher, by_scim)
        by_hand = asyncio.create_task(acme.callers.operator.post(f"{acme.v1}/people", json={"user_name": "MARIA"}))
        await asyncio.sleep(0.1)

    refused(await by_scim, 409, "uniqueness")
    turned_down(await by_hand, 409, "taken")


async def test_taking_in_twice(acme: Tenant) -> None:
    """A userName that somebody has is taken, and the work can go on."""
    async with acme.work() as work:
        await people.take_in(work, Draft(user_name="maria"))
        with pytest.raises(Taken):
            await people.take_in(work, Draft(user_name="MARIA"))
        await people.take_in(work, Draft(user_name="pedro"))

    assert done(await acme.scim.get("/Users"))["totalResults"] == 3


@pytest.mark.parametrize("draft", [Draft(user_name=" "), Draft(user_name="a" * 513), Draft(user_name="a\x00")])
async def test_what_is_nobody(acme: Tenant, draft: Draft) -> None:
    """A draft that can't be a person is refused as such, and names the attribute."""
    async with acme.work() as work:
        with pytest.raises(Invalid, match="userName"):
            await people.take_in(work, draft)


async def test_taken_in_while_the_rule_is_edited(acme: Tenant, watcher: Connection) -> None:
    """A role that an edit is taking away at that moment is given to nobody."""
    person = await acme.person("maria")
    body = {"user_name": "pedro", "role": "guest"}
    async with acme.work() as work:
        await roles.edit(work, roles.read_rule(rule_without("guest")))
        new = asyncio.create_task(acme.callers.operator.post(f"{acme.v1}/people", json=body))
        await until_waiting(watcher, new)
        given = asyncio.create_task(
            acme.callers.operator.post(f"{acme.v1}/people/{person['id']}/role", json={"role": "guest"})
        )
        await asyncio.sleep(0.1)

    turned_down(await new, 400, "unknown_role", "guest")
    turned_down(await given, 400, "unknown_role", "guest")


async def test_deactivated_while_they_are_changed(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A deactivation by hand that waited for somebody else's change keeps both."""
    person = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", person["id"])
        body = patch_op({"op": "add", "path": "name.familyName", "value": "Vega"})
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=body))
        await until_waiting(watcher, change)
        address = f"{acme.v1}/people/{person['id']}/deactivate"
        gone = asyncio.create_task(acme.callers.operator.post(address))
        await asyncio.sleep(0.1)

    assert (await gone).status_code == (await change).status_code == 200
    after = done(await acme.scim.get(f"/Users/{person['id']}"))
    assert (after["name"]["familyName"], after["active"], after["meta"]["version"]) == ("Vega", False, 'W/"3"')


async def test_reactivated_while_the_tenant_holds(acme: Tenant) -> None:
    """Where conflicts are held, somebody with one is let in by hand, keeps their role, and the case is open."""
    await acme.callers.operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "on_conflict": "hold"})
    person = await acme.person("maria", roles=CONFLICT, active=False)

    async with acme.work() as work:
        back = await people.reactivate(work, UUID(person["id"]))
        assert (back.account.active, back.account.role) == (True, "member")
        (case,) = (await conflict_cases.page(work)).rows
        assert case.user_id == UUID(person["id"])


async def test_not_reactivated_with_a_conflict(acme: Tenant) -> None:
    """Where conflicts are refused, so is letting somebody in by hand who has one."""
    person = await acme.person("maria", roles=CONFLICT, active=False)

    async with acme.work() as work:
        with pytest.raises(Conflict, match="dart-guests"):
            await people.reactivate(work, UUID(person["id"]))


async def test_changes_by_hand_are_seen_by_the_same_work(acme: Tenant) -> None:
    """What a door answers is what is stored when it answers."""
    person = await acme.person("maria")
    async with acme.work() as work:
        person_id = UUID(person["id"])
        assert (await people.give_role(work, person_id, "guest")).account.role == "guest"
        assert (await people.appoint(work, person_id)).account.is_admin
        assert not (await people.give_role(work, person_id, None)).account.is_admin
        gone = await people.deactivate(work, person_id, reason="left")
        assert gone.user is not None
        assert (gone.account.active, gone.user.active, gone.user.document["active"]) == (False, False, False)
        back = await people.reactivate(work, person_id)
        assert back.user is not None
        assert (back.account.active, back.user.version) == (True, 3)


async def test_override_that_is_none(acme: Tenant) -> None:
    """Lifting an override that is not there changes nothing."""
    person = await acme.person("maria", roles=["dart-guests"])
    async with acme.work() as work:
        assert (await people.lift_override(work, UUID(person["id"]))).account.role == "guest"

    assert await acme.audit(action="user.role_changed") == []


async def test_work_of_one_tenant_finds_nobody_of_another(acme: Tenant) -> None:
    """A work for one tenant finds no person of another, under any of their ids."""
    nobody = UUID(int=0)
    async with acme.work() as work:
        for door in (people.find, people.reactivate, people.appoint, people.lift_override, people.explain):
            with pytest.raises(NotFound):
                await door(work, nobody)
