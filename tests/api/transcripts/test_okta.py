"""Okta, from its reference "Okta and SCIM Version 2.0", unless a list says otherwise.

Integrations of Okta's catalogue and those made with its App Integration Wizard differ: these send PUT wherever those
send PATCH.
"""

import asyncio

from api.expect import refused
from api.transcripts.talk import Turn, found, replay, role_of, with_profile
from factories import PATCH_OP, USER, Tenant

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MEDIA_TYPE = "application/scim+json; charset=UTF-8"
PAGE = {"startIndex": "1", "count": "100"}
PIA = {
    "schemas": [USER],
    "userName": "pia@okta.test",
    "name": {"givenName": "Pia", "familyName": "Lark"},
    "emails": [{"primary": True, "value": "pia@okta.test", "type": "work"}],
    "displayName": "Pia Lark",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "active": True,
}


def change(*operations: dict[str, object]) -> dict[str, object]:
    """The body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


CONNECTION = [
    Turn("GET /Users", query={"startIndex": "1", "count": "2"}, answers={"totalResults": 1, "startIndex": 1}),
    Turn("GET /Groups", query=PAGE, answers=found()),
]
"""What is asked when provisioning is switched on, as the reference of version 1.1 tells it under Create Users."""

JOINING = [
    Turn("GET /Users", query={"filter": 'userName eq "pia@okta.test"', **PAGE}, answers=found()),
    Turn(
        "POST /Users",
        {**PIA, "groups": [], "password": "1mz050nq"},
        answers={**PIA, "meta": {"resourceType": "User"}},
        lacks=["password"],
        keep="pia",
    ),
    Turn("POST /Users", {**PIA, "groups": [], "password": "1mz050nq"}, status=409),
    Turn("GET /Users", query={"filter": 'userName eq "pia@okta.test"', **PAGE}, answers=found({"id": "<pia>"})),
    Turn("GET /Users/<pia>", answers={"id": "<pia>", "active": True}),
]
"""Determine if the User already exists, Create the User, Retrieve a specific User."""

BY_EMAIL = [
    Turn("GET /Users", query={"filter": 'email eq "PIA@okta.test"', **PAGE}, answers=found({"id": "<pia>"})),
    Turn("GET /Users", query={"filter": 'emails.value eq "pia@okta.test"', **PAGE}, answers=found({"id": "<pia>"})),
    Turn("GET /Users", query={"filter": 'emails eq "pia@okta.test"', **PAGE}, answers=found({"id": "<pia>"})),
]
"""The same question where `email` is the unique identifier field of the integration."""

MOVING = [
    Turn(
        "PUT /Users/<pia>",
        {
            **PIA,
            "id": "<pia>",
            "name": {"givenName": "Pia", "middleName": "Rosa", "familyName": "Lark"},
            "emails": [{"primary": True, "value": "pia@okta.test", "type": "work", "display": "pia@okta.test"}],
            "groups": [],
            "meta": {"resourceType": "User"},
        },
        answers={"name": {"middleName": "Rosa", "familyName": "Lark"}, "active": True},
    ),
]
"""Update a specific User (PUT)."""

LEAVING = [
    Turn("PATCH /Users/<pia>", change({"op": "replace", "value": {"active": False}}), answers={"active": False}),
    Turn("GET /Users/<pia>", answers={"active": False}),
]
"""Update a specific User (PATCH): deactivation in the catalogue's integrations."""

RETURNING = [
    Turn("GET /Users", query={"filter": 'userName eq "pia@okta.test"', **PAGE}, answers=found({"active": False})),
    Turn("PATCH /Users/<pia>", change({"op": "replace", "value": {"active": True}}), answers={"active": True}),
    Turn("PATCH /Users/<pia>", change({"op": "replace", "value": {"password": "9wq1"}}), lacks=["password"]),
]
"""Reactivation, and the new password that follows it."""

BY_WIZARD = [
    Turn("PUT /Users/<pia>", {**PIA, "id": "<pia>", "active": False, "groups": []}, answers={"active": False}),
    Turn("PUT /Users/<pia>", {**PIA, "id": "<pia>", "active": True, "groups": []}, answers={"active": True}),
]
"""Delete Users: an integration made with the wizard deactivates by PUT."""

GROUPS = [
    Turn("POST /Users", {**PIA, "userName": "quinn@okta.test", "externalId": "00u2"}, keep="quinn"),
    Turn("GET /Groups", query={"filter": 'displayName eq "dart-guests"', **PAGE}, answers=found()),
    Turn(
        "POST /Groups",
        {"schemas": [GROUP], "displayName": "Guests", "members": []},
        answers={"displayName": "Guests", "members": [], "meta": {"resourceType": "Group"}},
        keep="guests",
    ),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "add", "path": "members", "value": [{"value": "<pia>", "display": "pia@okta.test"}]}),
        answers={"members": [{"value": "<pia>"}]},
    ),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "replace", "value": {"id": "<guests>", "displayName": "dart-guests"}}),
        answers={"displayName": "dart-guests", "members": [{"value": "<pia>"}]},
    ),
    Turn(
        "PATCH /Groups/<guests>",
        change(
            {"op": "remove", "path": 'members[value eq "<pia>"]'},
            {"op": "add", "path": "members", "value": [{"value": "<quinn>", "display": "quinn@okta.test"}]},
        ),
        answers={"members": [{"value": "<quinn>"}]},
    ),
    Turn("GET /Groups/<guests>", answers={"displayName": "dart-guests", "members": [{"value": "<quinn>"}]}),
]
"""Create Groups, Update a specific Group name, Update specific Group membership."""

