"""Roles: what the provider's names make of a person, by the rule `dart-`."""

from typing import Any

import httpx
import pytest

from api.expect import done, refused
from factories import DART_RULE, Callers, Tenant, a_tenant, deactivation, patch_op

CONFLICT = [{"value": "dart-admins"}, {"value": "dart-guests"}]


async def role(tenant: Tenant, person: dict[str, Any]) -> str:
    """The role somebody has, and why."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{person['id']}")
    assert answer.status_code == 200, answer.text
    return f"{answer.json()['role']} by {answer.json()['role_origin']}"


async def cases(tenant: Tenant, *, closed: bool = False) -> list[dict[str, Any]]:
    """The tenant's conflict cases."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/conflict-cases", params={"closed": closed})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def patch(tenant: Tenant, person: dict[str, Any], *operations: dict[str, Any]) -> httpx.Response:
    """Send a PATCH."""
    return await tenant.scim.patch(f"/Users/{person['id']}", json=patch_op(*operations))


async def say(tenant: Tenant, person: dict[str, Any], roles: Any) -> httpx.Response:
    """Have the provider name these roles and no others."""
    return await patch(tenant, person, {"op": "replace", "path": "roles", "value": roles})


async def manage(tenant: Tenant, person: dict[str, Any], verb: str, body: Any = None) -> httpx.Response:
    """Act as ops in the management API."""
    method, _, what = verb.partition(" ")
    address = f"{tenant.v1}/people/{person['id']}/{what}"
    return await tenant.callers.operator.request(method, address, json={} if body is None else body)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([{"value": "dart-admins"}], "admin"),
        (["dart-members"], "member"),
        ("dart-guests", "guest"),
        ({"value": "dart-guest"}, "guest"),
        (["DART_MEMBER"], "member"),
        (["Dart-Technical_Admins"], "technical-admin"),
        (["dart_financial-ADMIN"], "financial-admin"),
        ([{"value": "dart-guests", "primary": True}, {"value": "Everybody"}], "guest"),
        ([{"value": "dart-guests", "primary": "True"}], "guest"),
        ([{"value": '{"id": "1", "value": "dart-guests", "displayName": "Guests"}'}], "guest"),
        (['{"value": "dart-guests"}'], "guest"),
        ([{"display": "dart-guests"}], "guest"),
        ([{"displayName": "dart-guests", "id": "1"}], "guest"),
        (["dart-guests", "DART_GUEST"], "guest"),
    ],
)
async def test_shapes(acme: Tenant, roles: Any, expected: str) -> None:
    """A role is understood in every shape and spelling, in POST, PUT and PATCH, and given back as it is stored."""
    created = await acme.person("maria", roles=roles)
    put, patched = await acme.person("put"), await acme.person("patched")
    replaced = done(await acme.scim.put(f"/Users/{put['id']}", json={"userName": "put", "roles": roles}))
    after = done(await say(acme, patched, roles))

    assert [await role(acme, person) for person in (created, put, patched)] == [f"{expected} by provider"] * 3
    assert created["roles"] == replaced["roles"] == after["roles"]
    assert all(set(entry) <= {"value", "display", "type", "primary"} for entry in created["roles"])


async def test_entras_path(acme: Tenant) -> None:
    """Entra's filter with a boolean in quotes reaches the role, and changes it later."""
    person = await acme.person("maria")
    for name in ("dart-guests", "dart-admins"):
        done(await patch(acme, person, {"op": "Add", "path": 'roles[primary eq "True"].value', "value": name}))

    assert await role(acme, person) == "admin by provider"


@pytest.mark.parametrize("roles", [[], ["Everybody"], ["Dart Players"], ["dartmembers"], ["x-dart-members"], ["dart-"]])
async def test_no_valid_role(acme: Tenant, roles: list[str]) -> None:
    """Without a valid role a person has the default one."""
    person = await acme.person("maria", roles=roles)

    assert (await role(acme, person)).partition(" ")[0] == "member"


async def test_ungrantable_name(acme: Tenant) -> None:
    """A prefixed name that no role has means the default when it stands alone, and a conflict beside a role."""
    person = await acme.person("maria", roles=["dart-emperors"])

    assert await role(acme, person) == "member by default"
    refused(await say(acme, person, ["dart-emperors", "dart-guests"]), 400, "invalidValue", "dart-emperors")
    refused(await say(acme, person, ["dart-emperors", "dart-queens"]), 400, "invalidValue", "dart-queens")


