"""Filters: standard trees out of any spelling, refusals that say why, and no input that takes long."""

import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import ScimFilter
from scim2_models.path import AttrPath, CompareOperator, Comparison

from rollcall.scim.errors import InvalidFilter
from rollcall.scim.filters import read_filter, resolve
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUP_SCHEMA, GROUPS, USER_SCHEMA

E = ENTERPRISE_SCHEMA


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ('userName eq "ada"', 'userName eq "ada"'),
        ('  USERNAME Eq "ada" ', 'userName eq "ada"'),
        (f'{USER_SCHEMA}:userName eq "ada"', 'userName eq "ada"'),
        ('userName eq "a\\"b"', 'userName eq "a\\"b"'),
        ('email eq "a@b.c"', 'emails.value eq "a@b.c"'),
        ('Email sw "a"', 'emails.value sw "a"'),
        ("email pr", "emails pr"),
        ('email.type eq "work"', 'emails.type eq "work"'),
        ('emails eq "a@b.c"', 'emails.value eq "a@b.c"'),
        ('emails.value eq "a@b.c"', 'emails.value eq "a@b.c"'),
        ('emails co "b.c"', 'emails.value co "b.c"'),
        ('EMAILS[Type eq "work" and VALUE co "@b"]', 'emails[type eq "work" and value co "@b"]'),
        ('emails[type eq "work"].value eq "x"', 'emails[type eq "work" and value eq "x"]'),
        ('roles eq "admin"', 'roles.value eq "admin"'),
        ('groups eq "1"', 'groups.value eq "1"'),
        ("active eq True", "active eq true"),
        ('active eq "False"', "active eq false"),
        ('emails[primary eq "true"]', "emails[primary eq true]"),
        ("not (title pr) or active eq false", "not (title pr) or active eq false"),
        (f'{E.upper()}:DEPARTMENT eq "Tour"', f'{E}:department eq "Tour"'),
        (f'{E}:manager eq "1"', f'{E}:manager.value eq "1"'),
        ('manager eq "1"', f'{E}:manager.value eq "1"'),
        ('id eq "1" and manager eq "2"', f'id eq "1" and {E}:manager.value eq "2"'),
        ("title eq null", "title eq null"),
        ("(" * 49 + "title pr" + ")" * 49, "title pr"),
    ],
)
def test_standard_trees(text: str, standard: str) -> None:
    """Every spelling of a filter comes out as one tree, with the schema's names and without aliases."""
    assert str(read_filter(text)) == standard
    assert str(read_filter(standard)) == standard


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ('displayName eq "Staff"', 'displayName eq "Staff"'),
        ('  DISPLAYNAME Eq "Staff" ', 'displayName eq "Staff"'),
        (f'{GROUP_SCHEMA}:displayName sw "S"', 'displayName sw "S"'),
        ('members eq "1"', 'members.value eq "1"'),
        ('Members.Value eq "1"', 'members.value eq "1"'),
        ('members[VALUE eq "1" and type eq "User"]', 'members[value eq "1" and type eq "User"]'),
        ('id eq "1" or externalId eq "2"', 'id eq "1" or externalId eq "2"'),
        ("members pr", "members pr"),
    ],
)
def test_groups(text: str, standard: str) -> None:
    """A filter on Groups is read against what groups have."""
    assert str(read_filter(text, GROUPS)) == standard


@pytest.mark.parametrize(
    "text", ['userName eq "a"', 'email eq "a"', "active eq true", f'{USER_SCHEMA}:displayName eq "a"']
)
def test_what_groups_do_not_have(text: str) -> None:
    """What only people have is not an attribute of a group, aliases included."""
    with pytest.raises(InvalidFilter, match="is not an attribute of a Group"):
        read_filter(text, GROUPS)


