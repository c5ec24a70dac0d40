"""GET /Users/{id}: one person, whole or in part."""

from uuid import uuid4

import pytest

from api.expect import done, refused
from factories import Tenant


async def test_person_with_headers(acme: Tenant) -> None:
    """A person is answered as they were stored, with their address and version in the headers too."""
    person = await acme.person("maria", displayName="Maria")

    answer = await acme.scim.get(f"/Users/{person['id']}")

    assert done(answer) == person
    assert answer.headers["location"] == person["meta"]["location"]
    assert answer.headers["etag"] == person["meta"]["version"]


def nobodys_ids(own: str) -> list[str]:
    """Ids that are nobody's, two of them near misses of *own*."""
    plain = own.replace("-", "")
    return [str(uuid4()), "x", "0", "%00", "%FF", "maria", own.upper(), plain, f"urn:{plain}", f"----{plain}"]


async def test_ids_are_exact(acme: Tenant) -> None:
    """Only the id as it was given finds somebody (RFC 7643 §3.1); all else is 404, in the same words."""
    person = await acme.person("maria")
    acme.scim.headers["X-Request-Id"] = "the-same"

    answers = {(await acme.scim.get(f"/Users/{each}")).content for each in nobodys_ids(person["id"])}

    assert len(answers) == 1
    for each in nobodys_ids(person["id"]):
        refused(await acme.scim.get(f"/Users/{each}"), 404)


@pytest.mark.parametrize(
    ("parameters", "attributes"),
    [
        ({"attributes": "userName"}, {"id", "schemas", "userName"}),
        ({"attributes": "USERNAME,name.familyName"}, {"id", "schemas", "userName", "name"}),
        ({"ATTRIBUTES": "nobody"}, {"id", "schemas"}),
        ({"attributes": ""}, {"id", "schemas", "meta", "userName", "active", "name", "emails"}),
        ({"excludedAttributes": "emails,name,meta,id"}, {"id", "schemas", "userName", "active"}),
        ({"excludedattributes": "name.familyName"}, {"id", "schemas", "meta", "userName", "active", "name", "emails"}),
    ],
)
async def test_parts_of_a_person(acme: Tenant, parameters: dict[str, str], attributes: set[str]) -> None:
    """`attributes` and `excludedAttributes` choose what is answered (RFC 7644 §3.9), everywhere one is answered."""
    body = {"userName": "maria", "name": {"familyName": "Sol", "givenName": "Maria"}, "emails": [{"value": "m@x"}]}
    created = await acme.scim.post("/Users", json=body, params=parameters)
    address = f"/Users/{created.json()['id']}"
    operation = {"Operations": [{"op": "add", "path": "active", "value": True}]}

    answers = [
        done(created, 201),
        done(await acme.scim.get(address, params=parameters)),
        done(await acme.scim.put(address, json=body, params=parameters)),
        done(await acme.scim.patch(address, json=operation, params=parameters)),
        done(await acme.scim.get("/Users", params={"filter": 'userName eq "maria"', **parameters}))["Resources"][0],
    ]

    assert [set(answer) for answer in answers] == [attributes] * 5


async def test_both_selections_at_once(acme: Tenant) -> None:
    """Asking for some attributes and for all but some is refused, before anything is changed."""
    both = {"attributes": "userName", "excludedAttributes": "name"}
    person = await acme.person("maria")

    refused(await acme.scim.get(f"/Users/{person['id']}", params=both), 400, "invalidValue")
    refused(await acme.scim.get("/Users", params=both), 400, "invalidValue")
    refused(await acme.scim.post("/Users", json={"userName": "new"}, params=both), 400, "invalidValue")

    assert (await acme.scim.get("/Users", params={"filter": 'userName eq "new"'})).json()["totalResults"] == 0
    assert (await acme.audit(action="scim.users.create"))[0]["status"] == 400


async def test_reading_is_audited(acme: Tenant) -> None:
    """Who read whom stands in the audit, also when there was nobody."""
    person = await acme.person("maria")

    await acme.scim.get(f"/Users/{person['id']}")
    await acme.scim.get("/Users/nobody")

    entries = await acme.audit(action="scim.users.read")
    assert {(entry["status"], entry["target"]) for entry in entries} == {(200, person["id"]), (404, None)}
