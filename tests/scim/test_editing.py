"""Edits on a stored document, held against what scim2-models makes of the same operations."""

import copy
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scim2_models import Context, PatchOp

from rollcall.scim.documents import document, work_out
from rollcall.scim.editing import edited
from rollcall.scim.edits import Beyond, edits_of
from rollcall.scim.errors import SCIMException
from rollcall.scim.patching import POLICY, Patch
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA, User
from rollcall.scim.role_names import folded, loosened
from rollcall.scim.values import Reading, Unknown

E = ENTERPRISE_SCHEMA
Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

words = st.sampled_from(["admin", "Admin", "staff", "a@x.test", "A@X.test", "ed\u0301", "\u00e9d", "b ", "", "x"])
kinds = st.sampled_from(["work", "Work", "home", "lab"])
flags = st.sampled_from([True, False, "True", "false"])
json_roles = st.sampled_from(['{"displayName":"Admin"}', '["admin","staff"]', '"admin"'])
entries = st.fixed_dictionaries({"value": words}, optional={"type": kinds, "primary": flags, "display": words})
roles = st.one_of(
    entries, st.fixed_dictionaries({"value": json_roles}), words, st.fixed_dictionaries({"display": words})
)
addresses = st.fixed_dictionaries({"locality": words}, optional={"type": kinds, "primary": st.booleans()})
managers: Strategy = st.one_of(
    words, st.fixed_dictionaries({"value": words}, optional=cast("dict[Any, Strategy]", {"$ref": words}))
)
names = st.fixed_dictionaries({}, optional={"givenName": words, "familyName": st.none() | words})
extensions: Strategy = st.fixed_dictionaries({}, optional={"department": st.none() | words, "manager": managers})


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A list of some, or one by itself."""
    return st.one_of(st.lists(one, max_size=3), one)


people: Strategy = st.fixed_dictionaries(
    {"userName": st.just("ada")},
    optional={
        "title": words,
        "active": st.booleans(),
        "name": names,
        "emails": st.lists(entries, max_size=3),
        "roles": st.lists(roles, max_size=3),
        "addresses": st.lists(addresses, max_size=2),
        E: extensions,
    },
)
WHOLE: dict[str, Strategy] = {
    "title": words,
    "active": flags,
    "userName": st.just("ada"),
    "name": names,
    "name.givenName": words,
    "emails": several(entries),
    "phoneNumbers": several(entries),
    "roles": several(roles),
    "addresses": several(addresses),
    "manager": managers,
    f"{E}:manager": managers,
    f"{E}:manager.value": words,
    f"{E}:department": words,
    E: extensions,
    f"{USER_SCHEMA}:title": words,
    "profileUrl": words,
}
SELECTED: dict[str, Strategy] = {"emails": entries, "roles": entries, "addresses": addresses}
selections = st.sampled_from(
    [
        'type eq "work"',
        'TYPE eq "Lab"',
        "primary eq true",
        'primary eq "True"',
        'value eq "admin"',
        'value eq "A@x.test"',
    ]
)
verbs = st.sampled_from(["add", "Replace", "remove"])


def operation(op: str, path: str | None, value: Any) -> Json:
    """An operation as a provider sends it."""
    return {"op": op} | ({} if path is None else {"path": path}) | ({} if value is None else {"value": value})


def targeted(item: tuple[str, Strategy]) -> st.SearchStrategy[Json]:
    """Operations on one attribute."""
    path, values = item
    return st.builds(operation, verbs, st.just(path), st.none() | values)


def on_part(name: str, op: str, by: str, part: str, value: Any) -> Json:
    """An operation on a part of some entries."""
    return operation(op, f"{name}[{by}].{part}", value)


def on_whole(name: str, op: str, by: str, value: Any) -> Json:
    """An operation on some entries."""
    return operation(op, f"{name}[{by}]", value)


def on_entries(name: str) -> Strategy:
    """Operations on some entries of an attribute."""
    parts = st.sampled_from(["value", "display", "type", "primary", "locality"])
    by_part = st.builds(on_part, st.just(name), verbs, selections, parts, st.none() | words | flags)
    return by_part | st.builds(on_whole, st.just(name), verbs, selections, st.none() | SELECTED[name])


def listed(one: Strategy) -> Strategy:
    """Lists of what is removed."""
    return st.lists(one, min_size=1, max_size=2)


removing, nowhere = st.just("remove"), st.none()
operations: Strategy = st.one_of(
    *(targeted(item) for item in WHOLE.items()),
    *(on_entries(name) for name in SELECTED),
    st.builds(operation, verbs, nowhere, st.fixed_dictionaries({}, optional=cast("dict[Any, Strategy]", WHOLE))),
    st.builds(operation, removing, st.just("roles"), listed(roles)),
    st.builds(operation, removing, st.just("emails"), listed(entries)),
)
spellings = st.sampled_from([None, folded, loosened])


def outcome(kept: Json, patch: Patch, spelling: Any) -> Any:
    """What a patch makes of a document, or why it is refused."""
    try:
        return work_out(kept, patch, spelling=spelling)
    except SCIMException as refusal:
        return type(refusal), refusal.detail, refusal.scim_type


@settings(max_examples=500, deadline=None)
@given(people, st.lists(operations, min_size=1, max_size=3), spellings, st.booleans())
@example({"userName": "ada", "roles": [{"value": "a"}]}, [operation("add", "roles", [{"value": "A"}])], None, False)
def test_edits_do_what_the_library_does(person: Json, steps: list[Json], spelling: Any, strict: bool) -> None:
    """An operation that is carried out on the document ends as the library ends it: in the same document or refusal."""
    unknown = Unknown.REFUSED_STRICTLY if strict else Unknown.REFUSED
    try:
        kept = document(read_user(person).user)
        patch = read_patch({"Operations": steps}, unknown).operations
    except SCIMException:
        return
    before = copy.deepcopy(kept)
    if patch.operations:
        message = patch.message.model_dump()
        PatchOp[User].model_validate(message, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY)
    assert outcome(kept, patch, spelling) == outcome(kept, replace(patch, edits=None), spelling)
    assert kept == before


@pytest.mark.parametrize(
    ("steps", "changed"),
    [
        ([{"op": "replace", "path": "title", "value": "Dr"}], {"title": "Dr"}),
        ([{"op": "Replace", "path": "active", "value": "False"}], {"active": False}),
        ([{"op": "Add", "path": f"{E}:manager", "value": "7"}], {E: {"manager": {"value": "7"}}}),
        ([{"op": "replace", "path": f"{E}:manager.value", "value": "7"}], {E: {"manager": {"value": "7"}}}),
        ([{"op": "replace", "value": {f"{E}:department": "Tour"}}], {E: {"department": "Tour"}}),
        ([{"op": "replace", "value": {E: {"department": "Tour"}}}], {E: {"department": "Tour"}}),
        ([{"op": "add", "path": "name.givenName", "value": "Ada"}], {"name": {"familyName": "L", "givenName": "Ada"}}),
        (
            [{"op": "replace", "path": 'emails[type eq "work"].value', "value": "b@x.test"}],
            {"emails": [{"value": "b@x.test", "type": "work"}]},
        ),
        (
            [{"op": "add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"}],
            {"phoneNumbers": [{"type": "mobile", "value": "1"}]},
        ),
        (
            [{"op": "Add", "path": 'roles[primary eq "True"].value', "value": "boss"}],
            {"roles": [{"value": "staff"}, {"primary": True, "value": "boss"}]},
        ),
        ([{"op": "add", "path": "roles", "value": ["boss"]}], {"roles": [{"value": "staff"}, {"value": "boss"}]}),
        ([{"op": "replace", "path": "roles", "value": [{"value": "boss"}]}], {"roles": [{"value": "boss"}]}),
        ([{"op": "remove", "path": 'roles[value eq "Staff"]'}], {"roles": None}),
        ([{"op": "remove", "path": "roles", "value": [{"value": "staff"}]}], {"roles": None}),
        ([{"op": "remove", "path": "roles"}], {"roles": None}),
        ([{"op": "remove", "path": "name.familyName"}], {"name": None}),
    ],
)
def test_what_providers_send_is_edited(steps: list[Json], changed: Json) -> None:
    """The operations that providers send all day are carried out on the document, without the library."""
    kept: Json = {
        "schemas": [USER_SCHEMA],
        "userName": "ada",
        "name": {"familyName": "L"},
        "emails": [{"value": "a@x.test", "type": "work"}],
        "roles": [{"value": "staff"}],
        "active": True,
    }
    patch = read_patch({"Operations": steps}).operations
    assert patch.edits is not None
    result = edited(kept, patch.edits, Reading(Unknown.REFUSED), None)
    expected = {name: value for name, value in {**kept, **changed}.items() if value is not None}
    assert result == expected | {"schemas": [USER_SCHEMA, E] if E in changed else [USER_SCHEMA]}


@pytest.mark.parametrize(
    ("kept", "step"),
    [
        ({"roles": [{"value": '["admin","staff"]'}]}, {"op": "remove", "path": 'roles[value eq "admin"]'}),
        ({"emails": [{"value": "a"}]}, {"op": "replace", "path": "emails.value", "value": "b"}),
        ({"emails": [{"value": "a"}]}, {"op": "replace", "path": 'emails[value eq "b"].display', "value": "B"}),
        ({"emails": [{"type": "work"}]}, {"op": "remove", "path": 'emails[type eq "work"].type'}),
        ({"emails": "a"}, {"op": "add", "path": "emails", "value": [{"value": "b"}]}),
        ({}, {"op": "replace", "path": "profileUrl", "value": "https://x.test"}),
        ({}, {"op": "replace", "path": "id", "value": "x"}),
        ({}, {"op": "replace", "path": "password", "value": "x"}),
        ({}, {"op": "replace", "path": "userName", "value": None}),
        ({}, {"op": "add", "path": "title"}),
        ({}, {"op": "replace", "value": "x"}),
    ],
)
def test_what_is_beyond_edits(kept: Json, step: Json) -> None:
    """Whatever needs the schema's judgement, would be refused, or meets an unusual document is left to the library."""
    edits = edits_of([step])
    if edits is not None:
        with pytest.raises(Beyond):
            edited(kept, edits, Reading(Unknown.REFUSED), None)
