"""List requests, as a query and as a message: the same search, or a refusal that says why."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import SearchRequest
from scim2_models.path import AttrPath

from rollcall.scim.errors import InvalidCount, InvalidFilter, InvalidSyntax, InvalidValue, SCIMException
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUP_SCHEMA, GROUPS, USER_SCHEMA, USERS
from rollcall.scim.search import Search, read_parameters, read_search

MESSAGE = str(SearchRequest.__schema__)
ALL = (USERS, GROUPS)


def query(**parameters: str) -> Search:
    return read_parameters(parameters, USERS)


def message(**members: object) -> Search:
    return read_search({"schemas": [MESSAGE], **members}, USERS)


def test_query_and_message_are_one() -> None:
    """A message asks for what the query with the same names asks for (RFC 7644 §3.4.3)."""
    asked = query(
        FILTER='USERNAME sw "a"',
        sortBy="name.FamilyName",
        sortOrder="Descending",
        startIndex="11",
        count="10",
        attributes="userName,emails",
    )
    assert asked == message(
        filter='userName sw "a"',
        sortBy="name.familyName",
        sortOrder="descending",
        startIndex=11,
        count=10,
        attributes=["userName", "emails"],
    )
    assert (str(asked.tree), asked.sort_by, asked.descending) == (
        'userName sw "a"',
        AttrPath("name", "familyName"),
        True,
    )
    assert (asked.start_index, asked.count, asked.cursor) == (11, 10, None)
    assert (asked.attributes, asked.excluded_attributes) == ("userName,emails", None)
    assert message(excludedAttributes=["a", "b"]).excluded_attributes == "a,b"


def test_nothing_asked() -> None:
    """Without parameters it is the first page by index of everything, as long as the service likes."""
    assert query() == message() == Search(USERS)
    assert query(foo="bar", sortBy=" ", sortOrder="") == Search(USERS)
    assert message(foo="bar", filter=None, count=None, cursor=None) == Search(USERS)


@pytest.mark.parametrize(
    ("sent", "start_index", "count"),
    [
        ({"startIndex": 0, "count": 0}, 1, 0),
        ({"startIndex": -5, "count": -5}, 1, 0),
        ({"startIndex": 3, "count": 4}, 3, 4),
        ({"startIndex": 10**18, "count": 10**18}, 2**31 - 1, 2**31 - 1),
    ],
)
def test_numbers(sent: dict[str, int], start_index: int, count: int) -> None:
    """Numbers too small are the smallest (RFC 7644 §3.4.2.4), and none is larger than can be counted."""
    for asked in (query(**{name: str(value) for name, value in sent.items()}), message(**sent)):
        assert (asked.start_index, asked.count) == (start_index, count)


def test_cursors() -> None:
    """An empty cursor asks for the first page by cursor, and no cursor for one by index (RFC 9865 §2)."""
    assert query(cursor="").cursor == message(cursor="").cursor == ""
    assert query(cursor="abc.def", count="10").cursor == "abc.def"
    assert query(cursor="", count="0").count == 0


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", AttrPath("userName")),
        (" USERNAME ", AttrPath("userName")),
        (f"{USER_SCHEMA}:userName", AttrPath("userName")),
        ("emails", AttrPath("emails", "value")),
        ("emails.type", AttrPath("emails", "type")),
        ("email", AttrPath("emails", "value")),
        ("meta.lastModified", AttrPath("meta", "lastModified")),
        ("active", AttrPath("active")),
        (f"{ENTERPRISE_SCHEMA.lower()}:Department", AttrPath("department", None, ENTERPRISE_SCHEMA)),
        (f"{ENTERPRISE_SCHEMA}:manager", AttrPath("manager", "value", ENTERPRISE_SCHEMA)),
    ],
)
def test_sorting(text: str, path: AttrPath) -> None:
    """What to sort by is spelled as the schema does, down to the value that is compared."""
    assert query(sortBy=text).sort_by == message(sortBy=text).sort_by == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nope", "'nope' is not an attribute of a User"),
        ("user_name", "'user_name'"),
        ("name.nope", "'name.nope'"),
        ("userName.nope", "'userName.nope'"),
        ("department", "'department'"),
        ("urn:x:y:z", "'urn:x:y:z'"),
        (USER_SCHEMA, "User"),
        ('emails[type eq "work"]', "emails"),
        ("a b", "'a b'"),
        ("x" * 5_000, "xxx"),
        ("name", "name is complex"),
        ("addresses", "addresses is complex"),
        ("x509Certificates", "binary"),
        ("x509Certificates.value", "binary"),
        ("password", "password"),
    ],
)
def test_what_cannot_be_sorted_by(text: str, says: str) -> None:
    """An order that can't be is 400 invalidValue, and not silently another one."""
    with pytest.raises(InvalidValue) as refused:
        query(sortBy=text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"filter": ""}, InvalidFilter),
        ({"filter": "nope eq 1"}, InvalidFilter),
        ({"count": "ten"}, InvalidValue),
        ({"count": "1.5"}, InvalidValue),
        ({"count": "\u0661"}, InvalidValue),
        ({"count": ""}, InvalidValue),
        ({"startIndex": "1" * 101}, InvalidValue),
        ({"sortOrder": "up"}, InvalidValue),
        ({"attributes": "a", "excludedAttributes": "b"}, InvalidValue),
        ({"attributes": "x" * 5_000}, InvalidValue),
        ({"cursor": "", "startIndex": "1"}, InvalidValue),
        ({"cursor": "", "count": "-1"}, InvalidCount),
        ({"cursor": "", "count": "ten"}, InvalidCount),
    ],
)
def test_queries_that_cannot_be_read(parameters: dict[str, str], refusal: type[SCIMException]) -> None:
    """A parameter that can't be read, or contradicts another, is refused."""
    with pytest.raises(refusal):
        read_parameters(parameters, USERS)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"filter": 5}, "filter: it is a string"),
        ({"COUNT": "5"}, "count: it is a whole number"),
        ({"startIndex": True}, "startIndex: it is a whole number"),
        ({"count": 1.5}, "count"),
        ({"attributes": "userName"}, "attributes: it is a list of names"),
        ({"excludedAttributes": [5]}, "excludedAttributes"),
        ({"cursor": 5}, "cursor"),
        ({"schemas": [USER_SCHEMA]}, "SearchRequest"),
    ],
)
def test_messages_that_cannot_be_read(members: dict[str, object], says: str) -> None:
    """A member of the wrong type is 400 invalidSyntax, and the detail says what it should be."""
    with pytest.raises(InvalidSyntax, match=says):
        message(**members)


