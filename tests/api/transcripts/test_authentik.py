"""authentik, from its published source: `authentik/providers/scim/clients` and the mappings of its blueprint.

It reads the ServiceProviderConfig before each sync, replaces people whole, and handles members one by one.
"""

from api.transcripts.talk import Turn, found, replay, role_of, with_profile
from factories import PATCH_OP, USER, Tenant

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MAX = {
    "schemas": [USER],
    "externalId": "9f2c7b",
    "userName": "max",
    "name": {"formatted": "Max Moss", "givenName": "Max", "familyName": "Moss"},
    "displayName": "Max Moss",
    "photos": [{"value": "https://auth.example.test/avatar/max.png", "type": "photo"}],
    "emails": [{"value": "max@authentik.test", "type": "other", "primary": True}],
    "active": True,
}
GUESTS = {"schemas": [GROUP], "externalId": "41d0", "displayName": "Guests"}


def change(*operations: dict[str, object]) -> dict[str, object]:
    """The body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def each(op: str, *names: str) -> dict[str, object]:
    """An operation for each member, all in one request."""
    operations: list[dict[str, object]] = [
        {"op": op, "path": "members", "value": [{"value": f"<{name}>"}]} for name in names
    ]
    return change(*operations)


CONFIGURATION = [
    Turn(
        "GET /ServiceProviderConfig",
        answers={"patch": {"supported": True}, "filter": {"supported": True}},
    ),
    Turn("GET /Users", answers={"totalResults": 1, "startIndex": 1}),
    Turn("GET /Groups", answers=found()),
]
"""`SCIMClient.get_service_provider_config`, and the discovery of what is there already."""

JOINING = [
    Turn("POST /Users", MAX, answers=MAX, keep="max"),
    Turn("POST /Users", MAX, status=409),
    Turn("GET /Users", query={"filter": 'userName eq "max"'}, answers=found({"id": "<max>"})),
]
"""`SCIMUserClient.create`, which takes over whoever is there when it hears 409."""

MOVING = [
    Turn("PUT /Users/<max>", {**MAX, "id": "<max>", "displayName": "Max M."}, answers={"displayName": "Max M."}),
]
"""`SCIMUserClient.update`."""

LEAVING = [Turn("PUT /Users/<max>", {**MAX, "id": "<max>", "active": False}, answers={"active": False})]
"""The same for a user who has been set inactive."""

GOING = [
    Turn("PUT /Users/<max>", {**MAX, "id": "<max>"}, answers={"active": True}),
    Turn("DELETE /Users/<max>"),
    Turn("PUT /Users/<max>", {**MAX, "id": "<max>"}, status=404),
    Turn("POST /Users", MAX, answers={"externalId": "9f2c7b"}, keep="max"),
]
"""`SCIMUserClient.delete`; somebody who is not found is created again."""

GROUPS = [
    Turn("POST /Users", {**MAX, "userName": "nia", "externalId": "77aa"}, keep="nia"),
    Turn("POST /Groups", GUESTS, answers={"displayName": "Guests", "externalId": "41d0"}, keep="guests"),
    Turn("GET /Groups", query={"filter": 'displayName eq "Guests"'}, answers=found({"id": "<guests>"})),
    Turn(
        "PATCH /Groups/<guests>",
        each("add", "max", "nia"),
        answers={"members": [{"value": "<max>"}, {"value": "<nia>"}]},
    ),
    Turn("GET /Groups/<guests>", answers={"members": [{"value": "<max>"}, {"value": "<nia>"}]}),
    Turn(
        "PATCH /Groups/<guests>",
        change({"op": "replace", "value": {**GUESTS, "id": "<guests>", "displayName": "dart-guests"}}),
        answers={"displayName": "dart-guests", "members": [{"value": "<max>"}, {"value": "<nia>"}]},
    ),
    Turn("PATCH /Groups/<guests>", each("remove", "max"), answers={"members": [{"value": "<nia>"}]}),
]
"""`SCIMGroupClient.create`, `_patch_add_users`, `_update_patch_general`, `patch_compare_users`."""

OTHER_WAYS = [
    Turn(
        "PATCH /Groups/<guests>",
        change(
            {"op": "replace", "path": "displayName", "value": "Visitors"},
            {"op": "replace", "path": "externalId", "value": "41d1"},
        ),
        answers={"displayName": "Visitors", "externalId": "41d1", "members": [{"value": "<nia>"}]},
    ),
    Turn(
        "PUT /Groups/<guests>",
        {**GUESTS, "id": "<guests>", "members": [{"value": "<max>"}]},
        answers={"displayName": "Guests", "members": [{"value": "<max>"}]},
    ),
    Turn("DELETE /Groups/<guests>"),
    Turn("PATCH /Groups/<guests>", each("add", "max"), status=404),
]
"""`_update_patch_aws`, the mode that names each attribute; `_update_put`; `SCIMGroupClient.delete`."""

FORMERLY = [
    Turn("POST /Users", MAX, keep="max"),
    Turn("GET /Users", query={"filter": "userName eq max"}, answers=found({"id": "<max>"})),
]
"""`SCIMUserClient.create` of releases before the second half of 2025 left the quotes out."""


async def test_a_person(acme: Tenant) -> None:
    """Somebody joins, moves, leaves, is deleted and comes again; leaving ends their sessions for good."""
    ids = await replay(acme, CONFIGURATION + JOINING + MOVING)
    session = await acme.session({"id": ids["max"]})

    await replay(acme, LEAVING, ids)
    assert not await acme.callers.is_live(session)

    after = await replay(acme, GOING, ids)
    assert after["max"] != ids["max"]
    assert not await acme.callers.is_live(session)


async def test_groups(acme: Tenant) -> None:
    """A group gives its role to whoever is in it, in each of the ways that it is written."""
    ids = await replay(acme, JOINING + GROUPS)
    assert [await role_of(acme, ids[name]) for name in ("max", "nia")] == ["member", "guest"]

    await replay(acme, OTHER_WAYS, ids)
    assert [await role_of(acme, ids[name]) for name in ("max", "nia")] == ["member", "member"]


async def test_an_older_release(acme: Tenant) -> None:
    """A release that leaves the quotes out works with the profile that reads such values."""
    await replay(await with_profile(acme, "entra"), FORMERLY, patched=204)
