"""The stored form: what goes in, what comes out, and the bytes in between."""

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import Context, ListResponse, PatchOp

from rollcall.scim.attributes import Attribute
from rollcall.scim.documents import (
    document,
    emails,
    etag,
    from_document,
    list_page,
    ours,
    render,
    replaced,
    timestamp,
    work_out,
)
from rollcall.scim.errors import SCIMException
from rollcall.scim.name_keys import name_key
from rollcall.scim.patching import POLICY
from rollcall.scim.plain import PlainUser, plain_user
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_ATTRIBUTES, USER_SCHEMA, User
from rollcall.scim.role_names import role_names
from rollcall.scim.values import Reading, Unknown, read_object


def dictionaries(
    required: dict[str, st.SearchStrategy[object]], optional: dict[str, st.SearchStrategy[object]]
) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(required, optional=optional)


def operations(op: str, path: str | None, values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return values.map(lambda value: {"op": op, "path": path, "value": value})


words: st.SearchStrategy[str] = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=12
)
names = words.filter(name_key)
entries = st.lists(dictionaries({"value": words}, {"type": words, "display": words}), max_size=4)
people = dictionaries(
    {"userName": names},
    {
        "displayName": words,
        "externalId": words,
        "active": st.booleans(),
        "name": dictionaries({}, {"givenName": words, "familyName": words}),
        "emails": entries,
        "roles": entries,
        ENTERPRISE_SCHEMA: dictionaries({}, {"department": words, "manager": words}),
    },
)
plain = st.one_of(
    operations("replace", "displayName", words),
    operations("Add", "TITLE", words),
    operations("replace", None, dictionaries({"active": st.booleans()}, {"nickName": words})),
    operations("replace", "userName", names),
)
others = st.one_of(
    operations("add", "name.givenName", words),
    operations("add", "emails", entries),
    operations("remove", "roles", st.lists(words, max_size=2)),
    operations("replace", 'emails[type eq "work"].value', words),
    operations("replace", "nope", words),
    operations("replace", "phoneNumbers.value", words),
    operations("remove", "displayName", st.none()),
)
MEANWHILE = datetime(2026, 3, 1, 12, 30, 45, 123_987, UTC)


def stored(person: dict[str, object]) -> dict[str, object]:
    return document(read_user(person).user)


def test_document() -> None:
    """A document has the right schemas and `active`, and nothing that is kept elsewhere or not at all."""
    user = User.model_validate(
        {"id": "1", "userName": "ada", "password": "x", "groups": [{"value": "g"}], "meta": {"version": "1"}}
    )
    assert document(user) == {"schemas": [USER_SCHEMA], "userName": "ada", "active": True}


