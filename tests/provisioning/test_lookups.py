"""Questions about people, before they are asked."""

from dataclasses import replace

import pytest
from scim2_models.path import AttrPath, CompareOperator, Comparison

from rollcall.provisioning import lookups
from rollcall.scim.errors import InvalidFilter, InvalidValue
from rollcall.scim.resources import GROUPS, USERS
from rollcall.scim.search import read_parameters
from rollcall.search.queries import MOST_RESULTS, USUAL_RESULTS, Order, Query, query_of

ID = "5b6bb6b1-5c2e-4d0e-9a49-0c3a5e4f7d21"


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
    query = asked(parameters)

    assert (query.start_index, query.count) == (start_index, count)
    assert not query.beyond_the_hot_paths


@pytest.mark.parametrize("text", ["", " ", "x", "1.0", "1e3", "1_0", "--1", "\N{DEVANAGARI DIGIT ONE}", "9" * 101])
def test_what_is_no_number(text: str) -> None:
    """What is no whole number is refused, whichever parameter it is."""
    for name in ("startIndex", "count"):
        with pytest.raises(InvalidValue, match=name):
            asked({name: text})


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
    query = asked({"filter": text})

    assert looked_up(query) == hot
    assert query.beyond_the_hot_paths is (hot is None)


@pytest.mark.parametrize(
    ("text", "hot"),
    [
        ('displayName eq "DART-Admins"', ("displayName", "dart-admins")),
        ('externalId eq "Ext-1"', ("externalId", "Ext-1")),
        (f'members eq "{ID}"', ("members.value", ID)),
        (f'id eq "{ID}"', ("id", ID)),
        ('members eq "maria"', None),
        (f'members[value eq "{ID}"]', None),
        ('members.display eq "maria"', None),
    ],
)
def test_hot_paths_of_groups(text: str, hot: tuple[str, str] | None) -> None:
    """Groups have such look-ups too."""
    query = query_of(read_parameters({"filter": text}, GROUPS))

    assert looked_up(query) == hot
    assert query.beyond_the_hot_paths is (hot is None)


@pytest.mark.parametrize(
    "query", [Query(kind=GROUPS, by_cursor=True), Query(order=Order(AttrPath("userName"))), Query(tree=False)]
)
def test_beyond_the_hot_paths(query: Query) -> None:
    """Groups by cursor and what comes in another order are compiled, with a filter or without one."""
    name = "displayName" if query.kind is GROUPS else "userName"
    looked_up = replace(query, tree=Comparison(AttrPath(name), CompareOperator.eq, "maria"))

    assert query.beyond_the_hot_paths
    assert looked_up.beyond_the_hot_paths is (query.tree is None)


def test_everybody_by_cursor_is_a_hot_path() -> None:
    """Everybody as they were created has a statement of its own, by index and by cursor; with a filter not."""
    everybody = Query(by_cursor=True)

    assert not everybody.beyond_the_hot_paths
    assert replace(everybody, tree=Comparison(AttrPath("userName"), CompareOperator.eq, "x")).beyond_the_hot_paths


@pytest.mark.parametrize("text", ["nonsense", 'colour eq "red"', 'name eq "x"', "active eq 7", ""])
def test_what_is_no_filter(text: str) -> None:
    """A filter that can't be asked is refused before anybody is."""
    with pytest.raises(InvalidFilter):
        asked({"filter": text})


@pytest.mark.parametrize(
    "text", [ID.upper(), ID.replace("-", ""), f"urn:uuid:{ID}", f"{{{ID}}}", "", "x", f" {ID}", "0" * 31 + "_"]
)
def test_ids_are_spelled_one_way(text: str) -> None:
    """An id has one spelling."""
    assert lookups.resource_id(text) is None
    assert str(lookups.resource_id(ID)) == ID


def looked_up(query: Query) -> tuple[str, str] | None:
    """What a query looks up, if it is a look-up."""
    return None if query.hot is None else (query.hot.attribute, query.hot.key)


def asked(parameters: dict[str, str]) -> Query:
    """The query that a list request's parameters ask."""
    return query_of(read_parameters(parameters, USERS))
