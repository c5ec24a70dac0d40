"""Series of changes to one person, in every shape that means the same: what is stored is what was asked for."""

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from api.expect import ERROR
from factories import Callers, Tenant, a_tenant, patch_op
from fuzz.bounds import bounded
from rollcall.scim.intent import says_that_somebody_leaves

BOUNDED = bounded(70)
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
Document = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """An operation, and what it does to a person; None if it has to be refused."""

    operation: dict[str, Any]
    does: Callable[[Document], None] | None


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
ops = st.sampled_from(["add", "replace", "Add", "Replace", "REPLACE"])
types = st.sampled_from(["work", "home", "other"])
singles = st.sampled_from(["displayName", "title", "nickName", "userType", "locale", "externalId", "preferredLanguage"])
parts = st.sampled_from(["givenName", "familyName", "middleName", "formatted"])
departments = st.sampled_from(["department", "division", "costCenter"])


def spelled(draw: st.DrawFn, name: str) -> str:
    """A path in one of the ways it may be written."""
    return draw(st.sampled_from([name, name.lower(), name.upper(), f"{CORE}:{name}"]))


def assigned(draw: st.DrawFn, path: str, value: object) -> dict[str, Any]:
    """An operation that gives *path* a value, with the path in front of it or as a key of it."""
    if draw(st.booleans()):
        return {"op": draw(ops), "path": path, "value": value}
    return {"op": draw(ops), "value": {path: value}}


@st.composite
def single(draw: st.DrawFn) -> Change:
    """A single text is set, or taken away."""
    name, value = draw(singles), draw(texts)

    def put(document: Document) -> None:
        document[name] = value

    if draw(st.integers(0, 3)) > 0:
        return Change(assigned(draw, spelled(draw, name), value), put)
    return Change({"op": "remove", "path": spelled(draw, name)}, lambda document: void(document.pop(name, None)))


@st.composite
def part(draw: st.DrawFn) -> Change:
    """A part of the name, or of the extension, is set, or taken away."""
    holder, name, path = draw(
        parts.map(lambda name: ("name", name, f"name.{name}"))
        | departments.map(lambda name: (ENTERPRISE, name, f"{ENTERPRISE}:{name}"))
    )
    value = draw(texts)

    def put(document: Document) -> None:
        document.setdefault(holder, {})[name] = value

    def clear(document: Document) -> None:
        if holder in document:
            document[holder].pop(name, None)
            if not document[holder]:
                del document[holder]

    match draw(st.integers(0, 4)):
        case 0:
            return Change({"op": "remove", "path": path}, clear)
        case 1:
            return Change({"op": draw(ops), "path": holder, "value": {name: value}}, put)
        case 2:
            return Change({"op": draw(ops), "value": {holder: {name: value}}}, put)
        case _:
            return Change(assigned(draw, path, value), put)


