"""Whatever JSON a client sends is read or refused; nothing makes the protocol crash."""

from contextlib import suppress

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.scim.documents import document, replaced, work_out
from rollcall.scim.errors import SCIMException
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_ATTRIBUTES, USER_SCHEMA

NAMES = [
    *(attribute.name for attribute in USER_ATTRIBUTES.values()),
    *("value", "type", "primary", "display", "$ref", "givenName", "manager", "department", "displayName"),
    *("nope", "", "user_name", "EnterpriseUser", "name.givenName", "emails.value", f"{ENTERPRISE_SCHEMA}:manager"),
    *('emails[type eq "work"].value', 'roles[primary eq "True"]', "emails[", "a.b.c", "urn:", f"{USER_SCHEMA}:title"),
]
scalars: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-1, 1),
    st.sampled_from(["", "x", "work", "True", "\x00", "\ud800", '{"value":"a"}', "urn:x", USER_SCHEMA]),
)


def objects(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def containers(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.lists(values, max_size=3), objects(values))


values = st.recursive(scalars, containers, max_leaves=8)
ada: st.SearchStrategy[dict[str, object]] = objects(values).map(lambda given: {**given, "userName": "ada"})
steps: st.SearchStrategy[dict[str, object]] = st.tuples(
    st.sampled_from(["add", "replace", "remove", "Replace", "x", None, 5]),
    st.one_of(st.none(), st.sampled_from(NAMES), st.integers()),
    values,
).map(lambda parts: dict(zip(("op", "path", "value"), parts, strict=True)))


@settings(max_examples=200, deadline=None)
@given(ada)
def test_bodies(payload: dict[str, object]) -> None:
    """A body of a POST or PUT becomes a document that the database can hold, or a SCIM error."""
    with suppress(SCIMException):
        user = read_user(payload).user
        orjson.dumps(document(user))
        orjson.dumps(replaced({"active": False}, user))


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, min_size=1, max_size=3))
def test_patches(operations: list[dict[str, object]]) -> None:
    """A patch becomes such a document, or a SCIM error, and it never leaves somebody neither active nor not."""
    person = document(
        read_user(
            {
                "userName": "ada",
                "emails": [{"value": "a", "type": "work"}],
                "roles": [{"value": "r", "primary": True}],
                ENTERPRISE_SCHEMA: {"department": "d", "manager": "1"},
            }
        ).user
    )
    with suppress(SCIMException):
        after = work_out(person, read_patch({"Operations": operations}).operations, own={"id": "1"}).document
        assert b"\x00" not in orjson.dumps(after)
        assert isinstance(after["active"], bool)
        assert after["userName"]
        assert not {"id", "meta", "groups", "password"} & set(after)
