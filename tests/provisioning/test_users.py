"""The doors of SCIM while somebody else goes through the same one."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from api.expect import done, refused
from factories import Tenant, patch_op
from rollcall.db import Connection
from rows import until_waiting


def title(text: str) -> dict[str, Any]:
    """A PATCH of the title."""
    return patch_op({"op": "replace", "path": "title", "value": text})


async def test_change_that_waited_is_worked_out_anew(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A change that waited for another is applied to what the other has left."""
    person = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM users WHERE id::text = $1 FOR UPDATE", person["id"])
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=title("Dr")))
        await until_waiting(watcher, change)
        await rival.execute(
            """UPDATE users SET document = document || '{"nickName": "Mia"}', version = version + 1
                WHERE id::text = $1""",
            person["id"],
        )

    after = done(await change)
    assert (after["title"], after["nickName"], after["meta"]["version"]) == ("Dr", "Mia", 'W/"3"')


async def test_change_of_somebody_who_is_being_removed(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A change that waited for a removal is 404, and stands in the audit as refused."""
    person = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM users WHERE id::text = $1 FOR UPDATE", person["id"])
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=title("Dr")))
        await until_waiting(watcher, change)
        await rival.execute("DELETE FROM users WHERE id::text = $1", person["id"])

    refused(await change, 404)
    assert [entry["status"] for entry in await acme.audit(action="scim.users.patch")] == [404]


async def test_a_token_that_ends_while_its_change_waits_again(
    acme: Tenant, rival: Connection, watcher: Connection
) -> None:
    """A change that has to be worked out anew passes the gate anew: a token revoked meanwhile changes nothing."""
    person = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM users WHERE id::text = $1 FOR UPDATE", person["id"])
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=title("Dr")))
        await until_waiting(watcher, change)
        await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")
        await rival.execute("UPDATE users SET version = version + 1 WHERE id::text = $1", person["id"])

    refused(await change, 401, saying="revoked")
    assert "title" not in str(await rival.fetchval("SELECT document FROM users WHERE id::text = $1", person["id"]))
    assert [entry["status"] for entry in await acme.audit(action="scim.users.patch")] == [401]


async def test_a_change_that_was_given_up(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A change whose caller has gone while it waited for a lock is not made when the lock is free."""
    person = await acme.person("maria")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM users WHERE id::text = $1 FOR UPDATE", person["id"])
        change = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=title("Dr")))
        await until_waiting(watcher, change)
        change.cancel()
        async with asyncio.timeout(10):
            while await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.05)

    assert "title" not in (await acme.scim.get(f"/Users/{person['id']}")).json()


async def test_removed_once(acme: Tenant) -> None:
    """Of several who remove and change the same person at the same moment one removes them, and nobody fails."""
    for number in range(5):
        person = await acme.person(f"p{number}")
        address = f"/Users/{person['id']}"
        answers = await asyncio.gather(
            *(acme.scim.delete(address) for _ in range(4)),
            *(acme.scim.patch(address, json=title(f"t{count}")) for count in range(4)),
        )
        assert Counter(answer.status_code for answer in answers[:4]) == {204: 1, 404: 3}
        assert {answer.status_code for answer in answers[4:]} <= {200, 404}
        refused(await acme.scim.get(address), 404)


async def test_one_account_comes_back_once(acme: Tenant) -> None:
    """Of several who come back to one account at the same moment one gets it, and the others get their own."""
    first = await acme.person("first", externalId="1")
    await acme.scim.delete(f"/Users/{first['id']}")

    answers = await asyncio.gather(
        *(acme.scim.post("/Users", json={"userName": f"back{number}", "externalId": "1"}) for number in range(8))
    )

    accounts = [
        (await acme.callers.operator.get(f"{acme.v1}/people/{done(answer, 201)['id']}")).json()["id"]
        for answer in answers
    ]
    assert len(set(accounts)) == 8
    assert first["id"] in accounts


