"""PATCH bodies as providers send them: what they change, and what is refused with which keyword."""

import time
from typing import Any

import pytest
from scim2_models import PatchOp

from rollcall.scim.documents import document, work_out
from rollcall.scim.errors import SCIMException
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA
from rollcall.scim.values import Unknown

MESSAGE = str(PatchOp.__schema__)
E = ENTERPRISE_SCHEMA
WORK: dict[str, object] = {"value": "ada@corp.local", "type": "work", "primary": True}


def ada(**attributes: object) -> dict[str, object]:
    """A stored person with a work address and a role."""
    person: dict[str, object] = {
        "userName": "ada",
        "emails": [WORK],
        "roles": [{"value": "staff", "display": "Staff"}],
        **attributes,
    }
    return document(read_user(person).user)


def apply(*operations: object, to: dict[str, object] | None = None) -> dict[str, Any]:
    """The person after these operations."""
    read = read_patch({"schemas": [MESSAGE], "Operations": list(operations)})
    return work_out(to or ada(), read.operations, own={"id": "2819c223"}).document


def deviations(operation: object) -> tuple[str, ...]:
    return read_patch({"schemas": [MESSAGE], "Operations": [operation]}).deviations


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "value": {"active": False}},
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Add", "path": "ACTIVE", "value": "false"},
        {"op": "replace", "path": "active", "value": [{"$ref": None, "value": "False"}]},
        {"op": "replace", "path": f"{USER_SCHEMA}:active", "value": False},
        {"op": "replace", "path": USER_SCHEMA, "value": {"active": False}},
        {"op": "replace", "path": "", "value": {"active": False}},
        {"op": "replace", "path": None, "value": {"id": "2819c223", "schemas": [USER_SCHEMA], "active": False}},
        {"Op": "replace", "Path": "active", "Value": False, "name": "setActive"},
    ],
)
def test_deactivation_in_every_dialect(operation: dict[str, object]) -> None:
    """However a provider says that somebody leaves, they leave, and nothing else changes."""
    assert apply(operation) == {**ada(), "active": False}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        (
            {"op": "Add", "path": 'emails[type eq "home"].value', "value": "ada@home.test"},
            {"emails": [WORK, {"value": "ada@home.test", "type": "home"}]},
        ),
        (
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@corp.local"},
            {"emails": [{"value": "new@corp.local", "type": "work", "primary": True}]},
        ),
        (
            {"op": "add", "path": "emails", "value": {"value": "b@c.d", "primary": True}},
            {
                "emails": [
                    {"value": "ada@corp.local", "type": "work", "primary": False},
                    {"value": "b@c.d", "primary": True},
                ]
            },
        ),
        ({"op": "replace", "path": "roles", "value": ["admin"]}, {"roles": [{"value": "admin"}]}),
        ({"op": "replace", "path": "roles", "value": []}, {"roles": None}),
        ({"op": "remove", "path": "roles"}, {"roles": None}),
        ({"op": "Remove", "path": "roles", "value": [{"value": "staff"}]}, {"roles": None}),
        ({"op": "Remove", "path": "roles", "value": [{"value": "staff", "display": "Old"}]}, {"roles": None}),
        ({"op": "Remove", "path": "roles", "value": ["STAFF"]}, {"roles": None}),
        ({"op": "remove", "path": "roles", "value": ["other"]}, {}),
        ({"op": "remove", "path": 'roles[value eq "other"]'}, {}),
        (
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "admin"},
            {"roles": [{"value": "staff", "display": "Staff"}, {"value": "admin", "primary": True}]},
        ),
        ({"op": "Add", "path": f"{E}:manager", "value": "26118915"}, {E: {"manager": {"value": "26118915"}}}),
        (
            {"op": "Add", "path": f"{E}:manager", "value": [{"value": "26118915"}]},
            {E: {"manager": {"value": "26118915"}}},
        ),
        (
            {"op": "Add", "path": f"{E}:manager", "value": {"value": "1", "displayName": "Boss"}},
            {E: {"manager": {"value": "1"}}},
        ),
        ({"op": "Add", "path": f"{E}:department", "value": "Tour"}, {E: {"department": "Tour"}}),
        ({"op": "Add", "path": E, "value": {"department": "Tour"}}, {E: {"department": "Tour"}}),
        ({"op": "add", "value": {E: {"department": "Tour"}}}, {E: {"department": "Tour"}}),
        (
            {
                "op": "replace",
                "value": {
                    "displayName": "Ada",
                    "name.givenName": "Augusta",
                    f"{E}:department": "Tour",
                    'emails[type eq "work"].value': "w@corp.local",
                },
            },
            {
                "displayName": "Ada",
                "name": {"givenName": "Augusta"},
                E: {"department": "Tour"},
                "emails": [{"value": "w@corp.local", "type": "work", "primary": True}],
            },
        ),
        ({"op": "replace", "path": "displayName", "value": None}, {}),
        ({"op": "replace", "path": "emails", "value": None}, {"emails": None}),
        ({"op": "replace", "path": "emails.type", "value": "home"}, {"emails": [{**WORK, "type": "home"}]}),
        ({"op": "replace", "path": "password", "value": "hunter2"}, {}),
        ({"op": "replace", "value": {"password": "hunter2", "title": "Dr"}}, {"title": "Dr"}),
        ({"op": "remove", "path": "password", "value": "hunter2"}, {}),
        ({"op": "replace", "path": "id", "value": "2819c223"}, {}),
        ({"op": "replace", "value": {"id": "2819c223", "meta": {}, "groups": [], "title": "Dr"}}, {"title": "Dr"}),
        ({"op": "replace", "path": "meta", "value": {"resourceType": "User"}}, {}),
        ({"op": "add", "path": "groups", "value": ""}, {}),
        ({"op": "add", "path": f"{E}:manager.displayName", "value": ""}, {}),
        ({"op": "remove", "path": "title", "value": "Dr"}, {}),
        ({"op": "remove", "path": "name", "value": {"givenName": "Ada"}}, {}),
        ({"op": "remove", "path": 'emails[type eq "work"].display', "value": "x"}, {}),
        ({"op": "add", "path": f"{E}:manager", "value": ""}, {}),
        ({"op": "replace", "path": "emails", "value": ""}, {"emails": None}),
        (
            {"op": "replace", "path": "emails.type", "value": ""},
            {"emails": [{"value": "ada@corp.local", "primary": True}]},
        ),
        ({"op": "add", "value": {"profileUrl": "", "photos": "", "name": "", "title": "Dr"}}, {"title": "Dr"}),
        ({"op": "Add", "path": "department", "value": "Tour"}, {E: {"department": "Tour"}}),
        ({"op": "Add", "path": "manager", "value": "1"}, {E: {"manager": {"value": "1"}}}),
        ({"op": "Add", "path": "manager.value", "value": "1"}, {E: {"manager": {"value": "1"}}}),
        (
            {"op": "Add", "value": {"employeeNumber": "7", "COSTCENTER": "c"}},
            {E: {"employeeNumber": "7", "costCenter": "c"}},
        ),
        ({"op": "Add", "value": {"division": "d", "organization": "o"}}, {E: {"division": "d", "organization": "o"}}),
    ],
)
def test_operations(operation: dict[str, object], changed: dict[str, object]) -> None:
    """An operation changes what it names and leaves the rest; None stands for an attribute that goes."""
    expected = {name: value for name, value in {**ada(), **changed}.items() if value is not None}
    if E in expected:
        expected["schemas"] = [USER_SCHEMA, E]
    assert apply(operation) == expected


