"""Whoever takes something away and is told that it is done finds it gone, however it was stored and is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.directory.rules import RoleDefinition, RoleRule, Seen
from rollcall.scim import documents
from rollcall.scim.errors import NoTarget
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.role_names import folded_names, loosened, meant, names_of, role_names
from rollcall.scim.values import Unknown

ADMIN = "dart-admins"
TYPE = "WindowsAzureActiveDirectoryRole"
PROFILES = {"default": Unknown.REFUSED, "entra": Unknown.IGNORED, "strict": Unknown.REFUSED_STRICTLY}
RULE = RoleRule(
    prefix="dart-",
    roles={
        "admin": RoleDefinition(label="Admin", admin=True, names=("admins",)),
        "member": RoleDefinition(label="Member"),
    },
    default="member",
)


def as_json(**parts: object) -> str:
    return json.dumps({"id": "06b07648", "value": ADMIN, "displayName": ADMIN, **parts})


STORED: dict[str, dict[str, object]] = {
    "value": {"value": ADMIN},
    "primary": {"value": ADMIN, "primary": True},
    "type": {"value": ADMIN, "type": TYPE, "display": ADMIN},
    "another type": {"value": ADMIN, "type": "direct"},
    "case and blanks": {"value": f" {ADMIN.upper()} "},
    "JSON": {"value": as_json()},
    "JSON beside parts": {"value": as_json(), "type": TYPE, "display": "Admins", "primary": True},
    "JSON in JSON": {"value": json.dumps(as_json())},
    "JSON string": {"value": json.dumps(ADMIN)},
    "JSON display": {"value": json.dumps({"id": "06b07648", "displayName": ADMIN})},
    "display": {"display": ADMIN, "primary": True},
    "display beside no value": {"value": "", "display": ADMIN},
}

REMOVED: dict[str, dict[str, Any]] = {
    "all": {"op": "remove", "path": "roles"},
    "value": {"op": "remove", "path": "roles", "value": [{"value": ADMIN}]},
    "bare string": {"op": "remove", "path": "roles", "value": [ADMIN]},
    "one object": {"op": "remove", "path": "roles", "value": {"value": ADMIN}},
    "other case": {"op": "remove", "path": "roles", "value": [{"value": ADMIN.upper()}]},
    "another spelling": {"op": "remove", "path": "roles", "value": [{"value": "DART_ADMIN"}]},
    "type": {"op": "remove", "path": "roles", "value": [{"value": ADMIN, "type": TYPE, "primary": False}]},
    "display beside": {"op": "remove", "path": "roles", "value": [{"value": ADMIN, "display": "Of old"}]},
    "display": {"op": "remove", "path": "roles", "value": [{"display": ADMIN}]},
    "displayName": {"op": "remove", "path": "roles", "value": [{"displayName": ADMIN}]},
    "JSON": {"op": "remove", "path": "roles", "value": [{"value": as_json()}]},
    "JSON, other order": {"op": "remove", "path": "roles", "value": [{"value": f'{{"value" :"{ADMIN}","id":"x"}}'}]},
    "JSON, bare": {"op": "remove", "path": "roles", "value": [as_json(displayName="Administrators")]},
    "filter": {"op": "remove", "path": f'roles[value eq "{ADMIN}"]'},
    "filter by URN": {
        "op": "remove",
        "path": f'urn:ietf:params:scim:schemas:core:2.0:User:roles[VALUE EQ "{ADMIN}"]',
    },
    "filter, other spelling": {"op": "remove", "path": 'roles[value eq "dart_admin"]'},
    "filter, JSON": {"op": "remove", "path": f"roles[value eq {json.dumps(as_json())}]"},
    "filter, begins": {"op": "remove", "path": 'roles[value sw "dart-"]'},
    "filter, type too": {"op": "remove", "path": f'roles[value eq "{ADMIN}" and type eq "{TYPE}"]'},
    "filter, primary too": {"op": "remove", "path": f'roles[primary eq "True" and value eq "{ADMIN}"]'},
    "filter by display": {"op": "remove", "path": f'roles[display eq "{ADMIN}"]'},
    "part of a filter": {"op": "remove", "path": f'roles[value eq "{ADMIN}"].value'},
    "part of all": {"op": "remove", "path": "roles.value"},
    "part emptied": {"op": "replace", "path": f'roles[value eq "{ADMIN}"].value', "value": ""},
    "part blanked": {"op": "replace", "path": f'roles[value eq "{ADMIN}"].value', "value": "  "},
    "part made null": {"op": "replace", "path": f'roles[value eq "{ADMIN}"].value', "value": None},
    "all emptied": {"op": "replace", "path": "roles.value", "value": ""},
    "entry without a value": {"op": "replace", "path": f'roles[value eq "{ADMIN}"]', "value": {"value": None}},
    "entry, display kept": {
        "op": "replace",
        "path": f'roles[value eq "{ADMIN}"]',
        "value": [{"Value": "", "display": ADMIN}],
    },
    "replaced by none": {"op": "replace", "path": "roles", "value": []},
    "replaced by null": {"op": "replace", "path": "roles", "value": None},
    "replaced by empty": {"op": "replace", "path": "roles", "value": ""},
    "without a path": {"op": "replace", "value": {"roles": []}},
    "by another role": {"op": "replace", "path": f'roles[value eq "{ADMIN}"].value', "value": "dart-guests"},
}


OF_EVERYTHING = {
    "all",
    "part of all",
    "all emptied",
    "replaced by none",
    "replaced by null",
    "replaced by empty",
    "without a path",
}


def roles_of(document: dict[str, Any]) -> tuple[str, ...]:
    return RULE.read(Seen(name, "roles") for name in role_names(document)).roles


def person(**attributes: object) -> dict[str, object]:
    return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann", "active": True, **attributes}


def after(
    document: dict[str, object], *operations: dict[str, Any], profile: str = "default", rule: RoleRule | None = None
) -> dict[str, Any]:
    """The person after a PATCH by a provider of this profile."""
    read = read_patch({"Operations": list(operations)}, PROFILES[profile])
    spelling = None if rule is None else rule.spelling
    return documents.work_out(document, read.operations, own={"id": "1"}, spelling=spelling).document


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("removed", REMOVED)
@pytest.mark.parametrize("stored", STORED)
def test_a_role(stored: str, removed: str, profile: str) -> None:
    """However a role is stored and taken away, after a success nobody has it; another role stays."""
    for rule in (None, RULE):
        for other in ([], [{"value": "reader"}]):
            document = person(roles=[STORED[stored], *other])
            try:
                left = after(document, REMOVED[removed], profile=profile, rule=rule)
            except NoTarget:
                assert profile == "strict"
                continue
            assert "admin" not in roles_of(left), left.get("roles")
            assert ("reader" in role_names(left)) == (bool(other) and removed not in OF_EVERYTHING)


@pytest.mark.parametrize("stored", STORED)
def test_what_is_stored_makes_the_role(stored: str) -> None:
    """Each way of storing the role gives it, by one name, so that there is something to take away."""
    document = person(roles=[STORED[stored]])
    assert roles_of(document) == ("admin",)
    assert folded_names(document) == (ADMIN,)


@pytest.mark.parametrize("stored", STORED)
def test_what_is_not_touched_stays_as_it_was_sent(stored: str) -> None:
    """A patch of something else, or of another role, leaves an entry in the shape it came in."""
    document = person(roles=[STORED[stored]])
    changed = after(
        document,
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "ann@example.com"},
        {"op": "add", "path": "roles", "value": [{"value": "reader"}]},
        {"op": "remove", "path": "roles", "value": ["reader"]},
    )
    assert changed["roles"] == [{name: part for name, part in STORED[stored].items() if part is not None}]


@pytest.mark.parametrize("stored", STORED)
def test_a_part_of_a_role(stored: str) -> None:
    """A part that a filter on the name selects is written, and the name stays what it was."""
    entry = {**STORED[stored], "primary": True}
    (role,) = after(
        person(roles=[entry]), {"op": "replace", "path": f'roles[value eq "{ADMIN}"].primary', "value": False}
    )["roles"]
    assert role == {**entry, "primary": False}


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("added", STORED)
def test_a_role_that_is_there_is_not_added_again(stored: str, added: str) -> None:
    """An Add of a role that the person has makes no second entry, whichever shape either has."""
    document = person(roles=[STORED[stored]])
    roles = after(document, {"op": "add", "path": "roles", "value": [STORED[added]]})["roles"]
    two_types = {"another type"} < {stored, added} and {stored, added} & {"type", "JSON beside parts"}
    assert len(roles) == (2 if two_types else 1)
    if added == "value" and STORED[stored].get("value"):
        assert roles == [STORED[stored]]


def test_several_names_in_one_entry() -> None:
    """Of an entry that names several roles the one goes that is taken away, and the others stay."""
    document = person(roles=[{"value": json.dumps([ADMIN, "reader", "writer"]), "primary": True}])
    left = after(document, {"op": "remove", "path": "roles", "value": [ADMIN]})
    assert role_names(left) == ("reader", "writer")
    assert after(document, {"op": "add", "path": "title", "value": "Dr"}, {"op": "remove", "path": "title"}) == document


def test_a_filter_that_names_another_role_takes_nothing() -> None:
    """Roles that are not named stay, also those whose names are much alike."""
    document = person(roles=[{"value": "manager"}, {"value": "managers"}, {"display": "reader"}])
    assert role_names(after(document, {"op": "remove", "path": 'roles[value eq "managers"]'})) == ("manager", "reader")
    assert role_names(after(document, {"op": "remove", "path": 'roles[value ne "manager"]'})) == ("manager",)
    assert after(document, {"op": "remove", "path": "roles[not (value pr)]"}) == document
    assert after(document, {"op": "remove", "path": "roles", "value": ["nobody"]}) == document


def test_names_that_are_meant() -> None:
    """Who writes a name loosely means the one that is there, unless one is there that is written just so."""
    assert meant(["dart-admins", "DART_ADMIN"], ["dart-admins"]) == {"dart-admins"}
    assert meant(["dart-admins", "DART_ADMIN"], ["dart-admins"], RULE.spelling) == {"dart-admins", "DART_ADMIN"}
    assert meant(["dart-admins"], ["dart_admin", "x"]) == {"dart-admins"}
    assert meant(["manager", "managers"], ["managers"], RULE.spelling) == {"managers"}


ADDRESS = "ann@example.com"
ADDRESSES: list[dict[str, object]] = [
    {"value": ADDRESS},
    {"value": ADDRESS, "type": "work", "primary": True},
    {"value": ADDRESS, "type": "home", "display": "Ann"},
    {"value": ADDRESS.upper()},
]


@pytest.mark.parametrize("attribute", ["emails", "phoneNumbers", "ims", "entitlements"])
@pytest.mark.parametrize("stored", ADDRESSES)
@pytest.mark.parametrize(
    "removed",
    [
        {"op": "remove", "value": [{"value": ADDRESS}]},
        {"op": "remove", "value": [ADDRESS]},
        {"op": "remove", "value": [{"value": ADDRESS, "type": "work"}]},
        {"op": "remove", "value": [{"value": ADDRESS, "type": "other", "primary": False, "display": "?"}]},
        {"op": "remove", "where": f'[value eq "{ADDRESS}"]'},
        {"op": "remove", "where": '[value ew "example.com"].value'},
        {"op": "remove", "where": ".value"},
        {"op": "replace", "where": f'[value eq "{ADDRESS}"].value', "value": None},
        {"op": "replace", "where": "", "value": []},
    ],
)
def test_an_address(attribute: str, stored: dict[str, object], removed: dict[str, Any]) -> None:
    """A value is found by what it is, whatever else was said of it, in any attribute that has values."""
    other = {"value": "other@example.org", "type": "other"}
    operation = {name: part for name, part in removed.items() if name != "where"}
    operation["path"] = attribute + removed.get("where", "")
    left = after(person(**{attribute: [stored, other]}), operation)
    kept = [str(entry.get("value", "")).lower() for entry in left.get(attribute, [])]
    assert ADDRESS not in kept


def test_of_two_entries_with_one_value_that_of_the_type_goes() -> None:
    """A type tells two entries apart, where both are there."""
    document = person(emails=[{"value": ADDRESS, "type": "work"}, {"value": ADDRESS, "type": "home"}])
    left = after(document, {"op": "remove", "path": "emails", "value": [{"value": ADDRESS, "type": "Work"}]})
    assert left["emails"] == [{"value": ADDRESS, "type": "home"}]


@pytest.mark.parametrize(
    ("selection", "value", "profile", "made"),
    [
        ('type eq "work"', "new@example.com", "default", {"type": "work"}),
        ('primary eq "True"', "new@example.com", "entra", {"primary": True}),
        ('type eq "work" and primary eq true', "new@example.com", "default", {"type": "work", "primary": True}),
        ('type eq "work"', "new@example.com", "strict", None),
        ('value eq "x"', "new@example.com", "entra", None),
        ('value eq "x" and type eq "work"', "new@example.com", "entra", None),
        ('display eq "x"', "new@example.com", "default", None),
        ('type eq "work" or type eq "home"', "new@example.com", "default", None),
        ('type ne "work"', "new@example.com", "default", None),
    ],
)
@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("attribute", ["emails", "roles"])
def test_a_filter_without_a_match(
    attribute: str, op: str, selection: str, value: str, profile: str, made: dict[str, object] | None
) -> None:
    """An entry is made only where the filter says no more than which kind it is, and where that is forgiven."""
    operation = {"op": op, "path": f"{attribute}[{selection}].value", "value": value}
    read = read_patch({"Operations": [operation]}, PROFILES[profile]).operations
    if made is None:
        with pytest.raises(NoTarget):
            documents.work_out(person(), read)
        return
    worked_out = documents.work_out(person(), read)
    assert worked_out.document[attribute] == [{"value": value, **made}]
    assert worked_out.deviations == (f"unmatched-filter:{attribute}",)
    assert documents.work_out(worked_out.document, read).deviations == ()


def test_nobody_is_made_admin_by_a_filter() -> None:
    """A write to a role that the person doesn't have gives them none."""
    operation = {"op": "replace", "path": f'roles[value eq "{ADMIN}"].primary', "value": False}
    with pytest.raises(NoTarget):
        after(person(), operation)


