"""``/scim/v2/Bulk``: many operations in one call, each as if it had come alone (RFC 7644 §3.7)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.expect import done, refused
from api.scim.test_groups import GROUP, members_of, role_of
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.provisioning import groups

REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"


def bulk(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a bulk request."""
    return {"schemas": [REQUEST], "Operations": list(operations), **more}


def person(user_name: str, *, bulk_id: str = "", **attributes: Any) -> dict[str, Any]:
    """The operation that creates a person."""
    data = {"schemas": [USER], "userName": user_name, **attributes}
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id or user_name, "data": data}


def group(name: str, *members: str, bulk_id: str = "") -> dict[str, Any]:
    """The operation that creates a group of those whom other operations create."""
    data = {"schemas": [GROUP], "displayName": name, "members": [{"value": f"bulkId:{each}"} for each in members]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id or name, "data": data}


def change(address: str, *operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The operation that patches what is at *address*."""
    return {"method": "PATCH", "path": address, "data": patch_op(*operations), **more}


def title(text: str) -> dict[str, Any]:
    """The PATCH operation of a title."""
    return {"op": "replace", "path": "title", "value": text}


def removal(address: str, **more: Any) -> dict[str, Any]:
    """The operation that removes what is at *address*."""
    return {"method": "DELETE", "path": address, **more}


async def results(tenant: Tenant, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of each operation."""
    answer = done(await tenant.scim.post("/Bulk", json=body))
    assert answer["schemas"] == [RESPONSE]
    return answer["Operations"]


def statuses(found: list[dict[str, Any]]) -> list[str]:
    """The statuses of operations, in order."""
    return [each["status"] for each in found]


async def test_each_kind_of_operation(acme: Tenant) -> None:
    """Each operation does what its single request does, and its result says where and in which version."""
    ada, ben, cleo = [await acme.person(f"p{number}") for number in range(3)]
    put = {"schemas": [USER], "userName": "p0", "title": "Put"}
    found = await results(
        acme,
        bulk(
            person("maria", bulk_id="m"),
            {"method": "PUT", "path": f"/Users/{ada['id']}", "bulkId": "b", "data": put},
            change(f"/Users/{ben['id']}", title("Patched")),
            removal(f"/Users/{cleo['id']}"),
        ),
    )

    assert statuses(found) == ["201", "200", "200", "204"]
    assert [each["method"] for each in found] == ["POST", "PUT", "PATCH", "DELETE"]
    assert [each.get("bulkId") for each in found] == ["m", "b", None, None]
    assert found[3]["location"] == cleo["meta"]["location"]
    assert "version" not in found[3]
    for result, expected in zip(found[:3], ({"userName": "maria"}, put, {"title": "Patched"}), strict=True):
        read = done(await acme.scim.get(result["location"]))
        assert read | expected == read
        assert (read["meta"]["location"], read["meta"]["version"]) == (result["location"], result["version"])
        assert "response" not in result
    refused(await acme.scim.get(found[3]["location"]), 404)


async def test_a_group_before_its_members(acme: Tenant) -> None:
    """What refers to a bulkId waits for it, wherever it stands; the results stay in the order of the request."""
    found = await results(acme, bulk(group("dart-admins", "maria", "ben"), person("maria"), person("ben")))

    assert statuses(found) == ["201"] * 3
    assert [each["bulkId"] for each in found] == ["dart-admins", "maria", "ben"]
    made, maria, ben = [done(await acme.scim.get(each["location"])) for each in found]
    assert await members_of(acme, made) == {maria["id"], ben["id"]}
    assert await role_of(acme, maria) == "admin"


async def test_a_reference_in_a_path(acme: Tenant) -> None:
    """An operation may be about what another one creates."""
    found = await results(acme, bulk(change("/Users/bulkId:maria", title("Dr")), person("maria")))

    assert statuses(found) == ["200", "201"]
    assert found[0]["location"] == found[1]["location"]
    assert done(await acme.scim.get(found[0]["location"]))["title"] == "Dr"


async def test_a_circle(acme: Tenant) -> None:
    """Operations that wait for each other are 409, nothing of them is done, and the others are."""
    found = await results(acme, bulk(group("One", "Two"), group("Two", "One"), person("maria")))

    assert statuses(found) == ["409", "409", "201"]
    for each in found[:2]:
        assert each["response"]["status"] == "409"
        assert "One" in each["response"]["detail"]
        assert "Two" in each["response"]["detail"]
        assert "location" not in each
    assert done(await acme.scim.get("/Groups"))["totalResults"] == 0


async def test_what_a_failed_operation_was_to_create(acme: Tenant) -> None:
    """An operation that refers to what could not be created is 409, and says which."""
    await acme.person("maria")
    found = await results(
        acme, bulk(person("MARIA", bulk_id="m"), group("Engineering", "m"), removal("/Users/bulkId:m"))
    )

    assert statuses(found) == ["409", "409", "409"]
    assert found[0]["response"]["scimType"] == "uniqueness"
    assert "'m'" in found[1]["response"]["detail"]
    refusals = [entry for entry in await acme.audit() if entry["status"] == 409]
    assert {entry["action"] for entry in refusals} == {"scim.users.create", "scim.groups.create", "scim.users.delete"}


async def test_an_unknown_reference(acme: Tenant) -> None:
    """A bulkId that no operation has is a 400 for the operation that names it."""
    found = await results(acme, bulk(group("Engineering", "nobody"), person("maria")))

    assert statuses(found) == ["400", "201"]


async def test_partial_failures(acme: Tenant) -> None:
    """What fails has its error in its result and its entry in the audit, and keeps nothing else from being done."""
    maria = await acme.person("maria")
    secret = {"method": "POST", "path": "/Nothing", "bulkId": "n", "data": {"password": "hunter2"}}
    found = await results(
        acme,
        bulk(
            person("ben"),
            person("maria", bulk_id="again"),
            change("/Users/nobody", title("x")),
            secret,
            change(f"/Users/{maria['id']}", {"op": "replace", "path": "shoeSize", "value": 1}),
            removal("/Users/nobody"),
            {"method": "GET", "path": "/Users"},
            change(f"/Users/{maria['id']}", title("Dr")),
        ),
    )

    assert statuses(found) == ["201", "409", "404", "400", "400", "404", "400", "200"]
    for each in found:
        assert ("response" in each) == (each["status"] >= "400")
        if "response" in each:
            assert each["response"]["status"] == each["status"]
            assert each["response"]["detail"]
    entries = [entry for entry in await acme.audit() if entry["path"].startswith("/scim/v2")][:9]
    assert len({entry["request_id"] for entry in entries}) == 1
    told = [(entry["action"], entry["method"], entry["path"], entry["outcome"], entry["status"]) for entry in entries]
    ours = f"/scim/v2/Users/{maria['id']}"
    assert told[::-1] == [
        ("scim.bulk", "POST", "/scim/v2/Bulk", "done", 200),
        ("scim.users.create", "POST", "/scim/v2/Users", "done", 201),
        ("scim.users.create", "POST", "/scim/v2/Users", "refused", 409),
        ("scim.users.patch", "PATCH", "/scim/v2/Users/nobody", "refused", 404),
        ("scim.bulk", "POST", "/scim/v2/Bulk", "refused", 400),
        ("scim.users.patch", "PATCH", ours, "refused", 400),
        ("scim.users.delete", "DELETE", "/scim/v2/Users/nobody", "refused", 404),
        ("scim.bulk", "POST", "/scim/v2/Bulk", "refused", 400),
        ("scim.users.patch", "PATCH", ours, "done", 200),
    ]
    assert entries[4]["payload"] == {**secret, "data": {"password": "***"}}
    assert entries[8]["detail"] == "8 operations"


async def test_secrets_are_masked(acme: Tenant) -> None:
    """A password in an operation, or in a bulk request that is refused as a whole, is nowhere in the audit."""
    operations = (
        person("maria", password="hunter2"),
        change("/Users/bulkId:maria", {"op": "replace", "path": "password", "value": "hunter2"}),
        {"method": "PUT", "path": "/Users/nobody", "data": {"userName": "x", "password": "hunter2"}},
        group("One", "One") | {"password": "hunter2"},
    )
    await results(acme, bulk(*operations))
    refused(await acme.scim.post("/Bulk", json=bulk(*operations, failOnErrors=0)), 400, "invalidValue")

    entries = await acme.audit()
    assert "hunter2" not in str(entries)
    assert "***" in str(entries)


@pytest.mark.parametrize(("limit", "left"), [(1, 1), (2, 3), (3, 4), (4, 4)])
async def test_fail_on_errors(acme: Tenant, limit: int, left: int) -> None:
    """After as many errors as failOnErrors says the rest is not done, nor in the response."""
    wrong = removal("/Users/nobody")
    right = person("maria")
    found = await results(acme, bulk(wrong, right, wrong, wrong, failOnErrors=limit))

    assert statuses(found) == ["404", "201", "404", "404"][:left]
    everybody = done(await acme.scim.get("/Users"))["totalResults"]
    assert everybody == (2 if left > 1 else 1)


async def test_fail_on_errors_counts_what_ran(acme: Tenant) -> None:
    """An operation that was pulled forward has run, and its result is there, when a later error ends the request."""
    body = bulk(group("Engineering", "maria"), removal("/Users/nobody"), person("maria"), person("ben"), failOnErrors=1)
    found = await results(acme, body)

    assert [(each.get("bulkId"), each["status"]) for each in found] == [
        ("Engineering", "201"),
        (None, "404"),
        ("maria", "201"),
    ]


async def test_versions(acme: Tenant) -> None:
    """An operation with a version is carried out on that version only, as with If-Match."""
    maria = await acme.person("maria")
    address, version = f"/Users/{maria['id']}", maria["meta"]["version"]
    found = await results(
        acme,
        bulk(
            change(address, title("One"), version=version),
            change(address, title("Two"), version=version),
            removal(address, version=version),
            change(address, title("Three"), version="*"),
        ),
    )

    assert statuses(found) == ["200", "412", "412", "200"]
    assert found[1]["location"] == maria["meta"]["location"]
    assert done(await acme.scim.get(address))["title"] == "Three"


async def test_conditions_of_the_call_are_not_the_operations(acme: Tenant) -> None:
    """If-Match on the call means nothing: a bulk request is about no version."""
    answer = await acme.scim.post("/Bulk", json=bulk(person("maria")), headers={"If-Match": 'W/"99"'})

    assert statuses(done(answer)["Operations"]) == ["201"]


async def test_leaving(acme: Tenant) -> None:
    """A deactivation in a bulk request closes every way in, like any other."""
    maria = await acme.person("maria")
    session = await acme.session(maria)
    leave = {"method": "PATCH", "path": f"/Users/{maria['id']}", "data": deactivation()}

    assert statuses(await results(acme, bulk(leave))) == ["200"]
    assert not await acme.callers.is_live(session)


async def test_a_token_that_ends_on_the_way(acme: Tenant) -> None:
    """When the token's owner leaves in the middle, what comes after is 401, and written down."""
    leave = {"method": "PATCH", "path": f"/Users/{acme.admin['scim_id']}", "data": deactivation()}
    found = await results(acme, bulk(person("one"), leave, person("two"), removal("/Users/nobody")))

    assert statuses(found) == ["201", "200", "401", "401"]
    assert "owner" in found[2]["response"]["detail"]
    refusals = [entry for entry in await acme.audit() if entry["status"] == 401]
    assert {entry["action"] for entry in refusals} == {"scim.users.create", "scim.users.delete"}


async def test_a_failure_of_ours(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """When we fail in the middle, what was done before is told, and the rest is not tried."""

    async def fail(*_: object) -> None:
        raise RuntimeError("the disk is full of hunter2")

    monkeypatch.setattr(groups, "create", fail)
    answer = await acme.scim.post("/Bulk", json=bulk(person("one"), group("Engineering"), person("two")))

    found = done(answer)["Operations"]
    assert statuses(found) == ["201", "500", "500"]
    assert "hunter2" not in answer.text
    assert done(await acme.scim.get("/Users"))["totalResults"] == 2


async def test_too_many_operations(acme: Tenant) -> None:
    """1,000 operations are taken and 1,001 are 413, of which nothing is done; the limit is announced."""
    announced = done(await acme.scim.get("/ServiceProviderConfig"))["bulk"]
    assert announced == {"supported": True, "maxOperations": 1_000, "maxPayloadSize": 1_048_576}

    wrong = removal("/Users/x")
    refused(await acme.scim.post("/Bulk", json=bulk(person("maria"), *[wrong] * 1_000)), 413, saying="1000")
    assert done(await acme.scim.get("/Users"))["totalResults"] == 1
    taken = await results(acme, bulk(*[wrong] * 1_000, failOnErrors=2))
    assert statuses(taken) == ["404", "404"]


async def test_too_large(acme: Tenant) -> None:
    """A body beyond the announced size is 413, whether it says its size or not."""
    text = b'{"Operations": [' + b" " * 1_048_576 + b"]}"

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 65_536):
            yield text[start : start + 65_536]

    for content in (text, in_pieces()):
        headers = {"Content-Type": "application/scim+json"}
        refused(await acme.scim.post("/Bulk", content=content, headers=headers), 413, saying="1048576")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Operations": []},
        {"Operations": ["x"]},
        {"schemas": [USER], "Operations": [{"method": "DELETE", "path": "/Users/x"}]},
        {"Operations": [{"method": "DELETE", "path": "/Users/x"}], "failOnErrors": "2"},
    ],
)
async def test_no_bulk_request(acme: Tenant, body: dict[str, Any]) -> None:
    """What is no bulk request is a 400 as a whole, and written down."""
    assert (await acme.scim.post("/Bulk", json=body)).status_code == 400

    entry = (await acme.audit())[0]
    assert (entry["action"], entry["outcome"], entry["status"]) == ("scim.bulk", "refused", 400)