@pytest.mark.parametrize(
    ("operation", "scim_type", "says"),
    [
        ({"op": "add", "path": "nope", "value": 1}, "invalidPath", "'nope'"),
        ({"op": "add", "value": {"nope": 1}}, "invalidPath", "'nope'"),
        ({"op": "add", "path": "user_name", "value": "x"}, "invalidPath", "'user_name'"),
        ({"op": "add", "path": "name", "value": {"nope": 1}}, "invalidPath", "'name.nope'"),
        ({"op": "add", "path": "name.nope", "value": 1}, "invalidPath", "'name.nope'"),
        ({"op": "add", "path": "emails", "value": [{"nope": 1}]}, "invalidPath", "'emails.nope'"),
        ({"op": "add", "path": E, "value": {"nope": 1}}, "invalidPath", f"'{E}:nope'"),
        ({"op": "add", "value": {E: {"nope": 1}}}, "invalidPath", f"'{E}:nope'"),
        ({"op": "add", "path": "urn:x:y:z", "value": 1}, "invalidPath", "'urn:x:y:z'"),
        ({"op": "remove", "path": "nope"}, "invalidPath", "'nope'"),
        ({"op": "replace", "path": "emails[0].value", "value": "x"}, "invalidPath", "column 8"),
        ({"op": "replace", "path": 5, "value": "x"}, "invalidPath", "path"),
        ({"op": "replace", "path": "x" * 5_000, "value": "x"}, "invalidPath", "longer than 4096"),
        ({"op": "replace", "path": 'emails[nope eq "x"].value', "value": "x"}, "invalidFilter", "'nope'"),
        ({"op": "replace", "path": 'name[givenName eq "x"]', "value": {}}, "invalidFilter", "name"),
        ({"op": "remove"}, "noTarget", "path"),
        ({"op": "remove", "path": ""}, "noTarget", "path"),
        ({"op": "replace", "path": "phoneNumbers.value", "value": "1"}, "noTarget", "'phoneNumbers.value'"),
        ({"op": "add", "value": {"phoneNumbers.value": "1"}}, "noTarget", "'phoneNumbers.value'"),
        ({"op": "replace", "path": 'emails[type ne "work"].value', "value": "x"}, "noTarget", "emails"),
        ({"op": "remove", "path": "userName"}, "mutability", "userName"),
        ({"op": "replace", "path": "userName", "value": None}, "mutability", "userName"),
        ({"op": "replace", "value": {"userName": None}}, "mutability", "userName"),
        ({"op": "replace", "value": {"id": "another"}}, "mutability", "id"),
        ({"op": "replace", "path": "meta", "value": {"version": "x"}}, "mutability", "meta"),
        ({"op": "remove", "path": "meta"}, "mutability", "meta"),
        ({"op": "replace", "path": "active", "value": ""}, "invalidValue", "active"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue", "userName"),
        ({"op": "remove", "path": "emails.value", "value": "x"}, "invalidValue", "emails.value"),
        ({"op": "remove", "path": "roles", "value": [{"value": None}]}, "invalidValue", "remove"),
        ({"op": "replace", "path": 'roles[value eq "x"].primary', "value": False}, "noTarget", "roles"),
        ({"op": "add", "path": 'emails[value eq "x"].type', "value": "work"}, "noTarget", "emails"),
        ({"op": "replace", "path": 'emails[type eq "x" and value eq "y"].display', "value": "Y"}, "noTarget", "emails"),
        ({"op": "replace", "path": 'emails[not (type eq "work")].display', "value": "Y"}, "noTarget", "emails"),
        ({"op": "replace", "path": 'roles[display eq "x"].value', "value": "Y"}, "noTarget", "roles"),
        ({"op": "add", "path": "groups", "value": [{"value": "1"}]}, "mutability", "groups"),
        ({"op": "add", "path": f"{E}:manager.displayName", "value": "B"}, "mutability", "displayName"),
        ({"op": "replace", "path": "active", "value": None}, "mutability", "active"),
        ({"op": "replace", "value": {"active": None}}, "mutability", "active"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue", "active"),
        ({"op": "replace", "path": "active", "value": 0}, "invalidValue", "active"),
        ({"op": "replace", "path": "displayName", "value": 5}, "invalidValue", "displayName"),
        ({"op": "replace", "path": "displayName", "value": ["a", "b"]}, "invalidValue", "displayName"),
        ({"op": "replace", "path": "name", "value": "Ada"}, "invalidValue", "name"),
        ({"op": "replace", "path": "userName", "value": " "}, "invalidValue", "userName"),
        ({"op": "replace", "path": "externalId", "value": "x" * 513}, "invalidValue", "externalId"),
        ({"op": "add", "path": "title"}, "invalidValue", "value is required"),
        ({"op": "add", "path": "title", "value": None}, "invalidValue", "value is required"),
        ({"op": "replace", "path": "title"}, "invalidValue", "value is required"),
        ({"op": "add", "value": "x"}, "invalidValue", "object"),
        ({"op": "frobnicate", "path": "title", "value": "x"}, "invalidValue", "frobnicate"),
        ({"op": 5, "path": "title", "value": "x"}, "invalidValue", "op"),
        ({"path": "title", "value": "x"}, "invalidValue", "op"),
        ({"op": "remove", "path": "roles", "value": []}, "invalidValue", "roles"),
        ({"op": "remove", "path": "roles", "value": [f"x{n}" for n in range(101)]}, "invalidValue", "roles"),
        ({"op": "add", "path": "schemas", "value": ["urn:x:y"]}, "invalidValue", "schemas"),
        ({"op": "add", "path": "x509Certificates", "value": [{"value": "!"}]}, "invalidValue", "base64"),
        (
            {"op": "add", "path": "emails", "value": [{"value": "1", "primary": True}, {"primary": True}]},
            "invalidValue",
            "emails",
        ),
        ({"op": "add", "path": 'emails[type eq "\\u0000"].value', "value": "x"}, "invalidFilter", "NUL"),
    ],
)
def test_refusals(operation: dict[str, object], scim_type: str, says: str) -> None:
    """What can't be carried out is refused with the keyword for it, and the detail names the cause."""
    with pytest.raises(SCIMException) as refused:
        apply(operation)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)
    assert says in str(refused.value)
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"Operations": []},
        {"Operations": {}},
        {"Operations": ["x"]},
        {"schemas": [USER_SCHEMA], "Operations": [{"op": "replace", "path": "active", "value": False}]},
    ],
)
def test_messages_that_are_no_patch(payload: dict[str, object]) -> None:
    """A body that is no PatchOp message is 400 invalidSyntax."""
    with pytest.raises(SCIMException) as refused:
        read_patch(payload)
    assert refused.value.scim_type == "invalidSyntax"