# Random people and removals: what is named is gone afterwards, or nothing is.

names = st.sampled_from([ADMIN, "DART_ADMIN", "dart-guests", "reader", "Reader ", "a\"b'c", "x[y]", "é"])


def shaped(name: str, shape: str, kind: str | None) -> dict[str, object]:
    """An entry that names a role, in one of the shapes it can come in."""
    entries: dict[str, dict[str, object]] = {
        "plain": {"value": name},
        "json": {"value": json.dumps({"id": "1", "value": name, "displayName": "Of " + name})},
        "list": {"value": json.dumps([name, "listed"])},
        "display": {"display": name},
        "both": {"value": name, "display": ADMIN},
    }
    return entries[shape] | ({"type": kind} if kind else {})


shapes = st.builds(
    shaped, names, st.sampled_from(["plain", "json", "list", "display", "both"]), st.sampled_from([None, "a", "b"])
)


@st.composite
def removals(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A name, and an operation that takes it away."""
    entry = draw(shapes)
    name = names_of(entry)[0]
    quoted = json.dumps(name)
    operation: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"op": "remove", "path": "roles", "value": [entry]},
                {"op": "remove", "path": f"roles[value eq {quoted}]"},
                {"op": "remove", "path": f'roles[value eq {quoted} and type eq "a"]'},
                {"op": "remove", "path": f"roles[value eq {quoted} or primary eq true]"},
                {"op": "remove", "path": f"roles[value eq {quoted}].value"},
                {"op": "replace", "path": f"roles[value eq {quoted}].value", "value": ""},
            ]
        )
    )
    return name, operation


@settings(max_examples=300, deadline=None)
@given(st.lists(shapes, max_size=6), removals(), st.sampled_from([*PROFILES]))
def test_a_success_is_true(roles: list[dict[str, object]], removal: tuple[str, dict[str, Any]], profile: str) -> None:
    """For random roles and removals: after a success the name is gone in all its spellings, and unlike names stay."""
    name, operation = removal
    stored = documents.document(read_user(person(roles=roles)).user)
    try:
        left = after(stored, operation, profile=profile, rule=RULE)
    except NoTarget:
        assert profile == "strict"
        return
    assert RULE.spelling(name) not in map(RULE.spelling, role_names(left))
    also = set(names_of(operation["value"][0])) if operation.get("value") else {name}
    gone = {loosened(each) for each in also}
    assert {loosened(each) for each in role_names(left)} == {loosened(each) for each in role_names(stored)} - gone


@settings(max_examples=200, deadline=None)
@given(st.lists(shapes, max_size=6), st.lists(shapes, max_size=3))
def test_an_add_is_done_once(roles: list[dict[str, object]], added: list[dict[str, object]]) -> None:
    """Adding the same again changes nothing, and no name is lost or made by adding."""
    stored = documents.document(read_user(person(roles=roles)).user)
    operation = {"op": "add", "path": "roles", "value": added}
    once = after(stored, operation)
    assert after(once, operation) == once
    assert set(folded_names(once)) == set(folded_names(stored)) | set(folded_names({"roles": added}))
