"""Microsoft Entra ID, from "Develop and plan provisioning for a SCIM endpoint", unless a list says otherwise.

The other articles are "Known issues and resolutions with SCIM 2.0 protocol compliance" and "Customize user provisioning
attribute-mappings", both of the same chapter on app provisioning.
"""

import pytest

from api.expect import refused
from api.transcripts.talk import Turn, found, replay, role_of, with_profile
from factories import PATCH_OP, USER, Tenant

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
AD_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
MEDIA_TYPE = "application/scim+json; charset=utf-8"
NOBODY = "5f0c3c4e-6b38-4a40-9a7e-1c2d7b8e4f11"


def change(*operations: dict[str, object]) -> dict[str, object]:
    """The body of a PATCH, the operations first as Entra writes it."""
    return {"Operations": list(operations), "schemas": [PATCH_OP]}


def replace(path: str, value: object) -> dict[str, object]:
    """An operation as the provisioning service spells it."""
    return {"op": "Replace", "path": path, "value": value}


CONNECTION = [
    Turn("GET /Users", query={"filter": f'userName eq "{NOBODY}"'}, answers=found()),
    Turn(
        "GET /Groups",
        query={"excludedAttributes": "members", "filter": f'displayName eq "{NOBODY}"'},
        answers=found(),
    ),
    Turn("GET /Schemas", lacks=["members"]),
]
"""Getting started: Test Connection asks for a random name; saving the configuration reads the schemas."""

JOINING = [
    Turn("GET /Users", query={"filter": 'userName eq "lena@contoso.test"'}, answers=found()),
    Turn(
        "POST /Users",
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": "lena",
            "userName": "lena@contoso.test",
            "active": True,
            "addresses": None,
            "displayName": "Lena Ohm",
            "emails": [{"primary": True, "type": "work", "value": "lena.ohm@contoso.test"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "Lena Ohm", "familyName": "Ohm", "givenName": "Lena"},
            "phoneNumbers": None,
            "preferredLanguage": None,
            "title": None,
            "department": None,
            "manager": None,
            "roles": [],
        },
        answers={
            "userName": "lena@contoso.test",
            "externalId": "lena",
            "active": True,
            "emails": [{"value": "lena.ohm@contoso.test", "type": "work", "primary": True}],
            "meta": {"resourceType": "User"},
        },
        keep="lena",
    ),
    Turn("GET /Users/<lena>", answers={"id": "<lena>", "displayName": "Lena Ohm"}),
    Turn("GET /Users", query={"filter": 'userName eq "LENA@contoso.test"'}, answers=found({"id": "<lena>"})),
    Turn("GET /Users", query={"filter": 'externalId eq "lena"'}, answers=found({"id": "<lena>"})),
    Turn(
        "GET /Users",
        query={"filter": 'emails[type eq "work"].value eq "lena.ohm@contoso.test"'},
        answers=found({"id": "<lena>"}),
    ),
    Turn("POST /Users", {"schemas": [USER], "userName": "lena@contoso.test", "active": True}, status=409),
    Turn("GET /Users/5171a35d82074e068ce2", status=404),
]
"""Create User, Get User, Get User by query, and what is said of somebody who is there already, or isn't."""

MOVING = [
    Turn(
        "PATCH /Users/<lena>",
        change(replace('emails[type eq "work"].value', "lena@contoso.test"), replace("name.familyName", "Volt")),
        answers={
            "emails": [{"value": "lena@contoso.test", "type": "work", "primary": True}],
            "name": {"familyName": "Volt", "givenName": "Lena"},
        },
    ),
    Turn(
        "PATCH /Users/<lena>",
        change(replace("userName", "lena.volt@contoso.test")),
        answers={"userName": "lena.volt@contoso.test"},
    ),
    Turn(
        "PATCH /Users/<lena>",
        change(
            {"op": "Add", "path": "nickName", "value": "Lee"},
            {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "55555555555"},
            {"op": "Add", "path": 'addresses[type eq "work"].postalCode', "value": "10115"},
            replace(f"{ENTERPRISE}:employeeNumber", "701"),
            replace(f"{ENTERPRISE}:department", "Tours"),
        ),
        answers={
            "nickName": "Lee",
            "phoneNumbers": [{"type": "mobile", "value": "55555555555"}],
            "addresses": [{"type": "work", "postalCode": "10115"}],
            ENTERPRISE: {"employeeNumber": "701", "department": "Tours"},
        },
    ),
    Turn(
        "PATCH /Users/<lena>",
        change(
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "volt@contoso.test"},
            {
                "op": "replace",
                "value": {
                    "displayName": "Lena Volt",
                    "name.givenName": "Magdalena",
                    "name.familyName": "Volt",
                    f"{ENTERPRISE}:employeeNumber": "702",
                },
            },
        ),
        answers={
            "displayName": "Lena Volt",
            "emails": [{"value": "volt@contoso.test", "type": "work"}],
            "name": {"givenName": "Magdalena", "familyName": "Volt"},
            ENTERPRISE: {"employeeNumber": "702", "department": "Tours"},
        },
    ),
]
"""Update User, then "Requests to replace multiple attributes" of the known issues, with and without the flag."""

