"""What a tenant's provider profile changes, and the ledger of what its provider does otherwise than the standard."""

from typing import Any

import pytest

from factories import USER, Callers, Tenant, a_tenant, patch_op
from rollcall.scim.resources import GROUP_SCHEMA


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


async def ledger(tenant: Tenant) -> dict[str, Any]:
    """Today's deviations of a tenant."""
    await tenant.callers.app.state.context.batched_entries.flush()
    answer = await tenant.callers.operator.get(f"{tenant.v1}/deviations")
    assert answer.status_code == 200, answer.text
    return {each["habit"]: each["times"] for each in answer.json()["data"]}
