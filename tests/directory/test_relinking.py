"""A person who is removed and created again, by calls that meet."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.expect import done
from factories import Tenant
from rollcall.db import Connection
from rollcall.functions import qualified
from rows import until_waiting


async def account_of(tenant: Tenant, person: dict[str, Any]) -> str:
    """The product's id of a person."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{person['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize("user_name", ["maria", "maria.new"])
async def test_creation_that_meets_the_removal(
    acme: Tenant, rival: Connection, watcher: Connection, user_name: str
) -> None:
    """A creation with the externalId of somebody who is being removed waits, and takes their account up again."""
    person = await acme.person("maria", externalId="e-1")
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", person["id"])
        removal = asyncio.create_task(acme.scim.delete(f"/Users/{person['id']}"))
        await until_waiting(watcher, removal)
        body = {"userName": user_name, "externalId": "e-1"}
        creation = asyncio.create_task(acme.scim.post("/Users", json=body))
        await asyncio.sleep(0.1)
        assert not creation.done()

    assert (await removal).status_code == 204
    again = done(await creation, 201)
    assert again["id"] != person["id"]
    assert await account_of(acme, again) == person["id"]


async def test_removal_that_meets_the_creation(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A removal waits for a creation with the same externalId; that one came first and is a new person."""
    person = await acme.person("maria", externalId="e-1")
    async with rival.transaction():
        await rival.execute("SELECT set_config('rollcall.tenant', $1, true)", acme.id)
        await rival.fetchrow(qualified("SELECT fn.hold_external_id($1, 'e-1')"), UUID(acme.id))
        removal = asyncio.create_task(acme.scim.delete(f"/Users/{person['id']}"))
        await until_waiting(watcher, removal)

    assert (await removal).status_code == 204


async def test_many_removals_and_creations_at_once(acme: Tenant) -> None:
    """However they meet, each externalId ends with one account to each of its people, and nobody waits for ever."""
    crowd = [await acme.person(f"p{number}", externalId=f"e-{number}") for number in range(8)]

    async def come_back(person: dict[str, Any]) -> dict[str, Any]:
        body = {"userName": f"{person['userName']}.new", "externalId": person["externalId"]}
        gone, made = await asyncio.gather(
            acme.scim.delete(f"/Users/{person['id']}"), acme.scim.post("/Users", json=body)
        )
        assert gone.status_code == 204
        return done(made, 201)

    async with asyncio.timeout(20):
        back = await asyncio.gather(*map(come_back, crowd))

    accounts = [await account_of(acme, person) for person in back]
    assert len(set(accounts)) == len(crowd)
    assert all(account in (person["id"], new["id"]) for account, person, new in zip(accounts, crowd, back, strict=True))
