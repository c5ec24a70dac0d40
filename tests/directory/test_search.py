"""Questions about people, before they are asked."""

from typing import Any
from uuid import uuid4

import pytest

from rollcall.directory import search
from rollcall.directory.search import MOST_RESULTS, USUAL_RESULTS
from rollcall.scim.errors import InvalidFilter, InvalidSyntax, InvalidValue

ID = str(uuid4())


@pytest.mark.parametrize(
    ("parameters", "start_index", "count"),
    [
        ({}, 1, USUAL_RESULTS),
        ({"startIndex": "7", "count": "3"}, 7, 3),
        ({"STARTINDEX": "7", "Count": "3"}, 7, 3),
        ({"startIndex": "0", "count": "0"}, 1, 0),
        ({"startIndex": "-5", "count": "-5"}, 1, 0),
        ({"startIndex": "+2", "count": "+2"}, 2, 2),
        ({"startIndex": "9" * 99, "count": "9" * 99}, 2**31 - 1, MOST_RESULTS),
    ],
)
def test_bounds(parameters: dict[str, str], start_index: int, count: int) -> None:
    """startIndex and count are bounded as RFC 7644 §3.4.2.4 has it, and so that the database takes them."""
    query = search.read_query(parameters)

    assert (query.start_index, query.count) == (start_index, count)
    assert not query.beyond_the_hot_paths


@pytest.mark.parametrize("text", ["", " ", "x", "1.0", "1e3", "1_0", "--1", "\N{DEVANAGARI DIGIT ONE}", "9" * 101])
def test_what_is_no_number(text: str) -> None:
    """What is no whole number is refused, whichever parameter it is."""
    for name in ("startIndex", "count"):
        with pytest.raises(InvalidValue, match=name):
            search.read_query({name: text})


@pytest.mark.parametrize(
    ("text", "hot"),
    [
        ('userName eq "MARIA"', ("userName", "maria")),
        ('externalId eq "Ext-1"', ("externalId", "Ext-1")),
        ('externalId eq "Zoe\N{COMBINING DIAERESIS}"', ("externalId", "Zoë")),
        ('emails eq "M@X"', ("emails.value", "m@x")),
        ('email eq "M@X"', ("emails.value", "m@x")),
        ('emails.value eq "M@X"', ("emails.value", "m@x")),
        (f'id eq "{ID}"', ("id", ID)),
        (f'id eq "{ID.upper()}"', None),
        ('id eq "maria"', None),
        ("active eq true", None),
        ('userName eq "a" and active eq true', None),
    ],
)
def test_hot_paths(text: str, hot: tuple[str, str] | None) -> None:
    """The look-ups that providers make all day have a statement of their own; the others are compiled."""
    query = search.read_query({"filter": text})

    assert query.hot == hot
    assert query.beyond_the_hot_paths is (hot is None)


@pytest.mark.parametrize("text", ["nonsense", 'colour eq "red"', 'name eq "x"', "active eq 7", ""])
def test_what_is_no_filter(text: str) -> None:
    """A filter that can't be asked is refused before anybody is."""
    with pytest.raises(InvalidFilter):
        search.read_query({"filter": text})


@pytest.mark.parametrize(
    "text", [ID.upper(), ID.replace("-", ""), f"urn:uuid:{ID}", f"{{{ID}}}", "", "x", f" {ID}", "0" * 31 + "_"]
)
def test_ids_are_spelled_one_way(text: str) -> None:
    """An id has one spelling."""
    assert search.resource_id(text) is None
    assert str(search.resource_id(ID)) == ID


def test_message() -> None:
    """A search message says what parameters say; what is not for us is passed over."""
    message: dict[str, Any] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "FILTER": 'userName eq "a"',
        "startIndex": 2,
        "count": 0,
        "attributes": ["userName", "emails.value"],
        "excludedAttributes": None,
        "sortBy": "userName",
    }

    assert search.read_message(message) == {
        "FILTER": 'userName eq "a"',
        "startIndex": "2",
        "count": "0",
        "attributes": "userName,emails.value",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("filter", 1), ("count", "1"), ("count", 1.0), ("count", True), ("startIndex", []), ("attributes", "userName")],
)
def test_members_of_the_wrong_kind(name: str, value: object) -> None:
    """A member of the wrong kind is refused by its name."""
    with pytest.raises(InvalidSyntax, match=name):
        search.read_message({name: value})
