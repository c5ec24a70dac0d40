"""POST /Users: somebody joins."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from api.expect import done, refused
from factories import USER, Callers, Tenant, deactivation
from rollcall.db import Connection
from rows import tables_with

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


async def test_new_person_is_answered(acme: Tenant) -> None:
    """A new person is answered with 201 and their address and version, in the body and in the headers."""
    answer = await acme.scim.post("/Users", json={"schemas": [USER], "userName": "Maria@acme.test"})

    person = done(answer, 201)
    assert answer.headers["location"] == person["meta"]["location"]
    assert answer.headers["location"] == f"{acme.callers.base_url}/scim/v2/Users/{person['id']}"
    assert answer.headers["etag"] == person["meta"]["version"] == 'W/"1"'
    assert person["meta"]["resourceType"] == "User"
    assert person["meta"]["created"] == person["meta"]["lastModified"]
    assert done(await acme.scim.get(f"/Users/{person['id']}")) == person


async def test_what_a_person_has_by_default(acme: Tenant) -> None:
    """Somebody of whom nothing but the userName is said is active, and nothing else is made up."""
    person = await acme.person("maria@acme.test")

    assert {name: value for name, value in person.items() if name not in ("id", "meta")} == {
        "schemas": [USER],
        "userName": "maria@acme.test",
        "active": True,
    }


async def test_everything_a_person_can_have(acme: Tenant) -> None:
    """What the core schema and the enterprise extension declare is kept and given back."""
    attributes: dict[str, Any] = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "701984",
        "name": {"formatted": "Ms. Barbara J Jensen III", "familyName": "Jensen", "honorificSuffix": "III"},
        "displayName": "Babs Jensen",
        "nickName": "Babs",
        "profileUrl": "https://login.example.com/bjensen",
        "title": "Tour Guide",
        "userType": "Employee",
        "preferredLanguage": "en-US",
        "locale": "en-US",
        "timezone": "America/Los_Angeles",
        "active": False,
        "emails": [{"value": "bjensen@example.com", "type": "work", "primary": True}, {"value": "babs@jensen.org"}],
        "phoneNumbers": [{"value": "tel:555-555-5555", "type": "work"}],
        "ims": [{"value": "someaimhandle", "type": "aim"}],
        "photos": [{"value": "https://photos.example.com/1", "type": "photo"}],
        "addresses": [{"type": "work", "streetAddress": "100 Universal City Plaza", "country": "US", "primary": True}],
        "entitlements": [{"value": "everything"}],
        "roles": [{"value": "Student", "display": "A student", "type": "x", "primary": False}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAw"}],
        ENTERPRISE: {
            "employeeNumber": "701984",
            "costCenter": "4130",
            "department": "Tour Operations",
            "manager": {"value": "26118915"},
        },
    }

    person = await acme.person("bjensen@example.com", **attributes)

    assert {name: person[name] for name in attributes} == attributes


async def test_ids_are_ours_to_give(acme: Tenant) -> None:
    """What a body says about id, meta and groups is ignored (RFC 7644 §3.3)."""
    person = await acme.person(
        "maria", id="chosen", meta={"version": 'W/"7"', "location": "http://elsewhere"}, groups=[{"value": "admins"}]
    )

    assert person["id"] != "chosen"
    assert person["meta"]["version"] == 'W/"1"'
    assert "elsewhere" not in person["meta"]["location"]
    assert "groups" not in person


async def test_password_is_never_kept(acme: Tenant, owner: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """A password is accepted and dropped: it is in no answer, no table, no audit entry and no log line."""
    secret = "correct-horse-battery"
    person = await acme.person("maria", password=secret)
    address = f"/Users/{person['id']}"
    replaced = await acme.scim.put(address, json={"userName": "maria", "Password": secret})
    patched = [
        await acme.scim.patch(address, json={"schemas": [], "Operations": [operation]})
        for operation in (
            {"op": "replace", "path": "password", "value": secret},
            {"op": "add", "value": {"password": secret}},
            {"op": "add", "value": {f"{USER}:password": secret}},
            {"op": "Add", "path": f"{USER}:Password", "value": secret},
        )
    ]

    assert "password" not in person
    assert [answer.status_code for answer in (replaced, *patched)] == [200] * 5
    assert not any(secret in answer.text for answer in (replaced, *patched))
    await acme.audit()
    assert await tables_with(owner, secret) == []
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("maria@acme.test", "maria@acme.test"),
        ("maria@acme.test", "MARIA@Acme.Test"),
        ("Strasse", "straße"),
        ("Zoë", "Zoe\N{COMBINING DIAERESIS}"),
        ("E\N{COMBINING ACUTE ACCENT}MILE", "émile"),
    ],
    ids=["same", "case", "sharp-s", "decomposed", "both"],
)
@pytest.mark.parametrize("active", [True, False])
async def test_user_names_are_unique(acme: Tenant, first: str, second: str, *, active: bool) -> None:
    """A userName that differs only in case or composition is taken, by an inactive person too."""
    await acme.person(first, active=active)

    answer = await acme.scim.post("/Users", json={"schemas": [USER], "userName": second})

    refused(answer, 409, "uniqueness", "userName")
    assert (await acme.audit(action="scim.users.create"))[0]["status"] == 409


async def test_user_name_keeps_its_spelling(acme: Tenant) -> None:
    """Names are compared without case, and given back as they were written."""
    person = await acme.person("Zoe\N{COMBINING DIAERESIS}@ACME.test")

    assert person["userName"] == "Zoe\N{COMBINING DIAERESIS}@ACME.test"


async def test_twenty_posts_of_one_name(acme: Tenant) -> None:
    """Of twenty that create the same person at the same moment one does, and nineteen are told that it is taken."""
    answers = await asyncio.gather(
        *(acme.scim.post("/Users", json={"userName": "maria" if n % 2 else "MARIA"}) for n in range(20))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert done(await acme.scim.get('/Users?filter=userName eq "maria"'))["totalResults"] == 1


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ({"active": "False"}, {"active": False}),
        ({"ACTIVE": False, "DisplayName": "Maria"}, {"active": False, "displayName": "Maria"}),
        (
            {"emails": {"value": "m@acme.test", "primary": "True"}},
            {"emails": [{"value": "m@acme.test", "primary": True}]},
        ),
        ({"emails": ["m@acme.test"]}, {"emails": [{"value": "m@acme.test"}]}),
        ({ENTERPRISE: {"manager": "2611"}}, {ENTERPRISE: {"manager": {"value": "2611"}}}),
        ({"favouriteColour": "red", "urn:example:Other": {"a": 1}}, {"active": True}),
        ({"displayName": None, "emails": []}, {"active": True}),
    ],
    ids=["string-boolean", "case-of-names", "one-for-list", "bare-strings", "bare-manager", "unknown", "unassigned"],
)
async def test_providers_deviations(acme: Tenant, attributes: dict[str, Any], kept: dict[str, Any]) -> None:
    """What can't be misread is read the way it is meant, whoever sends it."""
    person = await acme.person("maria", **attributes)

    expected = {"userName": "maria", "active": True} | kept
    assert {name: value for name, value in person.items() if name not in ("id", "meta", "schemas")} == expected


