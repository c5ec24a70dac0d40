"""Statements that are put together once: what of a filter they depend on, and that no value stays in them."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.filters import read_filter
from rollcall.scim.resources import GROUPS, USERS, ResourceKind
from rollcall.search import paging
from rollcall.search.paging import statement
from rollcall.search.queries import Query

BASE = "http://rollcall.test/scim/v2"
SHAPES = [
    (USERS, 'userName eq "{}" and active eq true'),
    (USERS, 'userName sw "{}" or emails.value co "{}"'),
    (USERS, 'not (displayName ew "{}") and externalId ne "{}"'),
    (USERS, 'emails[type eq "{}" and value eq "{}"]'),
    (USERS, 'roles eq "{}" or groups.display sw "{}" or title gt "{}"'),
    (GROUPS, 'displayName eq "{}" and members.display eq "{}"'),
]


def asked(kind: ResourceKind, text: str, *values: str) -> paging.Asked:
    """The statement for a filter with these values."""
    tree = read_filter(text.format(*values), kind)
    return statement(Query(tree=tree, kind=kind), uuid4(), BASE)


@pytest.mark.parametrize(("kind", "text"), SHAPES)
@given(value=st.text(st.sampled_from("abcdxyz\u00df\u00e9"), min_size=9, max_size=20))
def test_no_value_stays_in_a_statement(kind: ResourceKind, text: str, value: str) -> None:
    """Filters of one shape have one statement, which holds neither what was asked for nor whose it is."""
    assert asked(kind, text, *[value] * 3).text == asked(kind, text, *[f"{value}z"] * 3).text
    assert value not in asked(kind, text, *[value] * 3).text


@pytest.mark.parametrize(("kind", "text"), SHAPES)
def test_a_statement_is_given_the_values_that_are_asked_for(kind: ResourceKind, text: str) -> None:
    """Whoever asks by a shape that somebody asked by before is answered about their own tenant and value."""
    tree = read_filter(text.format(*["someone"] * 3), kind)
    first, second = uuid4(), uuid4()
    statement(Query(tree=tree, kind=kind), first, BASE)
    tree = read_filter(text.format(*["sesame"] * 3), kind)
    arguments = statement(Query(tree=tree, kind=kind, start_index=8, count=9), second, BASE).arguments
    assert second in arguments
    assert first not in arguments
    assert not any(isinstance(each, str) and "someone" in each for each in arguments)
    assert any(isinstance(each, str) and "sesame" in each for each in arguments)
    assert {7, 9} <= {each for each in arguments if isinstance(each, int)}


def test_few_statements_are_kept() -> None:
    """What is remembered is bounded, of long filters more narrowly, and these take nothing from the others' room."""
    asked(USERS, 'userType eq "1" and title eq "x" and nickName pr')
    kept = paging.remembered()
    for more in range(paging.MOST_LONG_REMEMBERED * 2):
        asked(USERS, " or ".join(f'title eq "{number}"' for number in range(paging.FEW_TERMS + 1 + more)))
    assert kept <= paging.remembered() <= kept + paging.MOST_LONG_REMEMBERED
    assert paging.remembered() <= paging.MOST_REMEMBERED + paging.MOST_LONG_REMEMBERED


@pytest.mark.parametrize("terms", [2, paging.FEW_TERMS + 1, 40])
def test_a_statement_is_put_together_once(monkeypatch: pytest.MonkeyPatch, terms: int) -> None:
    """Whoever asks by the same shape again, with other values, does not have its statement put together once more."""
    asked(USERS, " or ".join(f'title co "{number}"' for number in range(terms)))
    monkeypatch.delattr(paging, "_select")
    asked(USERS, " or ".join(f'title co "{number} more"' for number in range(terms)))