MANAGER = [
    Turn("POST /Users", {"schemas": [USER], "userName": "boss@contoso.test", "active": True}, keep="boss"),
    Turn(
        "PATCH /Users/<lena>",
        change({"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "<boss>"}),
        answers={ENTERPRISE: {"manager": {"value": "<boss>"}}},
    ),
    Turn(
        "GET /Users",
        query={"filter": 'id eq "<lena>" and manager eq "<boss>"', "attributes": "id"},
        answers=found({"id": "<lena>"}),
        lacks=["userName"],
    ),
    Turn(
        "PATCH /Users/<lena>",
        change({"op": "Add", "path": f"{ENTERPRISE}:manager", "value": [{"$ref": None, "value": "<lena>"}]}),
        answers={ENTERPRISE: {"manager": {"value": "<lena>"}}},
    ),
    Turn(
        "PATCH /Users/<lena>",
        change({"op": "Remove", "path": f"{ENTERPRISE}:manager"}),
        answers={ENTERPRISE: {"department": "Tours"}},
    ),
    Turn("GET /Users", query={"filter": 'id eq "<lena>" and manager eq "<boss>"'}, answers=found()),
]
"""Handling provisioning, examples 4 and 5: the reference is checked before it is changed."""

LEAVING = [
    Turn("PATCH /Users/<lena>", change(replace("active", "False")), answers={"active": False}),
    Turn("GET /Users", query={"filter": 'externalId eq "lena"'}, answers=found({"id": "<lena>", "active": False})),
]
"""Disable User as the service sends it without the flag (known issues); whoever is inactive is still found."""

RETURNING_AND_GOING = [
    Turn("PATCH /Users/<lena>", change(replace("active", "True")), answers={"active": True}),
    Turn("PATCH /Users/<lena>", change({"op": "replace", "path": "active", "value": False}), answers={"active": False}),
    Turn("DELETE /Users/<lena>"),
    Turn("GET /Users/<lena>", status=404),
    Turn("GET /Users", query={"filter": 'userName eq "lena.volt@contoso.test"'}, answers=found()),
]
"""Restoring somebody, disabling them with the flag, and Delete User."""

GROUPS = [
    Turn("POST /Users", {"schemas": [USER], "userName": "ali@contoso.test"}, keep="ali"),
    Turn("POST /Users", {"schemas": [USER], "userName": "bea@contoso.test"}, keep="bea"),
    Turn(
        "GET /Groups",
        query={"excludedAttributes": "members", "filter": 'displayName eq "DART_GUESTS"'},
        answers=found(),
    ),
    Turn(
        "POST /Groups",
        {
            "schemas": [GROUP, AD_GROUP],
            "externalId": "8aa1a0c0",
            "displayName": "Tours",
            "meta": {"resourceType": "Group"},
        },
        answers={"displayName": "Tours", "externalId": "8aa1a0c0", "members": []},
        keep="tours",
    ),
    Turn(
        "GET /Groups/<tours>",
        query={"excludedAttributes": "members"},
        answers={"id": "<tours>", "displayName": "Tours"},
        lacks=["members"],
    ),
    Turn(
        "PATCH /Groups/<tours>",
        change({"op": "Add", "path": "members", "value": [{"$ref": None, "value": "<ali>"}]}),
        answers={"members": [{"value": "<ali>"}]},
    ),
    Turn(
        "PATCH /Groups/<tours>",
        change({"op": "Add", "path": "members", "value": [{"$ref": None, "value": "<bea>"}]}),
        answers={"members": [{"value": "<ali>"}, {"value": "<bea>"}]},
    ),
    Turn(
        "GET /Groups",
        query={"excludedAttributes": "members", "filter": 'id eq "<tours>" and members eq "<bea>"'},
        answers=found({"id": "<tours>"}),
        lacks=["members"],
    ),
    Turn(
        "PATCH /Groups/<tours>", change(replace("displayName", "DART_GUESTS")), answers={"displayName": "DART_GUESTS"}
    ),
    Turn(
        "GET /Groups",
        query={"excludedAttributes": "members", "filter": 'displayName eq "dart_guests"'},
        answers=found({"id": "<tours>", "externalId": "8aa1a0c0"}),
        lacks=["members"],
    ),
]
"""Create Group, Get Group, Get Group by displayName, Update Group."""

SHRINKING = [
    Turn(
        "PATCH /Groups/<tours>",
        change({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "<ali>"}]}),
        answers={"members": [{"value": "<bea>"}]},
    ),
    Turn(
        "PATCH /Groups/<tours>",
        change({"op": "remove", "path": 'members[value eq "<bea>"]'}),
        answers={"members": []},
    ),
    Turn("DELETE /Groups/<tours>"),
    Turn("GET /Groups/<tours>", query={"excludedAttributes": "members"}, status=404),
]
"""Update Group [Remove Members], "Requests to remove a group member" with the flag (known issues), Delete Group."""