def test_schemas_follow_from_the_attributes() -> None:
    """The enterprise URN is named when there is something under it, whatever the body said."""
    person: dict[str, object] = {"schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA], "userName": "ada"}
    assert stored(person)["schemas"] == [USER_SCHEMA]
    assert stored({**person, ENTERPRISE_SCHEMA: {"department": "Tour"}})["schemas"] == [USER_SCHEMA, ENTERPRISE_SCHEMA]
    assert stored({**person, ENTERPRISE_SCHEMA: {"manager": {}}})["schemas"] == [USER_SCHEMA]


@given(people)
def test_documents_are_stable(person: dict[str, object]) -> None:
    """Reading a document and writing it again gives the same document."""
    kept = stored(person)
    assert document(from_document(kept, id="1")) == kept
    assert json.loads(orjson.dumps(kept)) == kept


@given(people, st.lists(plain | others, min_size=1, max_size=4))
def test_patching_never_touches_its_input(person: dict[str, object], steps: list[dict[str, object]]) -> None:
    """Whether it succeeds or not, the document that was patched is as it was."""
    kept = stored(person)
    before = copy.deepcopy(kept)
    with suppress(SCIMException):
        work_out(kept, read_patch({"Operations": steps}).operations, own={"id": "1"})
    assert kept == before


def test_labels_of_their_own() -> None:
    """A person with a label that no standard lists can be patched, and keeps it."""
    kept = stored({"userName": "ada", "emails": [{"value": "ada@lab.test", "type": "laboratory"}]})
    steps = [{"op": "replace", "path": "name.givenName", "value": "Ada"}]
    result = work_out(kept, read_patch({"Operations": steps}).operations, own={"id": "1"}).document
    assert result["emails"] == kept["emails"] == [{"value": "ada@lab.test", "type": "laboratory"}]


def test_newer_attributes_survive() -> None:
    """A document written by a newer version keeps what this one doesn't know, through a patch too."""
    kept = {**stored({"userName": "ada", "name": {"givenName": "Ada"}}), "shoeSize": 38}
    for operation in ({"path": "name.familyName", "value": "L"}, {"path": "title", "value": "Dr"}):
        patch = read_patch({"Operations": [{"op": "add", **operation}]}).operations
        assert work_out(kept, patch).document["shoeSize"] == 38


def test_replacing_clears_what_is_not_given() -> None:
    """A PUT clears attributes it doesn't name (RFC 7644 §3.5.1)."""
    kept = stored({"userName": "ada", "displayName": "Ada", "externalId": "1", ENTERPRISE_SCHEMA: {"department": "T"}})
    assert replaced(kept, read_user({"userName": "ada", "title": "Dr"}).user) == {
        "schemas": [USER_SCHEMA],
        "userName": "ada",
        "title": "Dr",
        "active": True,
    }


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("sent", [{}, {"active": None}])
def test_replacing_without_active_changes_nobodys_access(before: bool, sent: dict[str, object]) -> None:
    """A PUT that doesn't say whether somebody is active neither lets them in nor shuts them out."""
    kept = stored({"userName": "ada", "active": before})
    assert replaced(kept, read_user({"userName": "ada", **sent}).user)["active"] is before


def test_replacing_with_active() -> None:
    """A PUT that says it is obeyed."""
    kept = stored({"userName": "ada", "active": True})
    assert replaced(kept, read_user({"userName": "ada", "active": "False"}).user)["active"] is False


@pytest.mark.parametrize(
    ("roles", "read"),
    [
        ([{"value": "admin"}, {"value": "staff"}], ("admin", "staff")),
        ([{"value": '{"value":"admin"}'}], ("admin",)),
        ([{"value": '{"id":"1","displayName":"Admin"}'}], ("Admin",)),
        ([{"value": '["admin", {"value": "staff"}]'}], ("admin", "staff")),
        ([{"value": '"admin"'}], ("admin",)),
        ([{"value": '"{\\"value\\":\\"admin\\"}"'}], ("admin",)),
        ([{"value": '{"id":"1"}'}], ('{"id":"1"}',)),
        ([{"value": "{broken"}], ("{broken",)),
        ([{"value": "[" * 5_000}], ("[" * 5_000,)),
        ([{"value": " admin "}], ("admin",)),
        ([{"display": "Admin", "primary": True}], ("Admin",)),
        ([{"value": "", "display": "Admin"}], ("Admin",)),
        ([{"value": "admin", "display": "Boss"}], ("admin",)),
        ([{"primary": True}], ()),
        ([{"value": "123"}], ("123",)),
        (None, ()),
    ],
)
def test_role_names(roles: object, read: tuple[str, ...]) -> None:
    """The names in `roles` are found in every shape they come in, in order."""
    assert role_names({"roles": roles}) == read


def test_emails() -> None:
    """The addresses come in order, without entries that have none."""
    assert emails({"emails": [{"value": "a"}, {"type": "work"}, {"value": "b"}]}) == ("a", "b")
    assert emails({}) == ()


def rendered(kept: dict[str, object], text: bytes | str | None = None, groups: bytes | str | None = None) -> bytes:
    return render(
        text if text is not None else orjson.dumps(kept),
        id='2819"c223',
        resource_type="User",
        created=MEANWHILE,
        last_modified=MEANWHILE + timedelta(seconds=1),
        version=7,
        location="https://example.com/scim/v2/Users/2819c223",
        groups_json=groups,
    )


@given(people)
def test_rendering_is_the_document_with_id_and_meta(person: dict[str, object]) -> None:
    """What is spliced is what would have been built, and a SCIM client can read it."""
    kept = stored(person)
    meta = {
        "resourceType": "User",
        "created": "2026-03-01T12:30:45.123Z",
        "lastModified": "2026-03-01T12:30:46.123Z",
        "location": "https://example.com/scim/v2/Users/2819c223",
        "version": 'W/"7"',
    }
    expected = {**kept, "id": '2819"c223', "meta": meta}
    for text in (orjson.dumps(kept), json.dumps(kept), json.dumps(kept, indent=2) + "\n"):
        assert orjson.loads(rendered(kept, text)) == expected
    User.model_validate(expected, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


@pytest.mark.parametrize("groups", ["[]", '[{"value": "g", "type": "direct"}]'])
def test_rendering_with_groups(groups: str) -> None:
    """A person's groups stand beside what is stored, and are part of the version."""
    for text in (groups, groups.encode()):
        for kept in (stored({"userName": "ada"}), {}):
            body = orjson.loads(rendered(kept, groups=text))
            meta = {**orjson.loads(rendered(kept))["meta"], "version": etag(7, groups)}
            assert body == {**kept, "id": '2819"c223', "meta": meta, "groups": orjson.loads(groups)}


def test_rendering_nothing() -> None:
    """An empty document is no special case for a reader."""
    assert set(orjson.loads(rendered({}, "{ }"))) == {"id", "meta"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_list_page(count: int) -> None:
    """A page says how many there are, where it begins and what it holds, also when that is nothing."""
    page = orjson.loads(list_page([rendered(stored({"userName": "ada"}))] * count, total=40, start_index=11))
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (40, 11, count)
    assert len(page["Resources"]) == count
    ListResponse[User].model_validate(page, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


@pytest.mark.parametrize(("total", "next_cursor"), [(40, "abc"), (40, None), (None, "abc")])
def test_list_page_by_cursor(total: int | None, next_cursor: str | None) -> None:
    """A page by cursor says where the next one is, unless it is the last, and not where it begins itself."""
    page = orjson.loads(list_page([rendered(stored({"userName": "ada"}))], total=total, next_cursor=next_cursor))
    assert (page.get("totalResults"), page.get("nextCursor"), page["itemsPerPage"]) == (total, next_cursor, 1)
    assert "startIndex" not in page
    ListResponse[User].model_validate(page, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


def test_times() -> None:
    """Times are in UTC with a Z, to the millisecond; a time without a zone is a mistake of ours."""
    there = datetime(2026, 3, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(there) == "2026-03-01T00:00:00.000Z"
    with pytest.raises(ValueError, match="time zone"):
        timestamp(datetime(2026, 3, 1))  # noqa: DTZ001 - that it is refused is the point


def test_entity_tag() -> None:
    """The entity tag is weak and is the version."""
    assert etag(12) == etag(12, None) == etag(12, "[]") == etag(12, b" [ ]".replace(b" ", b"")) == 'W/"12"'


def test_entity_tag_with_groups() -> None:
    """A change of somebody's groups changes the tag, as a change of the person does."""
    groups = '[{"value":"g"}]'
    assert etag(12, groups) == etag(12, groups.encode()) == 'W/"12.16b391b6"'
    assert len({etag(12), etag(12, groups), etag(13, groups), etag(12, '[{"value":"h"}]')}) == 4


def test_messages_can_be_written_again() -> None:
    """A patch that was read can be dumped, by either way of reading it."""
    for path in ("title", "name.givenName"):
        body = {"schemas": [str(PatchOp.__schema__)], "Operations": [{"op": "replace", "path": path, "value": "x"}]}
        assert cast("object", read_patch(body).operations.message.model_dump()) == body


_texts = st.sampled_from(["", "ada", "work", "home", "Work", "True", "https://acme.test/", "é"])


def _of(attribute: Attribute) -> st.SearchStrategy[object]:
    """Values that *attribute* may be given, most of them fitting."""
    if attribute.parts:
        return _objects({part.name: part for part in attribute.parts.values() if not part.read_only}, 4)
    return st.booleans() if attribute.boolean else _texts


def _given(attribute: Attribute) -> st.SearchStrategy[object]:
    one = _of(attribute)
    return st.one_of(st.none(), st.lists(one, max_size=2) if attribute.multi_valued else one)


def _objects(parts: dict[str, Attribute], most: int) -> st.SearchStrategy[dict[str, object]]:
    chosen = st.lists(st.sampled_from(sorted(parts)), max_size=most, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: _given(parts[name]) for name in names}))


_settable = {
    attribute.name: attribute
    for attribute in USER_ATTRIBUTES.values()
    if not attribute.read_only and attribute.name not in ("schemas", "password", "meta", "id")
}


@settings(max_examples=300, deadline=None)
@given(_objects(_settable, 6))
def test_plain_people_are_kept_as_the_library_keeps_them(attributes: dict[str, object]) -> None:
    """The short way from a body to a document ends where building the whole person does."""
    try:
        clean = read_object(Reading(Unknown.IGNORED), USER_ATTRIBUTES, {**attributes, "userName": "ada"})
    except SCIMException:
        return
    if (plain := plain_user(clean)) is not None:
        whole = User.model_validate(clean, scim_policy=POLICY)
        assert document(plain) == document(whole)
        assert plain.active == whole.active
        assert orjson.loads(orjson.dumps(document(plain))) == document(whole)


def test_what_providers_send_is_plain() -> None:
    """The body of an ordinary new person takes the short way."""
    sent: dict[str, object] = {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "userName": "ada",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": "ada@acme.test", "type": "work", "primary": True}],
        "active": True,
        ENTERPRISE_SCHEMA: {"department": "Engines", "manager": {"value": "1"}},
    }
    assert isinstance(read_user(sent).user, PlainUser)


def test_a_patch_may_repeat_what_is_ours_to_say() -> None:
    """What a GET answered of `id`, `meta` and `groups` can be sent back, whole or in part; anything else is refused."""
    kept = stored({"userName": "ada", "active": True})
    groups = b'[{"value": "7", "$ref": "https://example.com/scim/v2/Groups/7", "display": "Tour", "type": "direct"}]'
    facts: dict[str, Any] = {
        "id": "1",
        "resource_type": "User",
        "created": MEANWHILE,
        "last_modified": MEANWHILE,
        "version": 3,
        "location": "https://example.com/scim/v2/Users/1",
        "groups_json": groups,
    }
    own: dict[str, Any] = ours(**facts)
    answered = orjson.loads(render(orjson.dumps(kept), **facts))

    def after(*operations: dict[str, Any]) -> dict[str, object]:
        return work_out(kept, read_patch({"Operations": list(operations)}).operations, own=own).document

    repeating: list[dict[str, Any]] = [
        {"op": "replace", "value": {**answered, "title": "Dr"}},
        {
            "op": "replace",
            "value": {"meta": {"version": own["meta"]["version"]}, "groups": [{"value": "7"}], "title": "Dr"},
        },
    ]
    for repeated in repeating:
        assert after(repeated) == {**kept, "title": "Dr"}
    assert after({"op": "replace", "path": "meta.resourceType", "value": "User"}) == kept
    assert after({"op": "add", "path": "groups", "value": answered["groups"]}) == kept
    changing: list[dict[str, Any]] = [
        {"op": "replace", "value": {"meta": {"version": "another"}, "title": "Dr"}},
        {"op": "replace", "value": {"groups": [{"value": "8"}]}},
        {"op": "add", "path": "groups", "value": [*answered["groups"], {"value": "8"}]},
        {"op": "replace", "path": "meta.location", "value": "x"},
        {"op": "replace", "path": "id", "value": "2"},
    ]
    for other in changing:
        with pytest.raises(SCIMException, match="read-only"):
            after(other)