@pytest.mark.parametrize(
    "text", ['meta.lastModified gt "2030-01-31T12:00:00Z"', 'meta.lastModified gt "2030-01-31T12:00:00"']
)
def test_times(text: str) -> None:
    """A time is compared as a time, in UTC unless it says otherwise."""
    moment = datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert read_filter(text) == Comparison(AttrPath("meta", "lastModified"), CompareOperator.gt, moment)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "column 1"),
        ("userName", "column"),
        ('userName eq "a', "column 13"),
        ('(userName eq "a"', "column"),
        ('userName is "a"', "column 10"),
        ('nope eq "a"', "'nope'"),
        ('nope sw "a"', "'nope'"),
        ("name.nope pr", "'name.nope'"),
        ('emails[nope eq "a"]', "'nope'"),
        ('user_name eq "a"', "'user_name'"),
        ('urn:x:y:z eq "a"', "'urn:x:y:z'"),
        ('department eq "a"', "'department'"),
        ('name eq "a"', "name is complex"),
        ('addresses eq "a"', "addresses is complex"),
        ('name[givenName eq "a"]', "no entries"),
        ('userName[value eq "a"]', "no entries"),
        ('password eq "a"', "password"),
        ("password pr", "password"),
        ("active gt true", "'gt'"),
        ("active eq 1", "true or false"),
        ('active eq "yes"', "true or false"),
        ("userName eq 5", "5"),
        ("userName co 5", "takes a string"),
        ('meta.lastModified gt "yesterday"', "is a time"),
        ("meta.lastModified gt 5", "is a time"),
        ('meta.lastModified gt "5"', "is a time"),
        ('userName eq "\\u0000"', "NUL"),
        ('userName eq "\\ud800"', "surrogate"),
        ("not (" * 40 + "title pr" + ")" * 40, "nests"),
        ("(" * 51 + "title pr" + ")" * 51, "nests deeper than 50"),
        (" and ".join(["title pr"] * 101), "more than 100 terms"),
        ('userName eq "' + "x" * 4_096 + '"', "longer than 4096"),
    ],
)
def test_refusals(text: str, says: str) -> None:
    """A filter that can't be answered is 400 invalidFilter, never 501, and the detail says why."""
    with pytest.raises(InvalidFilter) as refused:
        read_filter(text)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    assert says in str(refused.value)


def test_values_are_not_syntax() -> None:
    """Brackets and connectives inside a string count for nothing."""
    text = "(" * 200 + " and " * 200
    assert read_filter(f'displayName eq "{text}"') == Comparison(AttrPath("displayName"), CompareOperator.eq, text)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=50))
def test_look_ups_are_read_as_the_grammar_reads_them(value: str) -> None:
    """The short way for look-ups gives the tree that the grammar gives."""
    text = f"userName eq {ScimFilter.quote(value)}"
    assert read_filter(text) == ScimFilter(text).ast


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["userName", "displayName", "name.familyName", "emails.value", "active", "title", "nope"]),
            st.sampled_from(["eq", "NE", "co", "sw", "gt"]),
            st.sampled_from(['"ada"', '" and title eq x"', '"\\u00e9"', "true", "false", "null", "5", '""']),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([" and ", " AND ", " or "]),
)
def test_conjunctions_are_read_as_the_grammar_reads_them(terms: list[tuple[str, str, str]], joined: str) -> None:
    """The short way for comparisons that all hold gives the tree, or the refusal, that the grammar gives."""
    text = joined.join(map(" ".join, terms))
    assert read_or_refusal(text) == read_or_refusal(f"({text})").replace(f"({text})", text)


def read_or_refusal(text: str) -> str:
    """The tree that a filter is, or why it is none, as a text."""
    try:
        return repr(read_filter(text))
    except InvalidFilter as refusal:
        return str(refusal)


@given(st.text(max_size=200))
def test_any_text_is_a_filter_or_invalid(text: str) -> None:
    """No text makes anything but a tree or an InvalidFilter."""
    with suppress(InvalidFilter):
        read_filter(text)


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "not (" * 800, "title pr and " * 300, "[" * 4_000, '"\\' * 2_000, '"' + "\\a" * 2_000]
)
def test_hostile_filters_are_refused_at_once(text: str) -> None:
    """Filters made to exhaust the parser are refused before it sees them."""
    begun = time.process_time()
    with pytest.raises(InvalidFilter):
        read_filter(text)
    assert time.process_time() - begun < 0.5


def test_resolving() -> None:
    """A path of a tree leads to all the schema says of it."""
    binding = resolve(AttrPath("emails", "value"))
    assert (binding.field_name, binding.sub_field_name, binding.is_multivalued) == ("emails", "value", True)
    assert resolve(AttrPath("externalId")).case_exact
    assert resolve(AttrPath("members", "value"), GROUPS).case_exact
    with pytest.raises(InvalidFilter):
        resolve(AttrPath("nope"))