async def test_names_that_change_hands(acme: Tenant) -> None:
    """People who take each other's userNames at the same moment never share one, and nobody waits for ever."""
    people = [await acme.person(f"p{number}") for number in range(4)]
    wanted = [f"n{number}" for number in range(3)]

    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            *(
                acme.scim.patch(
                    f"/Users/{person['id']}", json=patch_op({"op": "replace", "path": "userName", "value": name})
                )
                for name in wanted
                for person in people
            )
        )

    assert {answer.status_code for answer in answers} <= {200, 409}
    stored = {person["id"]: person["userName"] for person in done(await acme.scim.get("/Users"))["Resources"]}
    assert len(stored) == len(set(stored.values())) == 5
    # Who ends up with which name is a matter of turns, and a name can be left free by who took it and went on.
    changed = [answer.json() for answer in answers if answer.status_code == 200]
    for person in people:
        said = [person, *(each for each in changed if each["id"] == person["id"])]
        assert len({each["meta"]["version"] for each in said}) == len(said), "each change was one of its own"
        last = max(said, key=lambda each: int(each["meta"]["version"].strip('W/"')))
        assert stored[person["id"]] == last["userName"], "what was answered last is what is stored"
    assert set(wanted) & set(stored.values())


async def test_creations_and_removals_of_one_name(acme: Tenant) -> None:
    """A name that many create and remove at once is had by one at a time, and each who got it can give it back."""

    async def life() -> int:
        answer = await acme.scim.post("/Users", json={"userName": "maria", "externalId": "1"})
        if answer.status_code != 201:
            refused(answer, 409, "uniqueness")
            return 0
        found = done(await acme.scim.get("/Users", params={"filter": 'userName eq "maria"'}))
        assert found["totalResults"] <= 1
        assert (await acme.scim.delete(f"/Users/{answer.json()['id']}")).status_code == 204
        return 1

    async with asyncio.timeout(30):
        lives = await asyncio.gather(*(life() for _ in range(30)))

    assert sum(lives) >= 1
    assert done(await acme.scim.get("/Users"))["totalResults"] == 1


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "displayName", "value": "Maria Vega"},
        {"op": "add", "value": {"displayName": "Maria Vega", "title": "Dr"}},
    ],
)
async def test_description_by_a_known_caller(acme: Tenant, operation: dict[str, Any]) -> None:
    """What only describes somebody is written, answered, searched for and audited as any other change."""
    person = await acme.person("maria", displayName="Maria", nickName="Mia")  # its caller is known from here on
    address = f"/Users/{person['id']}"
    after = done(await acme.scim.patch(address, json=patch_op(operation)))
    done(await acme.scim.patch(address, json=title("Professor")))

    stored = done(await acme.scim.get(address))
    assert (after["displayName"], after["nickName"], after["meta"]["version"]) == ("Maria Vega", "Mia", 'W/"2"')
    assert (stored["displayName"], stored["title"], stored["nickName"]) == ("Maria Vega", "Professor", "Mia")
    found = done(await acme.scim.get("/Users", params={"filter": 'displayName eq "MARIA VEGA"'}))
    assert [each["id"] for each in found["Resources"]] == [person["id"]]
    entries = await acme.audit(action="scim.users.patch")
    assert [(entry["status"], entry["events"]) for entry in entries] == [(200, ["user.updated"])] * 2


async def test_description_of_somebody_inactive(acme: Tenant) -> None:
    """What describes somebody who is out is stored, and they stay out."""
    person = await acme.person("maria", active=False)
    after = done(await acme.scim.patch(f"/Users/{person['id']}", json=title("Dr")))
    assert (after["title"], after["active"]) == ("Dr", False)


async def test_description_of_somebody_with_a_case(acme: Tenant) -> None:
    """What describes somebody says nothing of their roles: the case of a refused change stays open, and counts once."""
    person = await acme.person("maria", roles=["dart-admins"])
    address = f"/Users/{person['id']}"
    two = patch_op({"op": "add", "path": "roles", "value": [{"value": "dart-guests"}]})
    refused(await acme.scim.patch(address, json=two), 400, "invalidValue")
    done(await acme.scim.patch(address, json=title("Dr")))

    cases = (await acme.callers.operator.get(f"{acme.v1}/conflict-cases")).json()["data"]
    assert [(each["user_name"], each["times"]) for each in cases] == [("maria", 1)]


async def test_description_that_is_too_long(acme: Tenant) -> None:
    """A text that is too long is refused by name, whoever calls, and nothing is stored."""
    person = await acme.person("maria", title="Dr")
    answer = await acme.scim.patch(f"/Users/{person['id']}", json=title("x" * 100_000))
    refused(answer, 400, "invalidValue", saying="title: longer than")
    assert done(await acme.scim.get(f"/Users/{person['id']}"))["title"] == "Dr"
