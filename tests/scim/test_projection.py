"""`attributes` and `excludedAttributes`: what is answered of a resource."""

import copy

import pytest

from rollcall.scim.errors import InvalidValue
from rollcall.scim.projection import project
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA

E = ENTERPRISE_SCHEMA
ADA: dict[str, object] = {
    "schemas": [USER_SCHEMA, E],
    "id": "2819c223",
    "meta": {"resourceType": "User", "version": 'W/"1"'},
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "a@b.c", "type": "work"}, {"type": "home"}],
    "active": True,
    E: {"department": "Tour", "manager": {"value": "1", "$ref": "../Users/1"}},
}
CORE = {"schemas": [USER_SCHEMA], "id": "2819c223"}
BOTH = {"schemas": [USER_SCHEMA, E], "id": "2819c223"}


@pytest.mark.parametrize(
    ("attributes", "answered"),
    [
        ("userName", {**CORE, "userName": "ada"}),
        ("USERNAME, active", {**CORE, "userName": "ada", "active": True}),
        ("name.givenName", {**CORE, "name": {"givenName": "Ada"}}),
        ("name,name.givenName", {**CORE, "name": ADA["name"]}),
        ("name.givenName,name.familyName", {**CORE, "name": ADA["name"]}),
        ("emails.value", {**CORE, "emails": [{"value": "a@b.c"}]}),
        ("emails.display", CORE),
        ("meta.version", {**CORE, "meta": {"version": 'W/"1"'}}),
        (f"{USER_SCHEMA}:userName", {**CORE, "userName": "ada"}),
        (f"{USER_SCHEMA}:name.givenName", {**CORE, "name": {"givenName": "Ada"}}),
        (f"{E}:department", {**BOTH, E: {"department": "Tour"}}),
        (f"{E.upper()}:MANAGER.value", {**BOTH, E: {"manager": {"value": "1"}}}),
        (E, {**BOTH, E: ADA[E]}),
        ("department", CORE),
        ("nope,urn:x:y:z,userName.nope", CORE),
        ("id", CORE),
        ("[userName]", {**CORE, "userName": "ada"}),
        ("[userName, active]", {**CORE, "userName": "ada", "active": True}),
        ("[]", ADA),
        ("", ADA),
        (" , ", ADA),
        (None, ADA),
    ],
)
def test_attributes(attributes: str | None, answered: dict[str, object]) -> None:
    """Only what is asked for is answered, besides `id` and the schemas of what is there."""
    assert project(ADA, attributes, None) == answered


@pytest.mark.parametrize(
    ("excluded", "missing"),
    [
        ("userName", ["userName"]),
        ("NAME,emails", ["name", "emails"]),
        ("id,schemas,meta", ["meta"]),
        (f"{USER_SCHEMA}:active", ["active"]),
        ("nope", []),
        ("userName.nope", []),
        (None, []),
    ],
)
def test_excluded_attributes(excluded: str | None, missing: list[str]) -> None:
    """What is excluded is left out, except what is always returned."""
    assert project(ADA, None, excluded) == {name: value for name, value in ADA.items() if name not in missing}


def test_excluded_parts() -> None:
    """Sub-attributes and extensions can be excluded, and what becomes empty goes."""
    left = project(ADA, None, f"emails.type,name.givenName,{E}:manager.$ref")
    assert left["emails"] == [{"value": "a@b.c"}]
    assert left["name"] == {"familyName": "Lovelace"}
    assert left[E] == {"department": "Tour", "manager": {"value": "1"}}
    assert project(ADA, None, E)["schemas"] == [USER_SCHEMA]


def test_both() -> None:
    """Asking for both lists is 400 invalidValue: they contradict each other."""
    with pytest.raises(InvalidValue):
        project(ADA, "userName", "emails")


def test_long_lists() -> None:
    """A list longer than any client needs is refused."""
    with pytest.raises(InvalidValue):
        project(ADA, "x" * 5_000, None)


def test_input_is_left_alone() -> None:
    """A projection makes a new resource."""
    before = copy.deepcopy(ADA)
    project(ADA, None, f"emails.type,{E}")
    project(ADA, "userName", None)
    assert before == ADA
