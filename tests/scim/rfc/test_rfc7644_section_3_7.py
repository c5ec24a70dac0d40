"""RFC 7644 §3.7: the examples of bulk requests."""

from rollcall.scim.bulk import BulkPlan, ordered, read_bulk, resolved
from rollcall.scim.errors import Conflict
from rollcall.scim.profiles import read_patch

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ALICE: dict[str, object] = {
    "method": "POST",
    "path": "/Users",
    "bulkId": "qwerty",
    "data": {"schemas": [USER], "userName": "Alice"},
}


def read(*operations: object, **members: object) -> BulkPlan:
    payload: dict[str, object] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": list(operations),
        **members,
    }
    return read_bulk(payload, most_operations=1_000)


def test_3_7_1_circular_references() -> None:
    """Two groups that contain each other are refused with 409, which §3.7.1 allows, and the detail names both."""
    pair = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": own,
            "data": {
                "schemas": [GROUP],
                "displayName": name,
                "members": [{"type": "Group", "value": f"bulkId:{other}"}],
            },
        }
        for own, other, name in (("qwerty", "ytrewq", "Group A"), ("ytrewq", "qwerty", "Group B"))
    ]
    for operation in ordered(read(*pair)):
        assert isinstance(operation.refusal, Conflict)
        assert operation.refusal.status == 409
        assert "'qwerty', 'ytrewq'" in str(operation.refusal)


def test_3_7_2_reference_to_a_new_user() -> None:
    """A group's member is the user that the same request creates, wherever the two stand."""
    group = {
        "method": "POST",
        "path": "/Groups",
        "bulkId": "ytrewq",
        "data": {
            "schemas": [GROUP],
            "displayName": "Tour Guides",
            "members": [{"type": "User", "value": "bulkId:qwerty"}],
        },
    }
    for operations in ((ALICE, group), (group, ALICE)):
        first, second = ordered(read(*operations))
        assert (first.bulk_id, second.bulk_id, second.references) == ("qwerty", "ytrewq", ("qwerty",))
    assert resolved(second.data, {"qwerty": "92b725cd"}) == {
        "schemas": [GROUP],
        "displayName": "Tour Guides",
        "members": [{"type": "User", "value": "92b725cd"}],
    }


def test_3_7_2_reference_in_an_extension() -> None:
    """A manager can be somebody whom the same request creates."""
    bob = {
        "method": "POST",
        "path": "/Users",
        "bulkId": "ytrewq",
        "data": {"schemas": [USER, ENTERPRISE], "userName": "Bob", ENTERPRISE: {"manager": {"value": "bulkId:qwerty"}}},
    }
    assert ordered(read(bob, ALICE))[0].bulk_id == "qwerty"


def test_3_7_3_a_mixed_request() -> None:
    """Creating, replacing, patching and deleting go together, and stop at the first error if the client wants."""
    plan = read(
        ALICE,
        {
            "method": "PUT",
            "path": "/Users/b7c14771-226c-4d05-8860-134711653041",
            "version": 'W/"3694e05e9dff591"',
            "data": {"schemas": [USER], "id": "b7c14771-226c-4d05-8860-134711653041", "userName": "Bob"},
        },
        {
            "method": "PATCH",
            "path": "/Users/5d8d29d3-342c-4b5f-8683-a3cb6763ffcc",
            "version": 'W/"edac3253e2c0ef2"',
            "data": [{"op": "remove", "path": "nickName"}, {"op": "add", "path": "userName", "value": "Dave"}],
        },
        {
            "method": "DELETE",
            "path": "/Users/e9025315-6bea-44e1-899c-1e07454e468b",
            "version": 'W/"0ee8add0a938e1a"',
        },
        failOnErrors=1,
    )
    assert [operation.method for operation in ordered(plan)] == ["POST", "PUT", "PATCH", "DELETE"]
    assert not any(operation.refusal for operation in plan.operations)
    assert plan.operations[1].version == 'W/"3694e05e9dff591"'
    assert len(read_patch(plan.operations[2].data).operations.operations or []) == 2
    assert plan.ends_after(1)
