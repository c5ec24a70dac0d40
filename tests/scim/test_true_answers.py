"""A patch that is carried out has the effect that it states: what is read next says so."""

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.scim import documents
from rollcall.scim.errors import SCIMException
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA
from rollcall.scim.values import Unknown

E = ENTERPRISE_SCHEMA
TEXTS = ("title", "nickName", "displayName", "locale")
EXTENDED = ("department", "costCenter", "division", "organization", "employeeNumber")
LISTS = ("emails", "phoneNumbers", "entitlements")

words = st.sampled_from(["a", "B", "ada@example.com", "ADA@example.com", "ß", "x y", 'q"r'])
labels = st.sampled_from([None, "work", "home"])


def entry(value: str, kind: str | None, *, primary: bool | None) -> dict[str, object]:
    """An entry of a list, with no more said than is given."""
    said: dict[str, object] = {"value": value, "type": kind, "primary": primary}
    return {name: part for name, part in said.items() if part is not None}


entries = st.lists(st.builds(entry, words, labels, primary=st.sampled_from([None, False])), max_size=3)
people = st.fixed_dictionaries(
    {"userName": st.just("ada")},
    optional={**dict.fromkeys(TEXTS, words), **dict.fromkeys(LISTS, entries), E: st.just({"department": "Tour"})},
)
ops = st.sampled_from(["add", "replace"])


def at(op: str, path: str, value: object) -> dict[str, Any]:
    """An operation on what is at *path*."""
    return {"op": op, "path": path, "value": value}


def without_path(op: str, name: str, value: object) -> dict[str, Any]:
    return {"op": op, "value": {name: value}}


def removal(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def of_a_kind(op: str, path: str, kind: str | None, value: object) -> dict[str, Any]:
    """An operation on the value of the entry of a type."""
    return at(op, f'{path}[type eq "{kind}"].value', value)


changes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(at, ops, st.sampled_from([*TEXTS, *EXTENDED]), words),
    st.builds(without_path, ops, st.sampled_from([*TEXTS, *EXTENDED]), words),
    st.builds(at, ops, st.sampled_from(LISTS), entries),
    st.builds(at, st.just("remove"), st.sampled_from(LISTS), entries),
    st.builds(removal, st.sampled_from([*TEXTS, *EXTENDED, *LISTS])),
    st.builds(of_a_kind, ops, st.sampled_from(LISTS), labels, words),
)


def found(document: dict[str, Any], path: str) -> Any:
    """The value of an attribute, in the extension if it is one of its."""
    return document.get(E, {}).get(path) if path in EXTENDED else document.get(path)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return str(one.get("value")).casefold() == str(other.get("value")).casefold()


def check(operation: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Hold what an operation says against what is there after it."""
    path = str(operation.get("path", next(iter(cast("dict[str, Any]", operation.get("value") or {"": 0})))))
    value = operation.get("value") if "path" in operation else operation["value"][path]
    if "[" not in path and path not in LISTS:
        assert found(after, path) == (None if operation["op"] == "remove" else value)
        return
    left: list[dict[str, Any]] = after.get(path.partition("[")[0]) or []
    if "[" in path:
        assert any(same(each, {"value": value}) for each in left)
        return
    said = cast("list[dict[str, Any]]", value or [])
    if operation["op"] == "remove":
        assert value is not None or not left
        assert not any(same(each, gone) and each.get("type") == gone.get("type") for gone in said for each in left)
        return
    assert all(any(same(each, given) for each in left) for given in said)
    kept: list[dict[str, Any]] = (before.get(path) or []) if operation["op"] == "add" else []
    assert all(any(same(each, given) for given in [*kept, *said]) for each in left)


@settings(max_examples=500, deadline=None)
@given(people, st.lists(changes, min_size=1, max_size=4), st.sampled_from(Unknown))
def test_what_is_done_is_so(person: dict[str, Any], operations: list[dict[str, Any]], unknown: Unknown) -> None:
    """Each operation by itself does what it says, or is refused; all together end where they end one by one."""
    document = stored = documents.document(read_user(person).user)
    for operation in operations:
        try:
            read = read_patch({"Operations": [operation]}, unknown).operations
            after = documents.work_out(document, read).document
        except SCIMException:
            return
        check(operation, document, after)
        document = after
    together = read_patch({"Operations": operations}, unknown).operations
    assert documents.work_out(stored, together).document == document


@settings(max_examples=200, deadline=None)
@given(people, entries)
def test_no_entry_stands_twice(person: dict[str, Any], more: list[dict[str, object]]) -> None:
    """Whatever is sent or added, no list has two entries that only differ in what tells no entries apart."""
    document = documents.document(read_user(person).user)
    added = documents.work_out(
        document, read_patch({"Operations": [{"op": "add", "path": "emails", "value": more}]}).operations
    ).document
    for name in LISTS:
        told = [(str(each["value"]).casefold(), each.get("type")) for each in cast("list[Any]", added.get(name) or [])]
        assert len(set(told)) == len(told)
        assert not any((value, None) in told for value, kind in told if kind is not None)