def test_whole_or_not_at_all() -> None:
    """When the last operation fails, nothing of the others remains (RFC 7644 §3.5.2)."""
    before = ada()
    with pytest.raises(SCIMException):
        apply(
            {"op": "replace", "path": "displayName", "value": "Ada"},
            {"op": "add", "path": "emails", "value": [{"value": "x"}]},
            {"op": "replace", "path": "phoneNumbers.value", "value": "1"},
            to=before,
        )
    assert before == ada()


def test_in_order() -> None:
    """Each operation sees what the earlier ones left, also one that writes to every entry."""
    after = apply(
        {"op": "add", "path": "phoneNumbers", "value": [{"value": "1"}]},
        {"op": "replace", "path": "phoneNumbers.type", "value": "mobile"},
    )
    assert after["phoneNumbers"] == [{"value": "1", "type": "mobile"}]
    with pytest.raises(SCIMException) as refused:
        apply({"op": "remove", "path": "emails"}, {"op": "replace", "path": "emails.type", "value": "home"})
    assert refused.value.scim_type == "noTarget"


def test_extension_leaves_with_its_schema() -> None:
    """When the last enterprise attribute goes, so does the schema's name."""
    person = ada(**{E: {"department": "Tour"}})
    assert person["schemas"] == [USER_SCHEMA, E]
    assert apply({"op": "remove", "path": f"{E}:department"}, to=person) == ada()
    assert apply({"op": "remove", "path": E}, to=person) == ada()