async def test_conflict_is_refused_whole(acme: Tenant) -> None:
    """More than one role is 400 invalidValue naming roles and where they come from, and nothing of it happens."""
    person = await acme.person("maria", roles=["dart-members"])
    address = f"/Users/{person['id']}"

    for answer in (
        await patch(acme, person, {"op": "replace", "value": {"displayName": "Changed", "roles": CONFLICT}}),
        await patch(acme, person, {"op": "add", "path": "roles", "value": ["dart-admins"]}),
        await acme.scim.put(address, json={"userName": "changed", "roles": CONFLICT}),
        await acme.scim.post("/Users", json={"userName": "new", "roles": CONFLICT}),
    ):
        detail = refused(answer, 400, "invalidValue", "in roles")["detail"]
        assert "dart-admins" in detail
        assert "admin" in detail

    assert done(await acme.scim.get(address)) == person
    assert await role(acme, person) == "member by provider"
    assert done(await acme.scim.get("/Users"))["totalResults"] == 2


async def test_case_is_opened_counted_and_closed(acme: Tenant) -> None:
    """A refused conflict opens a case, repeating it counts, and a change without it closes it."""
    person = await acme.person("maria")
    for _ in range(3):
        refused(await say(acme, person, CONFLICT), 400, "invalidValue")

    (case,) = await cases(acme)
    assert (case["user_id"], case["user_name"], case["times"]) == (person["id"], "maria", 3)
    assert case["roles"] == ["admin", "guest"]
    assert {(name["name"], name["source"]) for name in case["names"]} == {
        ("dart-admins", "roles"),
        ("dart-guests", "roles"),
    }
    assert case["first_seen"] < case["last_seen"]
    done(await say(acme, person, ["dart-admins"]))
    assert await cases(acme) == []
    assert [closed["id"] for closed in await cases(acme, closed=True)] == [case["id"]]
    assert (await acme.audit(action="scim.users.patch"))[0]["events"][-1] == "conflict.closed"


async def test_case_of_somebody_who_is_not_there_yet(acme: Tenant) -> None:
    """A refused creation opens a case too, which the creation that succeeds closes."""
    body = {"userName": "Maria", "roles": CONFLICT}
    for _ in range(2):
        refused(await acme.scim.post("/Users", json=body), 400, "invalidValue")

    (case,) = await cases(acme)
    assert (case["user_id"], case["user_name"], case["times"]) == (None, "Maria", 2)
    await acme.person("maria", roles=["dart-guests"])
    assert await cases(acme) == []


async def test_case_goes_with_the_person(acme: Tenant) -> None:
    """Removing the person closes their case."""
    person = await acme.person("maria")
    await say(acme, person, CONFLICT)

    await acme.scim.delete(f"/Users/{person['id']}")

    assert await cases(acme) == []


async def test_holding(callers: Callers) -> None:
    """A tenant that holds stores a conflict, keeps the role from before and opens the case."""
    tenant = await a_tenant(callers, rule={**DART_RULE, "on_conflict": "hold"})
    person = await tenant.person("maria", roles=["dart-guests"])

    stored = done(await say(tenant, person, CONFLICT))

    assert stored["roles"] == CONFLICT
    assert await role(tenant, person) == "guest by provider"
    assert len(await cases(tenant)) == 1
    done(await say(tenant, person, ["dart-admins"]))
    assert await role(tenant, person) == "admin by provider"
    assert await cases(tenant) == []


async def test_holding_a_new_person(callers: Callers) -> None:
    """Where conflicts are held, a new person with one has the default role and a case."""
    tenant = await a_tenant(callers, rule={**DART_RULE, "on_conflict": "hold"})

    person = await tenant.person("maria", roles=CONFLICT)

    assert (await role(tenant, person)).partition(" ")[0] == "member"
    assert [case["user_id"] for case in await cases(tenant)] == [person["id"]]


