"""Changes that have to be worked out anew, because somebody else was quicker: conditions, and what is gone by then."""

import asyncio

from api.expect import done, refused
from api.scim.test_conditions import address, rename, something
from api.scim.test_groups import GROUP, add, make
from factories import Tenant
from rollcall.db import Connection
from rows import until_waiting


async def test_a_condition_is_judged_again(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A change that waited for another one is judged by the version that this has left."""
    for method, sent in (("PATCH", rename("Late")), ("DELETE", None)):
        read = await something(acme, "Users")
        person_id = read.json()["id"]
        async with rival.transaction():
            await rival.fetchrow(
                "SELECT FROM accounts WHERE id = (SELECT account_id FROM users WHERE id::text = $1) FOR UPDATE",
                person_id,
            )
            change = asyncio.create_task(
                acme.scim.request(method, address(read), json=sent, headers={"If-Match": read.headers["ETag"]})
            )
            await until_waiting(watcher, change)
            await rival.execute("UPDATE users SET version = version + 1 WHERE id::text = $1", person_id)

        refused(await change, 412)
        assert done(await acme.scim.get(address(read)))["displayName"] == "Before"


async def test_a_membership_meanwhile(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A person who comes into a group while their change waits is another version when it goes on."""
    group = await make(acme, "Engineering")
    read = await something(acme, "Users")
    person_id = read.json()["id"]
    async with rival.transaction():
        await rival.fetchrow(
            "SELECT FROM accounts WHERE id = (SELECT account_id FROM users WHERE id::text = $1) FOR UPDATE", person_id
        )
        change = asyncio.create_task(
            acme.scim.patch(address(read), json=rename("Late"), headers={"If-Match": read.headers["ETag"]})
        )
        await until_waiting(watcher, change)
        assert (await acme.scim.patch(f"/Groups/{group['id']}", json=add(person_id))).status_code == 200

    refused(await change, 412)


async def test_a_group_that_is_gone(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A PUT that has to be worked out anew when the group is gone is 404, and brings no other group into being."""
    group = await make(acme, "dart-guests")
    body = {"schemas": [GROUP], "displayName": "dart-members"}
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM tenants WHERE id::text = $1 FOR UPDATE", acme.id)
        change = asyncio.create_task(acme.scim.put(f"/Groups/{group['id']}", json=body))
        await until_waiting(watcher, change)
        await rival.execute("UPDATE tenants SET role_rule_version = role_rule_version + 1 WHERE id::text = $1", acme.id)
        await rival.execute("DELETE FROM groups WHERE id::text = $1", group["id"])

    refused(await change, 404)
    assert done(await acme.scim.get("/Groups"))["totalResults"] == 0
    assert [entry["status"] for entry in await acme.audit(action="scim.groups.replace")] == [404]
