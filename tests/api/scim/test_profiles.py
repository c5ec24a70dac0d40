"""What a tenant's provider profile changes, and the ledger of what its provider does otherwise than the standard."""

import json
from typing import Any

import pytest

from factories import PATCH_OP, USER, Callers, Tenant, a_tenant, patch_op
from rollcall.scim.profiles import DEVIATIONS
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUP_SCHEMA
from rollcall.scim.values import WITHIN_THE_STANDARD, Deviation


async def with_profile(callers: Callers, profile: str) -> Tenant:
    """A fresh tenant whose provider is read as *profile* says."""
    return await a_tenant(callers, profile=profile)


@pytest.mark.parametrize(("profile", "status"), [("default", 200), ("okta", 200), ("entra", 204)])
async def test_what_a_patch_answers(callers: Callers, profile: str, status: int) -> None:
    """PATCH answers the resource, except in the Entra profile, which wants 204 without it."""
    acme = await with_profile(callers, profile)
    maria = await acme.person()
    change = patch_op({"op": "replace", "path": "title", "value": "Engineer"})
    answer = await acme.scim.patch(f"/Users/{maria['id']}", json=change)
    assert answer.status_code == status
    assert bool(answer.content) == (status == 200)
    assert (await acme.scim.get(f"/Users/{maria['id']}")).json()["title"] == "Engineer"


@pytest.mark.parametrize("profile", ["default", "entra", "strict"])
async def test_a_patch_that_asks_for_attributes(callers: Callers, profile: str) -> None:
    """Who asks for attributes is answered with them, in every profile (RFC 7644 §3.5.2)."""
    acme = await with_profile(callers, profile)
    maria = await acme.person()
    team = (await acme.scim.post("/Groups", json={"schemas": [GROUP_SCHEMA], "displayName": "Team"})).json()
    joined = patch_op({"op": "add", "path": "members", "value": [{"value": maria["id"]}]})
    titled = patch_op({"op": "replace", "path": "title", "value": "Engineer"})
    for address, change, asked, answered in (
        (f"/Users/{maria['id']}", titled, {"attributes": "title"}, {"title": "Engineer"}),
        (f"/Groups/{team['id']}", joined, {"attributes": "displayName"}, {"displayName": "Team"}),
    ):
        answer = await acme.scim.patch(address, json=change, params=asked)
        assert answer.status_code == 200
        assert {name: part for name, part in answer.json().items() if name not in ("schemas", "id")} == answered

    own = {"If-Match": (await acme.scim.get(f"/Groups/{team['id']}")).headers["etag"]}
    for asked, members in (({"attributes": "members"}, True), ({"excludedAttributes": "members"}, False)):
        answer = await acme.scim.patch(f"/Groups/{team['id']}", json=joined, params=asked, headers=own)
        assert answer.status_code == 200
        assert [each["value"] for each in answer.json().get("members", [])] == [maria["id"]] * members


async def test_unquoted_filter_values(callers: Callers) -> None:
    """Entra's unquoted values find the person in its profile, and are refused elsewhere."""
    for profile, status in (("entra", 200), ("default", 400)):
        acme = await with_profile(callers, profile)
        await acme.person("maria@acme.test")
        answer = await acme.scim.get("/Users", params={"filter": "userName eq maria@acme.test"})
        assert answer.status_code == status, profile
        if status == 200:
            assert answer.json()["totalResults"] == 1


async def test_unknown_attributes_in_a_patch(callers: Callers) -> None:
    """An attribute nobody has is 400 invalidPath, except in the Entra profile, where it is ignored and counted."""
    change = patch_op({"op": "add", "path": "shoeSize", "value": "42"})
    for profile, status in (("entra", 204), ("default", 400)):
        acme = await with_profile(callers, profile)
        maria = await acme.person()
        answer = await acme.scim.patch(f"/Users/{maria['id']}", json=change)
        assert answer.status_code == status, profile
        if status == 400:
            assert answer.json()["scimType"] == "invalidPath"
        else:
            assert "unknown-attribute:shoeSize" in await ledger(acme)


async def test_unique_group_names(callers: Callers) -> None:
    """Two groups may have one name, except in the Entra profile."""
    for profile, status in (("entra", 409), ("default", 201)):
        acme = await with_profile(callers, profile)
        for expected in (201, status):
            answer = await acme.scim.post("/Groups", json={"displayName": "Engineering"})
            assert answer.status_code == expected, profile


async def test_the_standard_to_the_letter(callers: Callers) -> None:
    """The strict profile refuses what the others tolerate, and says what it was."""
    body = {"userName": "maria@acme.test", "active": "True"}
    strict, lenient = await with_profile(callers, "strict"), await with_profile(callers, "default")
    assert (await lenient.scim.post("/Users", json=body)).status_code == 201
    refused = await strict.scim.post("/Users", json=body)
    assert refused.status_code == 400
    assert "string-boolean" in refused.json()["detail"]