ONE_ROLE = [
    Turn(
        "POST /Users",
        {
            "schemas": [USER],
            "externalId": "cem",
            "userName": "cem@contoso.test",
            "active": True,
            "roles": [{"primary": True, "type": "WindowsAzureActiveDirectoryRole", "value": "dart-guest"}],
        },
        answers={"roles": [{"value": "dart-guest", "primary": True}]},
        keep="cem",
    ),
    Turn(
        "PATCH /Users/<cem>",
        change(replace('roles[primary eq "True"].value', "dart-financial-admin")),
        answers={"roles": [{"value": "dart-financial-admin", "primary": True}]},
    ),
]
"""Customize attribute-mappings, SingleAppRoleAssignment."""

ROLES_ADDED = [
    Turn("POST /Users", {"schemas": [USER], "userName": "dia@contoso.test", "active": True}, keep="dia"),
    Turn(
        "PATCH /Users/<dia>",
        change(
            {
                "op": "Add",
                "path": "roles",
                "value": [{"value": '{"id":"06b07648","value":"dart-guest","displayName":"Guest"}'}],
            }
        ),
    ),
]
"""Customize attribute-mappings, AppRoleAssignmentsComplex: each value is JSON inside a string."""

ROLES_REPLACED = [
    Turn(
        "POST /Users",
        {
            "schemas": [USER],
            "userName": "eli@contoso.test",
            "active": True,
            "roles": [
                {
                    "primary": False,
                    "type": "WindowsAzureActiveDirectoryRole",
                    "displayName": "Guest",
                    "value": "dart-guest",
                }
            ],
        },
        answers={"roles": [{"value": "dart-guest", "display": "Guest"}]},
        keep="eli",
    ),
    Turn(
        "PATCH /Users/<eli>",
        change(
            {
                "op": "replace",
                "path": "roles",
                "value": [
                    {
                        "primary": False,
                        "type": "WindowsAzureActiveDirectoryRole",
                        "display": "Technical",
                        "value": "dart-technical-admin",
                    }
                ],
            }
        ),
        answers={"roles": [{"value": "dart-technical-admin", "display": "Technical"}]},
    ),
]
"""Customize attribute-mappings, AssertiveAppRoleAssignmentsComplex: what is assigned replaces what was."""

ONLY_ENTRA = [
    Turn("GET /Users", query={"filter": "externalId eq jyoung"}, answers=found()),
    Turn(
        "POST /Users",
        {"schemas": [USER, ENTERPRISE], "externalId": "jyoung", "userName": "joy@contoso.test", "active": True},
        keep="joy",
    ),
    Turn("GET /Users", query={"filter": "externalId eq jyoung"}, answers=found({"id": "<joy>"})),
    Turn(
        "PATCH /Users/<joy>",
        change(
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:contoso:2.0:User:tag", "value": "701984"},
            replace("title", "Guide"),
        ),
        status=204,
        answers={"title": "Guide"},
    ),
    Turn("POST /Groups", {"schemas": [GROUP], "displayName": "Everybody"}, keep="everybody"),
    Turn("POST /Groups", {"schemas": [GROUP], "displayName": "everybody"}, status=409),
    Turn("POST /Groups", {"schemas": [GROUP], "displayName": "Nobody"}, keep="nobody"),
    Turn("PATCH /Groups/<nobody>", change(replace("displayName", "Everybody")), status=409),
    Turn("PATCH /Groups/<nobody>", change(replace("displayName", "Somebody")), status=204),
]
"""Examples 1 and 2 of Handling provisioning, an attribute nobody has declared, and /Groups: names are unique."""