async def test_the_gate_comes_first(callers: Callers, acme: Tenant, http: httpx.AsyncClient) -> None:
    """Nothing of a bulk request is looked at before its token has been, and one that may only read is 403."""
    reading = await acme.issue_token(scopes=["scim:read"])
    refused(await http.post("/scim/v2/Bulk", content=b"nonsense"), 401)
    async with callers.bearer(reading["token"], path="/scim/v2") as reader:
        refused(await reader.post("/Bulk", content=b"nonsense"), 403)
    refused(await acme.scim.post("/Bulk", content=b"nonsense"), 400, "invalidSyntax")


async def test_another_tenants_resource(acme: Tenant, other: Tenant) -> None:
    """A resource of another tenant is as unknown to a bulk request as to any other."""
    theirs = await other.person("maria")
    found = await results(
        acme,
        bulk(
            change(f"/Users/{theirs['id']}", title("x")),
            removal(f"/Users/{theirs['id']}"),
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "g",
                "data": {"displayName": "G", "members": [{"value": theirs["id"]}]},
            },
        ),
    )

    assert statuses(found) == ["404", "404", "400"]
    assert done(await other.scim.get(f"/Users/{theirs['id']}")) == theirs


async def test_one_permit(callers: Callers) -> None:
    """A bulk request takes one permit of the rate limit, so its operations never wait for one."""
    acme = await a_tenant(callers, rate_per_second=25, rate_burst=25)
    found = await results(acme, bulk(*(person(f"p{number}") for number in range(100))))

    assert Counter(statuses(found)) == {"201": 100}


