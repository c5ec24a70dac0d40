"""PUT /Users/{id}: a person as they are now."""

from typing import Any
from uuid import uuid4

import pytest

from api.expect import done, refused
from factories import USER, Tenant

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


async def test_what_is_not_given_is_cleared(acme: Tenant) -> None:
    """What a PUT leaves out is gone (RFC 7644 §3.5.1)."""
    person = await acme.person(
        "maria", displayName="Maria", emails=[{"value": "m@x"}], **{ENTERPRISE: {"department": "Sales"}}
    )

    answer = await acme.scim.put(f"/Users/{person['id']}", json={"schemas": [USER], "userName": "maria", "title": "Dr"})

    replaced = done(answer)
    assert set(replaced) == {"schemas", "id", "meta", "userName", "active", "title"}
    assert replaced["schemas"] == [USER]
    assert done(await acme.scim.get(f"/Users/{person['id']}")) == replaced


async def test_id_and_creation_stay(acme: Tenant) -> None:
    """A PUT keeps the id and the time of creation whatever it says about them, and raises the version."""
    person = await acme.person("maria")

    answer = await acme.scim.put(
        f"/Users/{person['id']}",
        json={"userName": "maria2", "id": "other", "meta": {"created": "2000-01-01T00:00:00Z"}, "groups": ["x"]},
    )

    replaced = done(answer)
    assert replaced["id"] == person["id"]
    assert replaced["userName"] == "maria2"
    assert replaced["meta"]["created"] == person["meta"]["created"]
    assert replaced["meta"]["version"] == answer.headers["etag"] == 'W/"2"'
    assert replaced["meta"]["lastModified"] > person["meta"]["lastModified"]


@pytest.mark.parametrize("active", [True, False])
async def test_active_is_not_cleared(acme: Tenant, *, active: bool) -> None:
    """A PUT that says nothing about `active` neither lets in nor shuts out."""
    person = await acme.person("maria", active=active)

    replaced = done(await acme.scim.put(f"/Users/{person['id']}", json={"userName": "maria", "title": "Dr"}))

    assert replaced["active"] is active


async def test_put_deactivates(acme: Tenant) -> None:
    """`active=false` in a PUT ends a session at once, and `active=true` in another does not bring it back."""
    person = await acme.person("maria")
    session = await acme.session(person)

    for active in (False, True):
        done(await acme.scim.put(f"/Users/{person['id']}", json={"userName": "maria", "active": active}))
        assert not await acme.callers.is_live(session)


async def test_put_of_the_same(acme: Tenant) -> None:
    """A PUT of what is there already keeps the version."""
    person = await acme.person("maria", displayName="Maria")

    assert done(await acme.scim.put(f"/Users/{person['id']}", json=person)) == person
    assert (await acme.audit(action="scim.users.replace"))[0]["detail"] == "nothing to change"


async def test_name_of_another(acme: Tenant) -> None:
    """A PUT can't take another's userName, and can change the case of one's own."""
    await acme.person("pedro")
    person = await acme.person("maria", displayName="Maria")

    refused(await acme.scim.put(f"/Users/{person['id']}", json={"userName": "PEDRO"}), 409, "uniqueness")

    assert done(await acme.scim.get(f"/Users/{person['id']}")) == person
    assert done(await acme.scim.put(f"/Users/{person['id']}", json={"userName": "MARIA"}))["userName"] == "MARIA"
    statuses = [entry["status"] for entry in await acme.audit(action="scim.users.replace")]
    assert statuses == [200, 409]


@pytest.mark.parametrize(
    ("body", "scim_type", "saying"),
    [
        ({"displayName": "Maria"}, "invalidValue", "userName"),
        ({"userName": "maria", "active": 1}, "invalidValue", "active"),
        ({"userName": "maria", "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}, "invalidSyntax", "schemas"),
    ],
)
async def test_what_is_no_person(acme: Tenant, body: dict[str, Any], scim_type: str, saying: str) -> None:
    """A body that can't be a person changes nothing."""
    person = await acme.person("maria", displayName="Maria")

    refused(await acme.scim.put(f"/Users/{person['id']}", json=body), 400, scim_type, saying)

    assert done(await acme.scim.get(f"/Users/{person['id']}")) == person


async def test_put_creates_nobody(acme: Tenant) -> None:
    """A PUT to an id that nobody has is 404 (RFC 7644 §3.5.1)."""
    refused(await acme.scim.put(f"/Users/{uuid4()}", json={"userName": "maria"}), 404)
