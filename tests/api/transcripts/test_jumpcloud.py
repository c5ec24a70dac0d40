"""JumpCloud, from its article "Identity Management using a Custom SCIM Integration".

The article says which calls there are and in what order; JumpCloud publishes no bodies, and those here are of the plain
shape of the RFC, members with nothing but their `value`.
"""

from api.transcripts.talk import Turn, found, replay, role_of, with_profile
from factories import PATCH_OP, USER, Tenant

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MEDIA_TYPE = "application/json"


def person(name: str, *, active: bool, family_name: str = "Kay") -> dict[str, object]:
    """Somebody with the attributes that the integration maps."""
    return {
        "schemas": [USER],
        "userName": f"{name}@jumpcloud.test",
        "externalId": f"5f{name}",
        "displayName": f"{name.title()} {family_name}",
        "name": {"givenName": name.title(), "familyName": family_name},
        "emails": [{"value": f"{name}@jumpcloud.test", "type": "work", "primary": True}],
        "active": active,
    }


def change(*operations: dict[str, object]) -> dict[str, object]:
    """The body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


CONNECTION = [
    Turn("GET /Users", query={"startIndex": "1", "count": "1"}, answers={"totalResults": 1}),
    Turn("GET /Users", query={"filter": 'userName eq "probe@jumpcloud.test"'}, answers=found()),
    Turn("POST /Users", person("probe", active=True), answers={"active": True}, keep="probe"),
    Turn("GET /Users/<probe>", answers={"id": "<probe>"}),
    Turn(
        "PUT /Users/<probe>", person("probe", active=True, family_name="Twice"), answers={"displayName": "Probe Twice"}
    ),
    Turn("GET /Groups", query={"startIndex": "1", "count": "1"}, answers=found()),
    Turn("POST /Groups", {"schemas": [GROUP], "displayName": "JumpCloud probe"}, keep="probes"),
    Turn(
        "PATCH /Groups/<probes>",
        change({"op": "add", "path": "members", "value": [{"value": "<probe>"}]}),
        answers={"members": [{"value": "<probe>"}]},
    ),
    Turn(
        "PATCH /Groups/<probes>",
        change({"op": "remove", "path": "members", "value": [{"value": "<probe>"}]}),
        answers={"members": []},
    ),
    Turn("DELETE /Groups/<probes>"),
    Turn("PUT /Users/<probe>", person("probe", active=False), answers={"active": False}),
    Turn("DELETE /Users/<probe>"),
    Turn("GET /Users", query={"filter": 'userName eq "probe@jumpcloud.test"'}, answers=found()),
]
"""Considerations: testing the connection makes a test user and a test group, and deletes both."""

JOINING = [
    Turn("GET /Users", query={"filter": 'userName eq "zoe@jumpcloud.test"'}, answers=found()),
    Turn("POST /Users", person("zoe", active=True), answers=person("zoe", active=True), keep="zoe"),
    Turn("POST /Users", person("zoe", active=True), status=409),
    Turn("GET /Users", query={"filter": 'userName eq "zoe@jumpcloud.test"'}, answers=found({"id": "<zoe>"})),
]
"""The events user_lookup_provision and user_create_provision; somebody who exists is looked up and taken over."""

MOVING = [
    Turn("PUT /Users/<zoe>", person("zoe", active=True, family_name="Kelp"), answers={"name": {"familyName": "Kelp"}}),
    Turn(
        "PATCH /Users/<zoe>",
        change(
            {"op": "replace", "path": "name.familyName", "value": "Kraus"},
            {"op": "replace", "path": "title", "value": "Analyst"},
        ),
        answers={"name": {"familyName": "Kraus", "givenName": "Zoe"}, "title": "Analyst"},
    ),
]
"""The event user_update_provision, whole or attribute by attribute."""

LEAVING = [
    Turn(
        "PATCH /Users/<zoe>",
        change({"op": "replace", "path": "active", "value": False}),
        answers={"active": False, "name": {"familyName": "Kraus"}},
    ),
]
"""The event user_deprovision: an existing user becomes inactive."""

RETURNING_AND_GOING = [
    Turn("PUT /Users/<zoe>", person("zoe", active=True), answers={"active": True}),
    Turn("DELETE /Users/<zoe>"),
    Turn("GET /Users/<zoe>", status=404),
]
"""Assigned again, and the event user_delete_provision."""

GROUPS = [
    Turn("POST /Users", person("yan", active=True), keep="yan"),
    Turn("GET /Groups", query={"filter": 'displayName eq "dart-guests"'}, answers=found()),
    Turn("POST /Groups", {"schemas": [GROUP], "displayName": "dart-guests"}, keep="guests"),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "add", "path": "members", "value": [{"value": "<zoe>"}]}),
        answers={"members": [{"value": "<zoe>"}]},
    ),
    Turn(
        "PUT /Groups/<guests>",
        {"schemas": [GROUP], "displayName": "dart-guests", "members": [{"value": "<zoe>"}, {"value": "<yan>"}]},
        answers={"members": [{"value": "<zoe>"}, {"value": "<yan>"}]},
    ),
]
"""The events group_create_provision and group_update_provision."""

SHRINKING = [
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "remove", "path": "members", "value": [{"value": "<zoe>"}]}),
        answers={"members": [{"value": "<yan>"}]},
    ),
    Turn("PUT /Groups/<guests>", {"schemas": [GROUP], "displayName": "Visitors", "members": [{"value": "<yan>"}]}),
    Turn("DELETE /Groups/<guests>"),
    Turn("GET /Groups/<guests>", status=404),
]
"""Members leave, the group gets another name, and the event group_delete_provision."""


async def test_the_connection(acme: Tenant) -> None:
    """The test of the connection works, and leaves nothing behind."""
    await with_profile(acme, "jumpcloud")
    await replay(acme, CONNECTION, media_type=MEDIA_TYPE)


async def test_a_person(acme: Tenant) -> None:
    """Somebody joins, moves, leaves, returns and is deleted; leaving ends their sessions for good."""
    ids = await replay(acme, JOINING + MOVING, media_type=MEDIA_TYPE)
    session = await acme.session({"id": ids["zoe"]})

    await replay(acme, LEAVING, ids, media_type=MEDIA_TYPE)
    assert not await acme.callers.is_live(session)

    await replay(acme, RETURNING_AND_GOING, ids, media_type=MEDIA_TYPE)


async def test_groups(acme: Tenant) -> None:
    """A group with a role's name gives the role to whoever is in it, until they leave or it is called otherwise."""
    ids = await replay(acme, JOINING + GROUPS, media_type=MEDIA_TYPE)
    assert [await role_of(acme, ids[name]) for name in ("zoe", "yan")] == ["guest", "guest"]

    await replay(acme, SHRINKING, ids, media_type=MEDIA_TYPE)
    assert [await role_of(acme, ids[name]) for name in ("zoe", "yan")] == ["member", "member"]
