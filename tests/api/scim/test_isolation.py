"""Two tenants: what is one's does not exist for the other."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from api.expect import done, names, refused
from factories import Tenant, patch_op

CALLS: list[tuple[str, dict[str, Any] | None]] = [
    ("GET", None),
    ("PUT", {"userName": "taken-over", "active": False}),
    ("PATCH", patch_op({"op": "replace", "path": "active", "value": False})),
    ("DELETE", None),
]


@pytest.mark.parametrize(("method", "body"), CALLS)
async def test_their_ids(acme: Tenant, other: Tenant, method: str, body: dict[str, Any] | None) -> None:
    """Another tenant's id is answered, byte for byte, like one that never was, and nothing happens to its person."""
    person = await other.person("maria", externalId="1")
    acme.scim.headers["X-Request-Id"] = "the-same"

    theirs = await acme.scim.request(method, f"/Users/{person['id']}", json=body)
    nobodys = await acme.scim.request(method, f"/Users/{uuid4()}", json=body)

    refused(theirs, 404)
    assert theirs.content == nobodys.content
    assert theirs.headers == nobodys.headers
    assert done(await other.scim.get(f"/Users/{person['id']}")) == person


async def test_their_people_are_not_found(acme: Tenant, other: Tenant) -> None:
    """No list and no look-up finds another tenant's people."""
    person = await other.person("maria", externalId="1", emails=[{"value": "m@x"}])

    for text in (
        'userName eq "maria"',
        'externalId eq "1"',
        'emails eq "m@x"',
        f'id eq "{person["id"]}"',
        'userName eq "maria" and active eq true',
    ):
        assert names(await acme.scim.get("/Users", params={"filter": text})) == []
    assert names(await acme.scim.get("/Users")) == [acme.admin["user_name"]]


async def test_both_write_at_once(acme: Tenant, other: Tenant) -> None:
    """Two tenants that each create and change fifty people at the same moment keep what is theirs, and all of it."""

    async def life(tenant: Tenant, number: int) -> None:
        own = f"{tenant.slug} {number}"
        created = await tenant.person(f"person{number}", externalId=own, emails=[{"value": f"{number}@example.test"}])
        address = f"/Users/{created['id']}"
        for name in ("displayName", "title"):
            done(await tenant.scim.patch(address, json=patch_op({"op": "add", "path": name, "value": own})))
        found = done(await tenant.scim.get("/Users", params={"filter": f'emails eq "{number}@example.test"'}))
        assert [person["id"] for person in found["Resources"]] == [created["id"]]

    await asyncio.gather(*(life(tenant, number) for number in range(50) for tenant in (acme, other)))

    for tenant in (acme, other):
        people = done(await tenant.scim.get("/Users", params={"count": 200}))["Resources"]
        assert sorted(person["userName"] for person in people if "externalId" in person) == sorted(
            f"person{number}" for number in range(50)
        )
        for person in people:
            if "externalId" in person:
                assert person["externalId"] == person["displayName"] == person["title"]
                assert person["externalId"] == f"{tenant.slug} {person['userName'].removeprefix('person')}"
                assert person["meta"]["version"] == 'W/"3"'
        assert {entry["actor_id"] for entry in await tenant.audit(action="scim")} == {tenant.token["id"]}