@pytest.mark.parametrize(
    ("body", "scim_type", "saying"),
    [
        ({}, "invalidValue", "userName"),
        ({"userName": None}, "invalidValue", "userName"),
        ({"userName": " "}, "invalidValue", "userName"),
        ({"userName": 7}, "invalidValue", "userName"),
        ({"userName": "m" * 513}, "invalidValue", "userName"),
        ({"userName": "m", "active": "yes"}, "invalidValue", "active"),
        ({"userName": "m", "emails": "x" * 2000}, "invalidValue", "emails"),
        (
            {"userName": "m", "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
            "invalidValue",
            "emails",
        ),
        ({"userName": "m", "name": "Maria"}, "invalidValue", "name"),
        ({"userName": "m", "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}, "invalidSyntax", "schemas"),
    ],
)
async def test_what_is_no_person(acme: Tenant, body: dict[str, Any], scim_type: str, saying: str) -> None:
    """A body that can't be a person is refused, and the detail names the attribute."""
    refused(await acme.scim.post("/Users", json=body), 400, scim_type, saying)

    assert done(await acme.scim.get("/Users?count=0"))["totalResults"] == 1, "ada, and nobody else"


async def test_longest_names_that_grow(acme: Tenant) -> None:
    """The longest userName there may be is stored even when folding and composing make it longer."""
    hebrew = "".join(chr(0xFB2A + number % 12) for number in range(512))

    person = await acme.person(hebrew, externalId=hebrew, emails=[{"value": hebrew}])

    assert done(await acme.scim.get("/Users", params={"filter": f'userName eq "{hebrew}"'}))["totalResults"] == 1
    assert person["userName"] == hebrew


async def test_same_user_name_in_two_tenants(acme: Tenant, other: Tenant) -> None:
    """A userName is taken in its own tenant only."""
    ours, theirs = await acme.person("maria@example.test"), await other.person("maria@example.test")

    assert ours["id"] != theirs["id"]
    await acme.scim.patch(f"/Users/{ours['id']}", json=deactivation())
    assert done(await other.scim.get(f"/Users/{theirs['id']}"))["active"] is True


async def test_creation_is_audited(callers: Callers, acme: Tenant) -> None:
    """The audit says who created whom, when and with what, and the token's owner."""
    person = await acme.person("maria", displayName="Maria")

    entry = (await acme.audit(action="scim.users.create"))[0]
    assert (entry["outcome"], entry["status"], entry["target"]) == ("done", 201, person["id"])
    assert (entry["actor_kind"], entry["actor_id"]) == ("scim_token", acme.token["id"])
    assert entry["owner_id"] == acme.admin["id"]
    assert entry["payload"]["displayName"] == "Maria"
    assert entry["events"] == ["user.provisioned"]