@pytest.mark.bound(60)
async def test_a_whole_team_at_once(acme: Tenant) -> None:
    """200 people and the group of all of them are made in one call, in seconds."""
    names = [f"p{number}" for number in range(200)]
    found = await results(acme, bulk(group("dart-guests", *names), *map(person, names)))

    assert Counter(statuses(found)) == {"201": 201}
    assert len(await members_of(acme, done(await acme.scim.get(found[0]["location"])))) == 200


async def test_two_bulk_requests_at_once(acme: Tenant) -> None:
    """Of two bulk requests that create the same people at once, each person is created by one."""
    body = bulk(*(person(f"p{number}") for number in range(20)))
    one, two = await asyncio.gather(results(acme, body), results(acme, body))

    for first, second in zip(one, two, strict=True):
        assert {first["status"], second["status"]} == {"201", "409"}
    assert done(await acme.scim.get("/Users"))["totalResults"] == 21


async def test_deepest_body(acme: Tenant) -> None:
    """The depth that bodies may have holds for bulk requests as a whole."""
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    refused(await acme.scim.post("/Bulk", json=bulk(person("maria", title=deep))), 400, "invalidSyntax")


async def test_a_bulk_id_in_the_filter_of_a_path(acme: Tenant) -> None:
    """A path that selects what an earlier operation created finds it."""
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "pia", "data": {"userName": "pia"}},
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "team",
            "data": {"displayName": "Team", "members": ["bulkId:pia"]},
        },
        {
            "method": "PATCH",
            "path": "/Groups/bulkId:team",
            "data": {"Operations": [{"op": "remove", "path": 'members[value eq "bulkId:pia"]'}]},
        },
    ]
    answer = await acme.scim.post("/Bulk", json={"Operations": operations})
    results = answer.json()["Operations"]
    assert [each["status"] for each in results] == ["201", "201", "200"]
    group = await acme.scim.get(results[1]["location"].rpartition("/scim/v2")[2])
    assert "members" not in group.json()