@pytest.mark.parametrize(
    ("operation", "noted"),
    [
        ({"op": "replace", "path": "active", "value": False}, ()),
        ({"op": "Replace", "path": "active", "value": "False"}, ("capitalised-op", "string-boolean:active")),
        ({"op": "replace", "value": {"name.givenName": "A"}}, ("no-path", "path-in-key:name.givenName")),
        ({"op": "add", "path": f"{E}:manager", "value": "1"}, ("bare-string:manager",)),
        ({"op": "add", "path": 'roles[primary eq "True"].value', "value": "a"}, ("string-in-filter:roles",)),
        ({"op": "remove", "path": "roles", "value": [{"value": "a"}]}, ("remove-with-value:roles",)),
        ({"op": "add", "path": "title", "value": "x", "name": "y"}, ("extra-member:name",)),
        ({"op": "add", "path": "password", "value": "x"}, ("password",)),
    ],
)
def test_deviations(operation: dict[str, object], noted: tuple[str, ...]) -> None:
    """What was unusual about a patch is noted by the name the table has for it."""
    assert deviations(operation) == noted


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "add", "path": "nope", "value": 1}, {}),
        ({"op": "remove", "path": "nope"}, {}),
        ({"op": "add", "path": "urn:x:y:z:tag", "value": "x"}, {}),
        ({"op": "add", "path": "name.nope", "value": "x"}, {}),
        ({"op": "add", "path": "user_name", "value": "x"}, {}),
        ({"op": "add", "value": {"nope": 1, "nope.part": 2, "title": "Dr"}}, {"title": "Dr"}),
        ({"op": "add", "value": {"nope": 1}}, {}),
        ({"op": "add", "path": "roles", "value": [{"value": "a", "nope": 1}]}, None),
        ({"op": "add", "path": E, "value": {"department": "T", "nope": 1}}, {E: {"department": "T"}}),
    ],
)
def test_unknown_attributes_where_they_are_ignored(operation: dict[str, Any], changed: dict[str, Any] | None) -> None:
    """Where a tenant's profile says so, what nobody has is noted and left out, and the rest is done."""
    read = read_patch({"schemas": [MESSAGE], "Operations": [operation]}, Unknown.IGNORED)
    if changed is None:
        changed = {"roles": [{"value": "staff", "display": "Staff"}, {"value": "a"}]}
    expected = {**ada(), **changed}
    if E in expected:
        expected["schemas"] = [USER_SCHEMA, E]
    assert work_out(ada(), read.operations).document == expected
    assert any(note.startswith("unknown-attribute:") for note in read.deviations)