PERSON, TEAM = "/Users/{person}", "/Groups/{team}"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def a_person(**attributes: object) -> tuple[str, str, dict[str, object]]:
    """The call that creates somebody with these attributes."""
    return "POST", "/Users", {"schemas": [USER], "userName": "pia@acme.test", **attributes}


def a_change(op: str, path: str | None, value: object, *, of: str = PERSON, **more: object) -> tuple[str, str, object]:
    """The PATCH that has this operation; a path of None is no path."""
    operation = {"op": op, "value": value, **more} | ({} if path is None else {"path": path})
    return "PATCH", of, patch_op(operation)


DONE_OTHERWISE: dict[Deviation, tuple[str, str, object]] = {
    Deviation.STRING_BOOLEAN: a_person(active="True"),
    Deviation.CAPITALISED_OP: a_change("Replace", "title", "x"),
    Deviation.BARE_STRING: a_change("add", "roles", ["x"]),
    Deviation.JSON_IN_STRING: a_change("add", "roles", [{"value": '{"value": "x"}'}]),
    Deviation.ROLE_DETAILS: a_change("add", "roles", [{"value": "x", "displayName": "X"}]),
    Deviation.STRING_IN_FILTER: a_change("add", 'roles[primary eq "True"].value', "x"),
    Deviation.REMOVE_WITH_VALUE: a_change("remove", "title", "x"),
    Deviation.UNMATCHED_FILTER: a_change("replace", 'emails[type eq "work"].value', "pia@acme.test"),
    Deviation.PATH_IN_KEY: a_change("replace", None, {"name.givenName": "Pia"}),
    Deviation.NO_PATH: a_change("replace", None, {"title": "x"}),
    Deviation.UNKNOWN_ATTRIBUTE: a_person(shoeSize=42),
    Deviation.UNKNOWN_SCHEMA: a_person(schemas=[USER, "urn:example:shoes"]),
    Deviation.NO_SCHEMAS: ("POST", "/Users", {"userName": "pia@acme.test"}),
    Deviation.PASSWORD: a_person(password="hunter2"),
    Deviation.LIST_FOR_ONE: a_change("replace", "title", ["x"]),
    Deviation.ONE_FOR_LIST: a_change("replace", "emails", {"value": "pia@acme.test"}),
    Deviation.WRAPPED_VALUE: a_change("replace", "title", {"$ref": None, "value": "x"}),
    Deviation.EXTRA_MEMBER: a_change("replace", "title", "x", name="setTitle"),
    Deviation.EMPTY_STRING: a_change("replace", "profileUrl", ""),
    Deviation.NO_URN: a_change("add", "department", "Tour"),
    Deviation.READ_ONLY_PART: a_change("add", f"{ENTERPRISE_SCHEMA}:manager", {"value": "1", "displayName": "Boss"}),
    Deviation.OWN_ID: a_change("replace", None, {"id": "{team}", "displayName": "Team"}, of=TEAM),
    Deviation.BRACKETED_LIST: ("GET", "/Users?attributes=[userName]", None),
    Deviation.MEMBER_NAME: a_change("add", "members", [{"value": "{person}", "displayName": "Pia"}], of=TEAM),
    Deviation.BULK_SPELLING: (
        "POST",
        "/Bulk",
        {"schemas": [BULK], "Operations": [{"method": "delete", "path": "/Users/{person}"}]},
    ),
    Deviation.STRANGER: a_change("add", "members", [{"value": "fake-member-id"}], of=TEAM),
    Deviation.UNKNOWN_ROLE: a_person(roles=[{"value": "dart-emperors"}]),
    Deviation.LEFT_OUT: (
        "PATCH",
        "/Users/{person}",
        {
            "schemas": [PATCH_OP],
            "Operations": [
                {"op": "replace", "path": "active", "value": False},
                {"op": "replace", "path": "nobodysAttribute", "value": "x"},
            ],
        },
    ),
    Deviation.UNQUOTED_VALUE: ("GET", "/Users?filter=userName eq pia", None),
}
"""A call for each line of the table of deviations."""


@pytest.mark.parametrize("deviation", Deviation)
async def test_each_deviation(callers: Callers, deviation: Deviation) -> None:
    """What the table of deviations has is read, and counted; to the letter it is refused, unless it is allowed."""
    for profile in (["entra", "default"][DEVIATIONS[deviation].profile is None], "strict"):
        acme = await with_profile(callers, profile)
        person = await acme.person(schemas=[USER])
        team = (await acme.scim.post("/Groups", json={"schemas": [GROUP_SCHEMA], "displayName": "Team"})).json()
        method, address, body = json.loads(
            json.dumps(DONE_OTHERWISE[deviation]).replace("{person}", person["id"]).replace("{team}", team["id"])
        )
        answer = await acme.scim.request(method, address, json=body)
        if profile == "strict" and deviation not in WITHIN_THE_STANDARD:
            assert answer.status_code == 400, answer.text
            continue
        assert answer.status_code in (200, 201, 204), answer.text
        counted = {name.partition(":")[0] for name in await ledger(acme)}
        assert deviation in counted