async def test_by_hand_until_the_provider_speaks(acme: Tenant) -> None:
    """A role given by hand stays until the provider first names one, and then the provider decides for good."""
    person = await acme.person("maria")
    await manage(acme, person, "POST role", {"role": "admin"})
    done(await patch(acme, person, {"op": "add", "path": "title", "value": "Dr"}))
    done(await say(acme, person, ["Everybody"]))
    assert await role(acme, person) == "admin by hand"

    done(await say(acme, person, ["dart-guests"]))
    assert await role(acme, person) == "guest by provider"

    done(await say(acme, person, []))
    assert await role(acme, person) == "member by default"


async def test_first_sync_demotes_nobody(acme: Tenant) -> None:
    """The admin who set it up stays one when the provider first describes them without a role."""
    body = {"userName": acme.admin["user_name"], "displayName": "Ada", "active": True}

    done(await acme.scim.put(f"/Users/{acme.admin['scim_id']}", json=body))

    assert await role(acme, {"id": acme.admin["id"]}) == "admin by hand"
    done(await acme.scim.get("/Users"))


async def test_override(acme: Tenant) -> None:
    """A change by hand of a role that the provider manages holds, marked, until it is lifted."""
    person = await acme.person("maria", roles=["dart-guests"])
    await manage(acme, person, "POST role", {"role": "technical-admin"})
    assert await role(acme, person) == "technical-admin by override"

    done(await say(acme, person, ["dart-members"]))
    assert await role(acme, person) == "technical-admin by override"

    lifted = await manage(acme, person, "DELETE role-override")
    assert lifted.status_code == 200
    assert await role(acme, person) == "member by provider"


async def test_losing_the_admins_role_stops_the_token(acme: Tenant) -> None:
    """Whoever is no longer an admin, by the provider's word, loses the tokens they own at the next call."""
    done(await say(acme, {"id": acme.admin["scim_id"]}, ["dart-members"]))

    refused(await acme.scim.get("/Users"), 401, saying="admin")


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
async def test_deactivation_is_never_refused_for_roles(acme: Tenant, verb: str) -> None:
    """A deactivation with conflicting roles is obeyed and stored, the role stays, and the case opens."""
    person = await acme.person("maria", roles=["dart-guests"])
    session = await acme.session(person)

    if verb == "PUT":
        body = {"userName": "maria", "active": False, "roles": CONFLICT}
        after = done(await acme.scim.put(f"/Users/{person['id']}", json=body))
    else:
        after = done(await patch(acme, person, {"op": "replace", "value": {"active": False, "roles": CONFLICT}}))

    assert (after["active"], after["roles"]) == (False, CONFLICT)
    assert await role(acme, person) == "guest by provider"
    assert not await acme.callers.is_live(session)
    assert len(await cases(acme)) == 1


async def test_reactivation_waits_for_the_conflict(acme: Tenant) -> None:
    """Somebody deactivated with conflicting roles is let in, by whomever, only once the conflict is resolved."""
    person = await acme.person("maria")
    done(await patch(acme, person, {"op": "replace", "value": {"active": False, "roles": CONFLICT}}))
    back = {"op": "replace", "path": "active", "value": True}

    refused(await patch(acme, person, back), 400, "invalidValue", "dart-guests")
    refused(await acme.scim.put(f"/Users/{person['id']}", json={**person, "roles": CONFLICT}), 400, "invalidValue")
    by_hand = await manage(acme, person, "POST reactivate")
    assert (by_hand.status_code, by_hand.json()["code"]) == (409, "conflict")

    done(await say(acme, person, ["dart-admins"]))
    assert await cases(acme) == []
    assert done(await patch(acme, person, back))["active"] is True
    assert await role(acme, person) == "admin by provider"


async def test_other_changes_of_somebody_inactive(acme: Tenant) -> None:
    """Changes that leave an inactive person's conflicting roles alone are carried out and don't count the case."""
    person = await acme.person("maria")
    done(await patch(acme, person, {"op": "replace", "value": {"active": False, "roles": CONFLICT}}))

    done(await patch(acme, person, {"op": "replace", "path": "title", "value": "Dr"}))

    assert [case["times"] for case in await cases(acme)] == [1]


async def test_resolved_in_one_change(acme: Tenant) -> None:
    """Reactivation and resolution may come in one change."""
    person = await acme.person("maria")
    done(await patch(acme, person, {"op": "replace", "value": {"active": False, "roles": CONFLICT}}))

    done(await patch(acme, person, {"op": "replace", "value": {"active": True, "roles": ["dart-guests"]}}))

    assert await role(acme, person) == "guest by provider"
    assert await cases(acme) == []