def test_fingerprints() -> None:
    """Pages of one query have one fingerprint, however it is spelled; another order or filter is another query."""
    first = query(filter='userName sw "J"', sortBy="userName", count="10", cursor="")
    second = query(filter='USERNAME SW "J"', sortBy="username", count="20", cursor="x", attributes="id")
    assert first.fingerprint == second.fingerprint
    others = [
        query(filter='userName sw "j"', sortBy="userName"),
        query(filter='userName sw "J"'),
        query(filter='userName sw "J"', sortBy="userName", sortOrder="descending"),
        query(),
        read_parameters({}, GROUPS),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_filters_without_quotes() -> None:
    """Where the tenant's profile says so, values need no quotes, and that is noted."""
    asked = read_parameters({"filter": "userName eq bob@x.com and active eq True"}, USERS, unquoted_values=True)
    assert str(asked.tree) == 'userName eq "bob@x.com" and active eq true'
    assert asked.deviations == ("unquoted-value",)
    assert read_parameters({"filter": 'userName eq "bob"'}, USERS, unquoted_values=True).deviations == ()
    assert str(read_search({"filter": "id eq 5"}, USERS, unquoted_values=True).tree) == 'id eq "5"'
    with pytest.raises(InvalidFilter):
        query(filter="userName eq bob@x.com")


def test_lists_in_brackets() -> None:
    """Brackets around a list of attributes are noted."""
    assert query(attributes="[userName,emails]").deviations == ("bracketed-list:attributes",)


@pytest.mark.parametrize(
    ("text", "of_users", "of_groups"),
    [
        (None, None, None),
        ('displayName eq "a"', 'displayName eq "a"', 'displayName eq "a"'),
        ('userName eq "a"', 'userName eq "a"', False),
        ('userName eq "a" or displayName eq "b"', 'userName eq "a" or displayName eq "b"', 'displayName eq "b"'),
        ('userName eq "a" and displayName eq "b"', 'userName eq "a" and displayName eq "b"', False),
        ("not (userName pr)", "not (userName pr)", True),
        ('not (userName pr) and displayName eq "b"', 'not (userName pr) and displayName eq "b"', 'displayName eq "b"'),
        ('not (userName pr and members pr) or id eq "1"', True, True),
        ('members[value eq "1"] or emails[value eq "2"]', 'emails[value eq "2"]', 'members[value eq "1"]'),
        (f'{GROUP_SCHEMA}:displayName eq "a"', False, 'displayName eq "a"'),
        (f'{USER_SCHEMA}:displayName eq "a"', 'displayName eq "a"', False),
        ('email eq "a@b.c"', 'emails.value eq "a@b.c"', False),
    ],
)
def test_several_kinds(text: str | None, of_users: object, of_groups: object) -> None:
    """What only other kinds have has no value here (RFC 7644 §3.4.2.1), and the rest of the filter holds."""
    parameters = {} if text is None else {"filter": text}
    for kind, expected in ((USERS, of_users), (GROUPS, of_groups)):
        tree = read_parameters(parameters, kind, among=ALL).tree
        assert (tree if tree is None or isinstance(tree, bool) else str(tree)) == expected


def test_sorting_several_kinds() -> None:
    """Resources that don't have what is sorted by have no value for it; what nobody has is refused."""
    assert read_parameters({"sortBy": "members"}, USERS, among=ALL).sort_by is None
    assert read_parameters({"sortBy": "members"}, GROUPS, among=ALL).sort_by == AttrPath("members", "value")
    with pytest.raises(InvalidValue):
        read_parameters({"sortBy": "nope"}, GROUPS, among=ALL)


@pytest.mark.parametrize(
    "text", ["nope pr", "userName pr or nope pr", "emails[nope pr]", "members[userName pr]", "a b"]
)
def test_what_no_kind_has(text: str) -> None:
    """An attribute that none of the kinds has is 400 invalidFilter."""
    for kind in ALL:
        with pytest.raises(InvalidFilter):
            read_parameters({"filter": text}, kind, among=ALL)


@given(st.dictionaries(st.sampled_from(["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"]), st.text()))
def test_any_query(parameters: dict[str, str]) -> None:
    """Any query is read or refused, and so is the message of the same texts."""
    for read in (read_parameters, read_search):
        with suppress(SCIMException):
            assert read(parameters, USERS, among=ALL, unquoted_values=True).start_index >= 1


@pytest.mark.parametrize("text", ["(" * 10_000, "x eq a " * 50_000, "eq " * 100_000, 'x eq "' * 50_000])
def test_hostile_filters_are_refused_at_once(text: str) -> None:
    """A filter made to occupy a process is refused before it does, whichever way it is read."""
    begun = time.process_time()
    for among in ((), ALL):
        with pytest.raises(InvalidFilter):
            read_parameters({"filter": text}, USERS, among=among, unquoted_values=True)
    assert time.process_time() - begun < 0.5