def test_what_is_wrong_stays_wrong() -> None:
    """A profile that ignores unknown attributes still refuses paths that are none, and values that don't fit."""
    for operation in ({"path": "emails[0].value"}, {"path": "active"}, {"path": 'emails[nope eq "x"].value'}):
        with pytest.raises(SCIMException):
            read_patch({"Operations": [{"op": "add", "value": "x", **operation}]}, Unknown.IGNORED)


def test_password_is_in_no_message() -> None:
    """A password in a patch is gone as soon as it has been read."""
    spellings: list[dict[str, object]] = [
        {"op": "add", "path": "password", "value": "hunter2"},
        {"op": "add", "path": f"{USER_SCHEMA}:password", "value": "hunter2"},
        {"op": "add", "value": {"password": "hunter2", "emails": []}},
        {"op": "remove", "path": "password", "value": "hunter2"},
    ]
    for operation in spellings:
        operations = read_patch({"Operations": [operation]}).operations.message
        assert "hunter2" not in repr(operations.model_dump())
        assert all("hunter2" not in str(each.value) for each in operations.operations or [])


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "title", "value": "x"}] * 1_001,
        [{"op": "replace", "path": 'emails[value eq "x5"].display', "value": "q"}] * 1_000,
        [{"op": "remove", "path": "emails", "value": [{"value": f"y{n}"} for n in range(100)]}] * 1_000,
        [{"op": "replace", "path": "emails.display", "value": "q"}] * 1_000,
        [{"op": "add", "path": "roles", "value": [{"value": f"r{n}"}]} for n in range(1_000)],
        [{"op": "remove", "path": "emails[" + " or ".join(['value eq "y"'] * 100) + "]"}] * 200,
    ],
    ids=["operations", "filters", "removals", "fans", "additions", "terms"],
)
def test_hostile_patches_are_refused_soon(operations: list[object]) -> None:
    """A patch made to occupy a process is refused before it does."""
    person = ada(emails=[{"value": f"x{number}", "type": "work"} for number in range(1_000)])
    begun = time.process_time()
    with pytest.raises(SCIMException):
        apply(*operations, to=person)
    assert time.process_time() - begun < 3