POSTMAN = [
    Turn("GET /users", answers={"startIndex": 1}),
    Turn("GET /Groups", answers=found()),
    Turn("GET /ResourceTypes", answers={"Resources": [{"endpoint": "/Groups"}, {"endpoint": "/Users"}]}),
    Turn("GET /ServiceProviderConfig", answers={"patch": {"supported": True}}),
    Turn("GET /Schemas", answers={"totalResults": 3}),
    Turn(
        "POST /Users",
        {
            "UserName": "Olga",
            "Active": "True",
            "DisplayName": "Olga Ohm",
            "schemas": [ENTERPRISE, USER],
            "externalId": "o1",
            "name": {"formatted": "Olga Ohm", "familyName": "Ohm", "givenName": "Olga"},
            "emails": [
                {"Primary": True, "type": "work", "value": "olga@contoso.test"},
                {"Primary": False, "type": "home", "value": "olga@home.test"},
            ],
            ENTERPRISE: {"Department": "Tours", "Manager": {"Value": "Uma"}},
        },
        answers={
            "userName": "Olga",
            "active": True,
            ENTERPRISE: {"department": "Tours", "manager": {"value": "Uma"}},
        },
        keep="olga",
    ),
    Turn("POST /Users", {"schemas": [USER], "userName": "olga", "active": True}, status=409),
    Turn("POST /Users", {"schemas": [USER], "active": True, "displayName": "Nobody"}, status=400),
    Turn("PUT /Users/<olga>", {"schemas": [USER], "userame": "Olga", "active": False}, status=400),
    Turn("GET /Users", query={"filter": 'DisplayName eq "Olga Ohm"'}, answers=found({"id": "<olga>"})),
    Turn(
        "GET /Users",
        query={"filter": 'DisplayName eq "Olga Ohm"', "attributes": 'emails[type eq "work"]'},
        answers=found({"id": "<olga>", "emails": [{"value": "olga@contoso.test"}, {"value": "olga@home.test"}]}),
        lacks=["userName"],
    ),
    Turn("GET /Users", query={"attributes": "userName,emails", "startIndex": "1", "count": "1"}, lacks=["active"]),
    Turn("GET /Users", query={"filter": "userName sw O"}, answers=found({"id": "<olga>"})),
    Turn(
        "GET /Users",
        query={"filter": "userName eq olga and meta.Created gt 2015-10-10T14:38:21.8617979-07:00"},
        answers=found({"id": "<olga>"}),
    ),
    Turn(
        "GET /Users",
        query={"filter": "name.FamilyName eq Ohm and (emails.Value co example.com or emails.Value co contoso.test)"},
        answers=found({"id": "<olga>"}),
    ),
    Turn("PATCH /Users/<olga>", change(replace("userName", "Olga.Volt")), answers={"userName": "Olga.Volt"}),
    Turn("PATCH /Users/<olga>", change(replace("active", False)), answers={"active": False}),
    Turn(
        "PUT /Users/<olga>",
        {"schemas": [USER], "id": "<olga>", "UserName": "Olga", "Active": True, "adreses": [{"country": "Peru"}]},
        answers={"userName": "Olga", "active": True},
        lacks=["adreses", "addresses"],
    ),
    Turn("POST /Groups", {"schemas": [GROUP], "externalId": "g1", "displayName": "One", "members": []}, keep="one"),
    Turn(
        "POST /Groups",
        {"schemas": [GROUP], "displayName": "Two", "members": [{"value": "<olga>", "display": "VP"}]},
        answers={"members": [{"value": "<olga>"}]},
        keep="two",
    ),
    Turn(
        "PUT /Groups/<one>",
        {"schemas": [GROUP], "id": "<one>", "displayName": "Uno", "members": [{"value": "<olga>", "display": "VP"}]},
        answers={"displayName": "Uno", "members": [{"value": "<olga>"}]},
    ),
    Turn(
        "PATCH /Groups/<one>",
        change({"op": "remove", "path": 'members[value eq "<olga>"]'}),
        answers={"members": []},
    ),
    Turn(
        "PATCH /Groups/<one>",
        {"id": "<one>", **change({"name": "addMember", "op": "add", "path": "members", "value": "<olga>"})},
        answers={"members": [{"value": "<olga>"}]},
    ),
    Turn(
        "PATCH /Groups/<one>",
        change(
            {
                "name": "addMember",
                "op": "add",
                "path": "members",
                "value": [{"displayName": "new User", "value": "<olga>"}],
            }
        ),
        answers={"members": [{"value": "<olga>", "display": "new User"}]},
    ),
    Turn(
        "PATCH /Groups/<one>",
        change({"op": "add", "path": "members", "value": [{"$ref": None, "value": "an id 1"}, {"value": "an id 2"}]}),
        answers={"members": [{"value": "<olga>"}, {"value": "an id 1"}, {"value": "an id 2"}]},
    ),
    Turn("GET /Groups/<one>", query={"excludedAttributes": "members"}, lacks=["members"]),
    Turn("PATCH /Groups/<one>", change({"op": "remove", "path": "members"}), answers={"members": []}),
    Turn("DELETE /Users/<olga>"),
    Turn("DELETE /Groups/<one>"),
    Turn("DELETE /Groups/<two>"),
    Turn("GET /Groups", answers=found()),
]
"""The Postman collection of "Test your SCIM endpoint", in the wiki of SCIMReferenceCode, and what its tests check."""

