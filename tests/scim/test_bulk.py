"""Bulk requests: what is read of each operation, in which order they run, and what is answered."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import BulkRequest, BulkResponse, Context

from rollcall.scim.bulk import BulkOperation, BulkPlan, BulkResult, ordered, read_bulk, resolved, response
from rollcall.scim.errors import Conflict, InvalidSyntax, InvalidValue, NotFound, SCIMException, TooManyOperations
from rollcall.scim.resources import GROUPS, USERS, Group, User

MESSAGE = str(BulkRequest.__schema__)
BASE = "https://example.com/scim/v2"


def plan(*operations: object, **members: object) -> BulkPlan:
    return read_bulk({"schemas": [MESSAGE], "Operations": list(operations), **members}, most_operations=2_000)


def one(**members: object) -> BulkOperation:
    """A single operation, read."""
    return plan(members).operations[0]


def creating(bulk_id: str, *references: str, path: str = "/Users") -> dict[str, object]:
    """A POST that refers to what others create."""
    data = {"userName": bulk_id, "members": [{"value": f"bulkId:{reference}"} for reference in references]}
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def test_operations() -> None:
    """Each operation says what it does to what, with which data, and what has to exist before."""
    data: dict[str, object] = {"displayName": "Tour", "members": [{"value": "bulkId:qwerty"}, {"value": "1"}]}
    read = plan(
        {"method": "POST", "path": "/Users", "bulkId": "qwerty", "data": {"userName": "alice"}},
        {"method": "post", "path": "Groups/", "bulkId": "ytrewq", "data": data},
        {"method": "PUT", "path": "/users/bulkId:qwerty", "version": 'W/"1"', "data": {"userName": "a"}},
        {"Method": "PATCH", "Path": "/Groups/acbf", "Data": {"Operations": []}, "bulkId": "p"},
        {"method": "DELETE", "path": "/Users/b7c1", "version": None},
        failOnErrors=2,
    )
    assert read.operations == (
        BulkOperation(0, "POST", USERS, None, {"userName": "alice"}, "qwerty"),
        BulkOperation(1, "POST", GROUPS, None, data, "ytrewq", references=("qwerty",)),
        BulkOperation(2, "PUT", USERS, "bulkId:qwerty", {"userName": "a"}, version='W/"1"', references=("qwerty",)),
        BulkOperation(3, "PATCH", GROUPS, "acbf", {"Operations": []}, "p"),
        BulkOperation(4, "DELETE", USERS, "b7c1", {}),
    )
    assert [read.ends_after(errors) for errors in (0, 1, 2, 3)] == [False, False, True, True]
    assert not plan({"method": "DELETE", "path": "/Users/1"}).ends_after(1_000)


@pytest.mark.parametrize(
    ("members", "scim_type", "says"),
    [
        ({}, "invalidValue", "method"),
        ({"method": "GET", "path": "/Users/1"}, "invalidValue", "method"),
        ({"method": 5, "path": "/Users/1"}, "invalidValue", "method"),
        ({"method": "DELETE"}, "invalidPath", "path"),
        ({"method": "DELETE", "path": 5}, "invalidPath", "path"),
        ({"method": "DELETE", "path": "/Users"}, "invalidPath", "the resource's id is missing"),
        ({"method": "DELETE", "path": "/Users/1/2"}, "invalidPath", "'/Users/1/2'"),
        ({"method": "DELETE", "path": "/Nothing/1"}, "invalidPath", "'/Nothing/1'"),
        ({"method": "DELETE", "path": "/Bulk"}, "invalidPath", "'/Bulk'"),
        ({"method": "DELETE", "path": "/Users/1", "version": 5}, "invalidValue", "version"),
        ({"method": "POST", "path": "/Users/1", "bulkId": "a", "data": {}}, "invalidPath", "endpoint"),
        ({"method": "POST", "path": "/Users", "data": {}}, "invalidValue", "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": "", "data": {}}, "invalidValue", "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": 5, "data": {}}, "invalidValue", "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": "x" * 2_000, "data": {}}, "invalidValue", "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": "a"}, "invalidValue", "data"),
        ({"method": "PUT", "path": "/Users/1", "data": []}, "invalidValue", "data"),
        ({"method": "PATCH", "path": "/Users/1", "data": "x"}, "invalidValue", "data"),
        ({"method": "DELETE", "path": "/Users/bulkId:a"}, "invalidValue", "'a'"),
        ({"method": "PATCH", "path": "/Users/1", "data": {"x": [{"y": "bulkId:a"}]}}, "invalidValue", "'a'"),
    ],
)
def test_an_operation_that_cannot_be_read_is_refused_for_itself(
    members: dict[str, object], scim_type: str, says: str
) -> None:
    """Whatever is wrong with one operation is said of it, and the others stand."""
    wrong, right = plan(members, {"method": "DELETE", "path": "/Users/1"}).operations
    assert right.refusal is None
    assert wrong.refusal is not None
    assert (wrong.refusal.status, wrong.refusal.scim_type) == (400, scim_type)
    assert says in str(wrong.refusal)


MESSAGES: list[tuple[dict[str, object], type[SCIMException]]] = [
    ({}, InvalidSyntax),
    ({"Operations": []}, InvalidSyntax),
    ({"Operations": {}}, InvalidSyntax),
    ({"Operations": ["x"]}, InvalidSyntax),
    ({"schemas": ["urn:x"], "Operations": [{}]}, InvalidSyntax),
    ({"Operations": [{}] * 4}, TooManyOperations),
    ({"Operations": [{}], "failOnErrors": 0}, InvalidValue),
    ({"Operations": [{}], "failOnErrors": True}, InvalidValue),
    ({"Operations": [{}], "failOnErrors": "1"}, InvalidValue),
]


@pytest.mark.parametrize(("payload", "refusal"), MESSAGES)
def test_messages_that_are_no_bulk_request(payload: dict[str, object], refusal: type[SCIMException]) -> None:
    """A body that is no BulkRequest, or one too large, is refused whole; the latter with 413."""
    with pytest.raises(refusal) as refused:
        read_bulk(payload, most_operations=3)
    assert refused.value.status == (413 if refusal is TooManyOperations else 400)


def test_bulk_ids_are_unique() -> None:
    """The second operation with a bulkId is refused, and the first is what others refer to."""
    first, second, third = plan(creating("a"), creating("a"), creating("b", "a")).operations
    assert (first.refusal, third.refusal) == (None, None)
    assert isinstance(second.refusal, InvalidValue)
    assert [operation.index for operation in ordered(plan(creating("b", "a"), creating("a"), creating("a")))] == [
        1,
        0,
        2,
    ]


def test_order() -> None:
    """What is referred to runs before, through any number of steps; all else stays as it was given."""
    order = ordered(
        plan(
            {"method": "DELETE", "path": "/Users/1"},
            creating("team", "ada", "bob", path="/Groups"),
            {"method": "PATCH", "path": "/Groups/bulkId:club", "data": {}},
            creating("ada"),
            creating("club", "team", path="/Groups"),
            creating("bob"),
        )
    )
    assert [operation.index for operation in order] == [0, 3, 5, 1, 4, 2]
    assert not any(operation.refusal for operation in order)


def test_circles() -> None:
    """Operations that wait for each other are refused with 409, and the detail names them; nobody else is."""
    order = ordered(
        plan(
            creating("outside", "a"),
            creating("a", "b", "d"),
            creating("b", "c"),
            creating("c", "a"),
            creating("d", "c"),
            creating("self", "self"),
            creating("alone"),
            {"method": "PUT", "path": "/Users/bulkId:alone", "bulkId": "alone", "data": {}},
        )
    )
    refused = {operation.index: operation.refusal for operation in order if operation.refusal is not None}
    assert set(refused) == {1, 2, 3, 4, 5}
    assert all(isinstance(refusal, Conflict) for refusal in refused.values())
    assert all("'a', 'b', 'c', 'd'" in str(refused[index]) for index in (1, 2, 3, 4))
    assert "'self'" in str(refused[5])


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_any_order_is_right(references: list[list[int]]) -> None:
    """Each operation runs once, after all it refers to, unless it is in a circle; and exactly those are refused."""
    count = len(references)
    needs = {index: {each for each in wanted if each < count} for index, wanted in enumerate(references)}
    read = plan(*(creating(str(index), *map(str, sorted(wanted))) for index, wanted in needs.items()))
    order = ordered(read)
    assert sorted(operation.index for operation in order) == list(range(count))
    place = {operation.index: number for number, operation in enumerate(order)}

    reached: dict[int, set[int]] = needs
    for _ in range(count):
        reached = {index: wanted | {far for each in wanted for far in needs[each]} for index, wanted in reached.items()}
    assert {operation.index for operation in order if operation.refusal} == {
        index for index, wanted in reached.items() if index in wanted
    }
    for index, wanted in needs.items():
        assert all(place[each] < place[index] for each in wanted if index not in reached[each])


def test_the_given_order_stays() -> None:
    """Without references nothing moves."""
    read = plan(*({"method": "DELETE", "path": f"/Users/{number}"} for number in range(50)))
    assert ordered(read) == read.operations


@pytest.mark.parametrize(
    "operations",
    [
        [creating(str(n), str(n + 1)) for n in range(1_999)] + [creating("1999")],
        [creating(str(n), str((n + 1) % 2_000)) for n in range(2_000)],
        [creating(str(n), *map(str, range(max(0, n - 100), n))) for n in range(2_000)],
        [creating(str(n), *map(str, range(n + 1, min(2_000, n + 100)))) for n in range(2_000)],
        [creating("a", *map(str, range(50_000)))],
    ],
    ids=["chain", "circle", "backwards", "forwards", "nobodys"],
)
def test_large_requests_are_quick(operations: list[object]) -> None:
    """As many operations and references as a body can hold are ordered in about a second."""
    begun = time.process_time()
    assert ordered(plan(*operations))
    assert time.process_time() - begun < 2


def test_resolving() -> None:
    """References become ids wherever they stand, and what was sent stays as it was."""
    data: dict[str, Any] = {
        "members": [{"value": "bulkId:a", "type": "User"}, {"value": "7"}],
        "urn:x": {"manager": {"value": "bulkId:b"}},
        "note": "about bulkId:a",
    }
    before = orjson.dumps(data)
    assert resolved(data, {"a": "1", "b": "2"}) == {
        "members": [{"value": "1", "type": "User"}, {"value": "7"}],
        "urn:x": {"manager": {"value": "2"}},
        "note": "about bulkId:a",
    }
    assert orjson.dumps(data) == before
    assert resolved("bulkId:a", {"a": "1"}) == "1"
    assert resolved(None, {}) is None
    with pytest.raises(Conflict, match="'b'"):
        resolved(data, {"a": "1"})


def test_response() -> None:
    """Results come in the order of the request, whichever they ran in, as RFC 7644 §3.7.3 shows them."""
    first, second, third = plan(creating("a"), creating("b"), {"method": "DELETE", "path": "/Users/7"}).operations
    body = orjson.loads(
        response(
            [
                BulkResult(third, 404, location=f"{BASE}/Users/7", refusal=NotFound()),
                BulkResult(second, 409, refusal=Conflict(detail="x")),
                BulkResult(first, 201, location=f"{BASE}/Users/1", version='W/"1"'),
            ]
        )
    )
    assert body["Operations"][0] == {
        "location": f"{BASE}/Users/1",
        "method": "POST",
        "bulkId": "a",
        "version": 'W/"1"',
        "status": "201",
    }
    assert body["Operations"][1]["response"]["status"] == "409"
    assert set(body["Operations"][1]) == {"method", "bulkId", "status", "response"}
    assert (body["Operations"][2]["status"], body["Operations"][2]["method"]) == ("404", "DELETE")
    BulkResponse[User | Group].model_validate(body, scim_ctx=Context.BULK_RESPONSE)


def test_response_without_results() -> None:
    """A request that ended at once is answered with an empty list."""
    assert orjson.loads(response([]))["Operations"] == []


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ('members[value eq "bulkId:a"]', 'members[value eq "1"]'),
        ('members[value eq "bulkId:a" or value eq "bulkId:b\\"c"]', 'members[value eq "1" or value eq "2"]'),
        ('members[value eq "\\u0062ulkId:a"]', 'members[value eq "1"]'),
        ('members[value eq "x bulkId:a"]', 'members[value eq "x bulkId:a"]'),
        ('members[value eq "bulkId:a', 'members[value eq "bulkId:a'),
        ('title[value eq "\\q bulkId:"]', 'title[value eq "\\q bulkId:"]'),
    ],
)
def test_references_in_the_filter_of_a_path(path: str, after: str) -> None:
    """A bulkId in a path's filter is a reference like any other, in a path and in a name that is one."""
    data = {"Operations": [{"op": "remove", "Path": path}, {"op": "add", "value": {path: "x"}}]}
    ids = {"a": "1", 'b"c': "2"}
    expected = {"Operations": [{"op": "remove", "Path": after}, {"op": "add", "value": {after: "x"}}]}
    assert resolved(data, ids) == expected
    operations = [*map(creating, ids), {"method": "PATCH", "path": "/Groups/7", "data": data}]
    patch = read_bulk({"Operations": operations}, most_operations=9).operations[-1]
    assert set(patch.references) == {bulk_id for bulk_id, own in ids.items() if f'"{own}"' in after}


def test_a_path_that_refers_to_nobody() -> None:
    """A path whose bulkId nothing has is refused, and so is one whose operation created nothing."""
    data = {"Operations": [{"op": "remove", "path": 'members[value eq "bulkId:a"]'}]}
    (read,) = read_bulk(
        {"Operations": [{"method": "PATCH", "path": "/Groups/7", "data": data}]}, most_operations=9
    ).operations
    assert isinstance(read.refusal, InvalidValue)
    with pytest.raises(Conflict):
        resolved(data, {})