async def test_the_ledger_counts_by_day(callers: Callers) -> None:
    """Each way of departing from the standard is counted per tenant and day; other tenants' are not seen."""
    acme, other = await with_profile(callers, "default"), await with_profile(callers, "default")
    for number in range(3):
        await acme.person(f"p{number}@acme.test", active="True")
    assert (await ledger(acme))["string-boolean:active"] == 3
    assert "string-boolean:active" not in await ledger(other)


async def test_the_ledger_counts_each_request_once(callers: Callers) -> None:
    """A list is one request, however it is asked: what is unusual about it is counted once."""
    acme = await with_profile(callers, "entra")
    unquoted = {"filter": "displayName eq maria"}
    for number, ask in enumerate(
        (
            acme.scim.get("/Users", params=unquoted),
            acme.scim.post("/Users/.search", json=unquoted),
            acme.scim.post("/.search", json=unquoted),
        ),
        1,
    ):
        assert (await ask).status_code == 200
        assert (await ledger(acme))["unquoted-value"] == number


async def test_the_ledger_counts_bulk_requests(callers: Callers) -> None:
    """What is unusual about a Bulk request is counted, and so is what each of its operations carries."""
    acme = await with_profile(callers, "default")
    operations = [
        {"method": "post", "path": "users", "bulkId": str(n), "data": {"userName": f"p{n}", "active": "True"}, "x": 1}
        for n in range(3)
    ]

    answer = await acme.scim.post("/Bulk", json={"Operations": operations})

    assert [each["status"] for each in answer.json()["Operations"]] == ["201"] * 3
    counted = await ledger(acme)
    assert {name: counted[name] for name in ("bulk-spelling:method", "bulk-spelling:path", "extra-member:x")} == {
        "bulk-spelling:method": 1,
        "bulk-spelling:path": 1,
        "extra-member:x": 1,
    }
    assert (counted["string-boolean:active"], counted["no-schemas"]) == (3, 4)


async def test_a_bulk_request_to_the_letter(callers: Callers) -> None:
    """The strict profile refuses a Bulk request that departs from the standard, whole."""
    acme = await with_profile(callers, "strict")
    operation = {"method": "post", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": "maria"}}
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]}

    refused = await acme.scim.post("/Bulk", json={**message, "Operations": [operation]})
    done = await acme.scim.post("/Bulk", json={**message, "Operations": [{**operation, "method": "POST"}]})

    assert refused.status_code == 400
    assert "bulk-spelling" in refused.json()["detail"]
    assert [each["status"] for each in done.json()["Operations"]] == ["201"]


async def test_an_unknown_profile_is_refused(callers: Callers) -> None:
    """The refusal names the profiles there are."""
    acme = await with_profile(callers, "default")
    refused = await callers.operator.patch(acme.v1, json={"profile": "ping"})
    assert refused.status_code == 400
    assert "entra" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("profile", "provider", "setting"),
    [
        ("entra", "Microsoft Entra ID", "aadOptscim062020"),
        ("onelogin", "OneLogin", "SCIM JSON Template"),
        ("default", None, None),
    ],
)
async def test_the_ledger_speaks_of_the_provider(
    callers: Callers, profile: str, provider: str | None, setting: str | None
) -> None:
    """The same deviation is told in each provider's words, with the setting that ends it; how often is counted."""
    acme = await with_profile(callers, profile)
    for name in ("a", "b"):
        await acme.person(name, active="True")
    await callers.app.state.context.batched_entries.flush()
    lines = (await callers.operator.get(f"{acme.v1}/deviations")).json()["data"]
    (line,) = [each for each in lines if each["deviation"] == "string-boolean:active"]
    assert (line["times"], line["provider"]) == (2, provider)
    assert line["does"]
    assert line["read_as"].startswith("the boolean")
    assert (setting or "") in (line["setting"] or "")
    assert (line["setting"] is None) == (setting is None)


async def test_the_ledger_speaks_of_whoever_is_recognised(callers: Callers) -> None:
    """Where no provider's profile is in effect, it speaks of the provider that was recognised."""
    acme = await with_profile(callers, "default")
    acme.scim.headers["User-Agent"] = "Okta SCIM Client 1.0.0"
    await acme.person("c", password="9wq1")
    await callers.app.state.context.batched_entries.flush()
    lines = (await callers.operator.get(f"{acme.v1}/deviations")).json()["data"]
    (line,) = [each for each in lines if each["deviation"] == "password"]
    assert line["provider"] == "Okta"
    assert "Set password when creating new users" in line["setting"]


async def ledger(tenant: Tenant) -> dict[str, Any]:
    """Today's deviations of a tenant."""
    await tenant.callers.app.state.context.batched_entries.flush()
    answer = await tenant.callers.operator.get(f"{tenant.v1}/deviations")
    assert answer.status_code == 200, answer.text
    return {each["deviation"]: each["times"] for each in answer.json()["data"]}