PROFILES = pytest.mark.parametrize(("profile", "patched"), [("entra", 204), ("default", 200)])


@PROFILES
async def test_a_person(acme: Tenant, profile: str, patched: int) -> None:
    """Somebody joins, moves, leaves, returns and is removed; leaving ends their sessions for good."""
    await with_profile(acme, profile)
    ids = await replay(acme, CONNECTION + JOINING + MOVING + MANAGER, media_type=MEDIA_TYPE, patched=patched)
    session = await acme.session({"id": ids["lena"]})

    await replay(acme, LEAVING, ids, media_type=MEDIA_TYPE, patched=patched)
    assert not await acme.callers.is_live(session)

    await replay(acme, RETURNING_AND_GOING, ids, media_type=MEDIA_TYPE, patched=patched)
    assert not await acme.callers.is_live(session)


@PROFILES
async def test_groups(acme: Tenant, profile: str, patched: int) -> None:
    """A group is pushed, filled, renamed into one that gives a role, emptied and deleted."""
    await with_profile(acme, profile)
    ids = await replay(acme, GROUPS, media_type=MEDIA_TYPE, patched=patched)
    assert [await role_of(acme, ids[name]) for name in ("ali", "bea")] == ["guest", "guest"]

    await replay(acme, SHRINKING, ids, media_type=MEDIA_TYPE, patched=patched)
    assert [await role_of(acme, ids[name]) for name in ("ali", "bea")] == ["member", "member"]


@PROFILES
@pytest.mark.parametrize(
    ("conversation", "name", "role"),
    [
        (ONE_ROLE, "cem", "financial-admin"),
        (ROLES_ADDED, "dia", "guest"),
        (ROLES_REPLACED, "eli", "technical-admin"),
    ],
    ids=["single", "complex", "assertive"],
)
async def test_roles(acme: Tenant, profile: str, patched: int, conversation: list[Turn], name: str, role: str) -> None:
    """Each of the three expressions for roles gives the role that was assigned last."""
    await with_profile(acme, profile)
    ids = await replay(acme, conversation, media_type=MEDIA_TYPE, patched=patched)
    assert await role_of(acme, ids[name]) == role


async def test_what_only_its_profile_reads(acme: Tenant) -> None:
    """Values without quotes, attributes that nobody has declared, and group names of which there is one each."""
    await replay(await with_profile(acme, "entra"), ONLY_ENTRA, media_type=MEDIA_TYPE, patched=204)


async def test_microsofts_own_checks(acme: Tenant) -> None:
    """The calls of Microsoft's Postman collection are answered as its tests expect."""
    await replay(await with_profile(acme, "entra"), POSTMAN, patched=204)

    junk = await acme.scim.post("/Users", content='{"acve": tre, "userName"', headers={"Content-Type": MEDIA_TYPE})
    refused(junk, 400, "invalidSyntax")
