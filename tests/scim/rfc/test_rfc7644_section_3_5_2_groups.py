"""RFC 7644 §3.5.2: the examples of PATCH that concern Groups."""

from rollcall.scim.groups import AddMembers, RemoveMembers, ReplaceMembers, Step, read_group_patch

BABS = "2819c223-7f76-453a-919d-413861904646"
JAMES = "08e1d05d-121c-4561-8b96-473d93df9210"


def steps(*operations: object) -> list[Step]:
    payload: dict[str, object] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": list(operations),
    }
    read = read_group_patch(payload, group_id="acbf3ae7-8463-4692-b4fd-9b4da3f908ce")
    assert read.deviations == ()
    return list(read.steps)


def test_3_5_2_1_adding_a_member() -> None:
    """A member is added, with what the client says of it besides the id."""
    member = {"display": "Babs Jensen", "$ref": f"https://example.com/v2/Users/{BABS}", "value": BABS}
    assert steps({"op": "add", "path": "members", "value": [member]}) == [AddMembers((BABS,), ((BABS, "Babs Jensen"),))]


def test_3_5_2_2_removing_one_member() -> None:
    """The member that the path selects is removed."""
    assert steps({"op": "remove", "path": f'members[value eq "{BABS}"]'}) == [RemoveMembers((BABS,))]


def test_3_5_2_2_removing_all_members() -> None:
    """A remove of the whole attribute leaves nobody."""
    assert steps({"op": "remove", "path": "members"}) == [ReplaceMembers(())]


def test_3_5_2_2_removing_one_and_adding_another() -> None:
    """The two changes stay in order."""
    member = {"display": "James Smith", "$ref": f"https://example.com/v2/Users/{JAMES}", "value": JAMES}
    assert steps(
        {"op": "remove", "path": f'members[value eq "{BABS}"]'}, {"op": "add", "path": "members", "value": [member]}
    ) == [RemoveMembers((BABS,)), AddMembers((JAMES,), ((JAMES, "James Smith"),))]


def test_3_5_2_3_replacing_all_members() -> None:
    """The new list is all there is afterwards."""
    new = [
        {"display": "Babs Jensen", "$ref": f"https://example.com/v2/Users/{BABS}", "value": BABS},
        {"display": "James Smith", "$ref": f"https://example.com/v2/Users/{JAMES}", "value": JAMES},
    ]
    assert steps({"op": "replace", "path": "members", "value": new}) == [
        ReplaceMembers((BABS, JAMES), ((BABS, "Babs Jensen"), (JAMES, "James Smith")))
    ]