async def test_edited_rule(acme: Tenant) -> None:
    """When an edit of the rule makes existing people conflict, they keep their role, and cases open."""
    person = await acme.person("maria", roles=["dart-admins", "staff", "sport-guests"])
    rule = {**DART_RULE, "roles": {**DART_RULE["roles"]}}
    rule["roles"]["guest"] = {"label": "Guest", "names": ["guests"], "aliases": ["Sport-Guests"]}

    edited = await acme.callers.operator.put(f"{acme.v1}/role-rule", json=rule)

    assert edited.status_code == 200
    assert await role(acme, person) == "admin by provider"
    (case,) = await cases(acme)
    assert (case["user_id"], case["roles"]) == (person["id"], ["admin", "guest"])
    done(await patch(acme, person, {"op": "add", "path": "title", "value": "Dr"}))
    assert len(await cases(acme)) == 1, "a change that does not touch the names leaves the case open"
    await acme.callers.operator.put(f"{acme.v1}/role-rule", json=DART_RULE)
    assert await cases(acme) == []


async def test_edited_rule_gives_other_roles(acme: Tenant) -> None:
    """An edit of the rule reaches everybody at once, by the names their provider has said."""
    person = await acme.person("maria", roles=["team-admins"])
    assert (await role(acme, person)).partition(" ")[0] == "member"

    await acme.callers.operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "prefix": "team-"})

    assert await role(acme, person) == "admin by provider"


async def test_sources(callers: Callers) -> None:
    """A rule that does not read `roles` gives nobody a role by them, and finds no conflict there."""
    tenant = await a_tenant(callers, rule={**DART_RULE, "sources": ["groups"]})

    person = await tenant.person("maria", roles=CONFLICT)

    assert await role(tenant, person) == "member by default"


async def test_custom_names(callers: Callers) -> None:
    """Exact names that a tenant has mapped count without a prefix, in any case."""
    roles = {"boss": {"label": "Boss", "admin": True, "aliases": ["acme-it-bosses"]}, "user": {"label": "User"}}
    tenant = await a_tenant(callers, rule={"roles": roles, "default": "user"})

    person = await tenant.person("maria", roles=["ACME-IT-Bosses"])

    assert await role(tenant, person) == "boss by provider"


async def test_explain(acme: Tenant) -> None:
    """`explain` says which names were seen, from where, how they were read, and the role they give."""
    person = await acme.person("maria", roles=["dart-guests", "Everybody"])

    said = (await manage(acme, person, "GET explain")).json()

    assert (said["role"], said["label"], said["origin"], said["managed"]) == ("guest", "Guest", "provider", True)
    assert {(name["name"], name["source"], name["kind"], name["role"]) for name in said["names"]} == {
        ("dart-guests", "roles", "role", "guest"),
        ("Everybody", "roles", "ignored", None),
    }
    assert said["conflict"] is None


async def test_explain_a_conflict(acme: Tenant) -> None:
    """`explain` names a stored conflict, and why the role is what it is all the same."""
    person = await acme.person("maria", roles=["dart-guests"])
    done(await patch(acme, person, {"op": "replace", "value": {"active": False, "roles": CONFLICT}}))

    said = (await manage(acme, person, "GET explain")).json()

    assert said["role"] == "guest"
    assert "dart-admins" in said["conflict"]
    assert "kept" in said["why"]


async def test_introspection_knows_the_new_role(acme: Tenant) -> None:
    """The role an open session has is the one that its person has at that moment."""
    person = await acme.person("maria", roles=["dart-guests"])
    session = await acme.session(person)
    done(await say(acme, person, ["dart-admins"]))

    answer = await acme.callers.product.post("/oauth/introspect", data={"token": session})

    assert answer.json()["role"] == "admin"


async def test_deactivating_with_the_usual_patch(acme: Tenant) -> None:
    """The PATCH that providers send when somebody leaves does not touch the role."""
    person = await acme.person("maria", roles=["dart-admins"])

    done(await acme.scim.patch(f"/Users/{person['id']}", json=deactivation()))

    assert await role(acme, person) == "admin by provider"