PUSH_NOW = [
    Turn(
        "PATCH /Groups/<guests>",
        change(
            {
                "op": "replace",
                "path": "members",
                "value": [
                    {"value": "<pia>", "display": "pia@okta.test"},
                    {"value": "<quinn>", "display": "quinn@okta.test"},
                ],
            }
        ),
        answers={"members": [{"value": "<pia>"}, {"value": "<quinn>"}]},
    ),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "replace", "path": "members", "value": []}),
        answers={"members": []},
    ),
    Turn(
        "PUT /Groups/<guests>",
        {
            "schemas": [GROUP],
            "id": "<guests>",
            "displayName": "dart-guests",
            "members": [{"value": "<pia>", "display": "pia@okta.test"}],
        },
        answers={"members": [{"value": "<pia>"}]},
    ),
    Turn("DELETE /Groups/<guests>"),
    Turn("GET /Groups/<guests>", status=404),
]
"""A full push of the members, also of none; the same by PUT, as the wizard's integrations do; Delete a Group."""


SPECIFICATION = [
    Turn("POST /Users", PIA, keep="pia"),
    Turn("GET /Users", query={"count": "1", "startIndex": "1"}, answers={"itemsPerPage": 1, "startIndex": 1}),
    Turn(
        "GET /Users",
        query={"count": "1", "startIndex": "2"},
        answers=found(
            {
                "id": "<pia>",
                "userName": "pia@okta.test",
                "active": True,
                "name": {"familyName": "Lark", "givenName": "Pia"},
                "emails": [{"value": "pia@okta.test"}],
            },
            total=2,
        ),
    ),
    Turn("GET /Users/<pia>", answers={"id": "<pia>", "active": True, "name": {"familyName": "Lark"}}),
    Turn("GET /Users", query={"filter": 'userName eq "nobody@okta.test"'}, answers=found()),
    Turn("GET /Users/00919288221112222", status=404),
    Turn("POST /Users", {**PIA, "emails": [{"primary": True, "value": "pia@lark.test", "type": "work"}]}, status=409),
    Turn("GET /Users", query={"filter": 'userName eq "PIA@OKTA.TEST"'}, answers=found({"id": "<pia>"})),
    Turn("GET /Groups", answers=found()),
]
"""Okta's "SCIM 2.0 Spec Test", to be imported into BlazeMeter (Runscope), in its order."""


async def test_oktas_own_checks(acme: Tenant) -> None:
    """The specification test for the catalogue is passed, whatever the bodies call themselves."""
    await replay(acme, SPECIFICATION, media_type="application/json")

    for header in ("non-token", "Basic cGlhOmxhcms=", "Bearer non-token"):
        answer = await acme.scim.get("/Users", headers={"Authorization": header})
        refused(answer, 401)


async def test_a_person(acme: Tenant) -> None:
    """Somebody joins, moves, leaves and returns; leaving ends their sessions for good."""
    await with_profile(acme, "okta")
    ids = await replay(acme, CONNECTION + JOINING + BY_EMAIL + MOVING, media_type=MEDIA_TYPE)
    session = await acme.session({"id": ids["pia"]})

    await replay(acme, LEAVING, ids, media_type=MEDIA_TYPE)
    assert not await acme.callers.is_live(session)

    await replay(acme, RETURNING, ids, media_type=MEDIA_TYPE)
    assert not await acme.callers.is_live(session)


async def test_a_person_by_put(acme: Tenant) -> None:
    """With an integration made by the wizard somebody leaves and returns by PUT."""
    ids = await replay(acme, JOINING, media_type=MEDIA_TYPE)
    session = await acme.session({"id": ids["pia"]})

    await replay(acme, BY_WIZARD, ids, media_type=MEDIA_TYPE)

    assert not await acme.callers.is_live(session)


async def test_groups(acme: Tenant) -> None:
    """A pushed group that is renamed into one with a role gives it to whoever is in it then."""
    ids = await replay(acme, JOINING + GROUPS, media_type=MEDIA_TYPE)
    assert [await role_of(acme, ids[name]) for name in ("pia", "quinn")] == ["member", "guest"]

    await replay(acme, PUSH_NOW, ids, media_type=MEDIA_TYPE)
    assert [await role_of(acme, ids[name]) for name in ("pia", "quinn")] == ["member", "member"]


async def test_an_import(acme: Tenant) -> None:
    """Retrieve Users and Retrieve Groups: pages of a hundred give everybody once, in an order that stays."""
    people = await asyncio.gather(*(acme.person() for _ in range(101)))
    ids = await replay(
        acme, [Turn("POST /Groups", {"schemas": [GROUP], "displayName": "Everybody", "members": []}, keep="group")]
    )

    first, second = [
        (await acme.scim.get("/Users", params={"startIndex": start, "count": 100})).json() for start in (1, 101)
    ]
    assert (first["totalResults"], first["itemsPerPage"], second["startIndex"]) == (102, 100, 101)
    imported = [person["id"] for page in (first, second) for person in page["Resources"]]
    assert len(imported) == 102
    assert set(imported) > {person["id"] for person in people}
    await replay(acme, [Turn("GET /Groups", query=PAGE, answers=found({"id": "<group>"}))], ids)
