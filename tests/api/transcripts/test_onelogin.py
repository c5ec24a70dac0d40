"""OneLogin, from "Step 2. Implement RESTful SCIM APIs for Your App" of its SCIM guide for developers.

What a body looks like is up to the "SCIM JSON Template" of the connector ("SCIM Provisioner with SAML (SCIM v2
Enterprise)"); the one used here is of the kind that applications publish, with its placeholders filled in.
"""

import pytest

from api.transcripts.talk import Turn, found, replay, role_of, with_profile
from factories import PATCH_OP, USER, Tenant

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MEDIA_TYPE = "application/json"


def person(active: str, family_name: str, emails: object) -> dict[str, object]:
    """The template, filled in: `active` is a string in it, the manager has names of OneLogin's own, `id` is null."""
    return {
        ENTERPRISE: {
            "department": "Finance",
            "manager": {"managerId": "4711", "displayName": "Uma Reed"},
        },
        "active": active,
        "emails": emails,
        "meta": {"resourceType": "User"},
        "name": {"familyName": family_name, "givenName": "Omar", "formatted": f"Omar {family_name}"},
        "title": "",
        "userName": "omar@onelogin.test",
        "id": None,
        "schemas": [USER],
    }


def change(*operations: dict[str, object]) -> dict[str, object]:
    """The body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


IN_A_LIST = [{"value": "omar@onelogin.test", "type": "work", "primary": True}]
BARE = {"value": "omar@onelogin.test", "type": "work", "primary": True}

CONNECTION = [Turn("GET /Users", query={"filter": 'userName eq "someone-who-is-not-there"'}, answers=found())]
"""Example API Flow, initial connection: somebody known not to exist; nobody is what has to be answered."""

JOINING = [
    Turn("GET /Users", query={"filter": 'userName eq "omar@onelogin.test"'}, answers=found()),
    Turn(
        "POST /Users",
        person("true", "Reed", IN_A_LIST),
        answers={
            "userName": "omar@onelogin.test",
            "active": True,
            "emails": IN_A_LIST,
            ENTERPRISE: {"department": "Finance"},
        },
        keep="omar",
    ),
    Turn("GET /Users/<omar>", answers={"id": "<omar>"}),
    Turn("POST /Users", person("true", "Reed", IN_A_LIST), status=409),
    Turn("GET /Users", query={"filter": 'userName eq "omar@onelogin.test"'}, answers=found({"id": "<omar>"})),
]
"""Get User with userName filter, Create User, Get User by ID."""

MOVING = [
    Turn(
        "PUT /Users/<omar>",
        person("true", "Oldman", BARE),
        answers={"name": {"familyName": "Oldman"}, "emails": IN_A_LIST, "active": True},
    ),
]
"""Update User."""

LEAVING = [
    Turn("PUT /Users/<omar>", person("false", "Oldman", IN_A_LIST), answers={"active": False}),
    Turn("GET /Users", query={"filter": 'userName eq "omar@onelogin.test"'}, answers=found({"active": False})),
    Turn(
        "PATCH /Users/<omar>",
        change({"op": "replace", "path": "active", "value": False}),
        answers={"active": False},
    ),
]
"""A suspended user, by Update User or by PATCH; to say it twice is to say it once."""

RETURNING_AND_GOING = [
    Turn("PUT /Users/<omar>", person("true", "Oldman", IN_A_LIST), answers={"active": True}),
    Turn("DELETE /Users/<omar>"),
    Turn("GET /Users/<omar>", status=404),
]
"""The user is restored, and in the end deleted: Delete User."""

GROUPS = [
    Turn("GET /Groups", answers=found()),
    Turn(
        "POST /Groups",
        {"schemas": [GROUP], "displayName": "dart-guests", "members": []},
        answers={"displayName": "dart-guests"},
        keep="guests",
    ),
    Turn("GET /Groups", answers=found({"id": "<guests>", "displayName": "dart-guests"})),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "add", "path": "members", "value": [{"value": "<omar>"}]}),
        answers={"members": [{"value": "<omar>"}]},
    ),
]
"""Get Groups, which fills the list that rules choose from; Create Group; Patch Group."""

REMOVALS = {
    "by path": {"op": "remove", "path": 'members[value eq "<omar>"]'},
    "by value": {"op": "remove", "path": "members", "value": [{"value": "<omar>"}]},
}

ENTITLEMENTS = [
    Turn(
        "POST /Users",
        {**person("true", "Reed", IN_A_LIST), "roles": "dart-technical-admin"},
        answers={"roles": [{"value": "dart-technical-admin"}]},
        keep="omar",
    ),
    Turn(
        "PUT /Users/<omar>",
        {**person("true", "Reed", IN_A_LIST), "roles": ["dart-financial-admin"]},
        answers={"roles": [{"value": "dart-financial-admin"}]},
    ),
]
"""A custom parameter mapped to `roles`, one value or several, as the template has it."""


async def test_a_person(acme: Tenant) -> None:
    """Somebody joins, moves, is suspended, returns and is deleted; suspension ends their sessions for good."""
    await with_profile(acme, "onelogin")
    ids = await replay(acme, CONNECTION + JOINING + MOVING, media_type=MEDIA_TYPE)
    session = await acme.session({"id": ids["omar"]})

    await replay(acme, LEAVING, ids, media_type=MEDIA_TYPE)
    assert not await acme.callers.is_live(session)

    await replay(acme, RETURNING_AND_GOING, ids, media_type=MEDIA_TYPE)


@pytest.mark.parametrize("removal", REMOVALS.values(), ids=REMOVALS)
async def test_groups(acme: Tenant, removal: dict[str, object]) -> None:
    """A group that a rule puts somebody into gives its role for as long as they are in it."""
    ids = await replay(acme, JOINING + GROUPS, media_type=MEDIA_TYPE)
    assert await role_of(acme, ids["omar"]) == "guest"

    await replay(
        acme, [Turn("PATCH /Groups/<guests>", change(removal), answers={"members": []})], ids, media_type=MEDIA_TYPE
    )
    assert await role_of(acme, ids["omar"]) == "member"


async def test_roles(acme: Tenant) -> None:
    """A role that a parameter names is the person's role."""
    ids = await replay(acme, ENTITLEMENTS, media_type=MEDIA_TYPE)
    assert await role_of(acme, ids["omar"]) == "financial-admin"