@st.composite
def emails(draw: st.DrawFn) -> Change:
    """Addresses are replaced, added, changed by their type, or removed in one of three ways."""
    value, type_ = draw(st.sampled_from(["a@x", "b@x", "c@x", "d@x"])), draw(types)
    entry = {"value": value, "type": type_}

    def replace(document: Document) -> None:
        document["emails"] = [dict(entry)]

    def add(document: Document) -> None:
        if entry not in document.setdefault("emails", []):
            document["emails"].append(dict(entry))

    def change(document: Document) -> None:
        chosen = [each for each in document.get("emails", []) if each.get("type") == type_]
        for each in chosen:
            each["value"] = value
        if not chosen:
            document.setdefault("emails", []).append(dict(entry))

    def drop(without: Callable[[Document], bool]) -> Callable[[Document], None]:
        def dropped(document: Document) -> None:
            document["emails"] = [each for each in document.get("emails", []) if not without(each)]
            if not document["emails"]:
                del document["emails"]

        return dropped

    def is_it(each: Document) -> bool:
        return each["value"] == value

    by_type, by_value = f'emails[type eq "{type_}"].value', f'emails[value eq "{value}"]'
    choices = [
        Change({"op": "replace", "path": "emails", "value": [entry]}, replace),
        Change({"op": "replace", "value": {"emails": [entry]}}, replace),
        Change({"op": "add", "path": "emails", "value": entry}, add),
        Change({"op": "add", "path": "emails", "value": [entry]}, add),
        Change({"op": draw(ops), "path": by_type, "value": value}, change),
        Change({"op": "remove", "path": by_value}, drop(is_it)),
        Change({"op": "Remove", "path": "emails", "value": [{"value": value}]}, drop(is_it)),
        Change({"op": "remove", "path": "emails"}, drop(lambda _: True)),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def activity(draw: st.DrawFn) -> Change:
    """The person leaves or returns, by a boolean or a word; or nothing is said of it any more, and they are out."""
    active = draw(st.booleans())
    value = draw(st.sampled_from([active, str(active), str(active).lower()]))

    def put(document: Document) -> None:
        document["active"] = active

    if draw(st.integers(0, 5)) == 0:
        return Change({"op": "remove", "path": "active"}, lambda document: void(document.pop("active", None)))
    return Change(assigned(draw, "active", value), put)


MISTAKES: list[dict[str, Any]] = [
    {"op": "replace", "path": "id", "value": "other"},
    {"op": "replace", "path": "meta.created", "value": "2000-01-01T00:00:00Z"},
    {"op": "replace", "path": "groups", "value": []},
    {"op": "remove", "path": "userName"},
    {"op": "replace", "path": "userName", "value": ""},
    {"op": "replace", "path": "userName", "value": None},
    {"op": "replace", "path": "active", "value": "perhaps"},
    {"op": "replace", "path": "active", "value": None},
    {"op": "replace", "value": {"active": 1}},
    {"op": "add", "path": "nope", "value": "x"},
    {"op": "add", "path": "name.nope", "value": "x"},
    {"op": "add", "path": 'emails[nope eq "x"].value', "value": "x"},
    {"op": "add", "path": "title", "value": {"a": 1}},
    {"op": "add", "path": "title", "value": "x\x00"},
    {"op": "add", "path": "title", "value": "\ud800"},
    {"op": "add", "path": "title", "value": "x" * 5_000},
    {"op": "remove"},
    {"op": "move", "path": "title"},
    {"path": "title", "value": "x"},
    {"op": "add", "path": "emails[", "value": "x"},
]
refused = st.sampled_from([Change(operation, None) for operation in MISTAKES])

batches = st.lists(st.lists(single() | part() | emails() | activity() | refused, min_size=1, max_size=4), max_size=5)


def void(_: object) -> None:
    """Nothing."""


@pytest_asyncio.fixture(scope="module")
async def tenant(callers: Callers) -> Tenant:
    """One tenant for all the people of this module."""
    return await a_tenant(callers)


async def stored(tenant: Tenant, address: str) -> Document:
    """What is kept of a person, less what is ours to say."""
    answer = await tenant.scim.get(address)
    return bare(answer.json())


def bare(resource: Document) -> Document:
    """A person less what is ours to say, addresses in an order of their own."""
    document = {name: part for name, part in resource.items() if name not in ("id", "meta", "schemas", "groups")}
    if "emails" in document:
        document["emails"] = sorted(document["emails"], key=lambda each: (each["value"], each.get("type", "")))
    return document


def after(document: Document, batch: list[Change]) -> Document | None:
    """What a PATCH makes of a person; None if it has to be refused, whole."""
    result = deepcopy(document)
    for change in batch:
        if change.does is None:
            return None
        change.does(result)
    return bare(result)


@BOUNDED
@given(series=batches)
async def test_changes(tenant: Tenant, series: list[list[Change]]) -> None:
    """A PATCH that is accepted leaves exactly what was asked for; one that is refused leaves everything as it was.

    One that can't be accepted, and has somebody leave, does that alone. Whoever was inactive has no session left.
    """
    person = await tenant.person()
    address, document, left = f"/Users/{person['id']}", bare(person), False
    session = await tenant.session(person)

    for batch in series:
        expected = after(document, batch)
        before = await tenant.scim.get(address)
        answer = await tenant.scim.patch(address, content=written(change.operation for change in batch))
        if expected is None and says_that_somebody_leaves({"Operations": [change.operation for change in batch]}):
            expected = document | {"active": False}
        if expected is None:
            check_refused(answer)
            assert (await tenant.scim.get(address)).content == before.content, batch
        else:
            assert answer.status_code == 200, (batch, answer.text)
            assert bare(answer.json()) == expected, batch
            document = expected
        assert await stored(tenant, address) == document, batch
        left = left or not document.get("active")
        assert await tenant.callers.is_live(session) is not left, batch
    assert (await tenant.scim.delete(address)).status_code == 204


names = st.sampled_from(
    ["userName", "name", "name.givenName", "emails", "emails.value", 'emails[type eq "work"]', "roles", "active", "id"]
) | st.sampled_from(
    ["meta", "groups", "schemas", "password", "manager", "photos.value", 'roles[primary eq "True"].value', ENTERPRISE]
)
names |= st.sampled_from(
    [f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value", CORE, f"{CORE}:emails", "x509Certificates", "addresses"]
)
names |= st.sampled_from(
    ["", "[", "emails[", 'emails[value eq "a@x"', "members", "\ud800", "title\x00", "a" * 9_000, "emails[" * 50]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "True", "a@x", "work", "dart-guests", "{}", '{"value":"x"}', "\ud800", "\x00", "x" * 9_000])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "type", "primary", "$ref", "display"]) | names, inner, max_size=3)
    ),
    max_leaves=6,
)
anything = st.fixed_dictionaries(
    {},
    optional={
        "op": ops | st.sampled_from(["remove", "Remove", "move", "", None, 1]),
        "path": names | scalars,
        "value": values,
    },
)


@bounded(150)
@given(operations=st.lists(anything | single().map(lambda change: change.operation), min_size=1, max_size=3))
async def test_anything(tenant: Tenant, operations: list[dict[str, Any]]) -> None:
    """Whatever a PATCH holds is carried out or refused for what it is.

    What is answered is what is stored, and whoever was refused has changed nothing, to the byte.
    """
    person = await tenant.person()
    address = f"/Users/{person['id']}"
    before = await tenant.scim.get(address)

    answer = await tenant.scim.patch(address, content=written(operations))

    after_it = await tenant.scim.get(address)
    if answer.status_code == 200:
        assert answer.json() == after_it.json(), operations
    else:
        check_refused(answer)
        assert after_it.content == before.content, operations


def written(operations: Iterable[dict[str, Any]]) -> str:
    """The body of a PATCH, lone surrogates and all, in ASCII."""
    return json.dumps(patch_op(*operations))


def check_refused(answer: httpx.Response) -> None:
    """Check that a PATCH was refused in the protocol's own words."""
    assert answer.status_code == 400, answer.text
    assert answer.json()["schemas"] == [ERROR]
    assert answer.json()["detail"]
