"""The resource models: what they take that scim2-models does not, and where they end."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.errors import InvalidValue
from rollcall.scim.resources import (
    ENTERPRISE_SCHEMA,
    GROUP_SCHEMA,
    LARGEST_DOCUMENT,
    LONGEST,
    MOST_ENTRIES,
    USER_ATTRIBUTES,
    USER_SCHEMA,
    User,
    check_limits,
    key,
)


@given(st.text())
def test_key_is_idempotent(value: str) -> None:
    """The key of a key is that key, so what a column holds can be compared with what is asked."""
    assert key(key(value)) == key(value)


@given(st.text())
def test_key_is_the_same_for_all_spellings(value: str) -> None:
    """Case and the way characters are composed make no difference."""
    assert key(unicodedata.normalize("NFD", value)) == key(value)
    assert key(value.casefold()) == key(value)


def test_key_of_names() -> None:
    """Case is folded as languages need it, not only lowered."""
    assert key("BJENSEN@Example.COM") == "bjensen@example.com"
    assert key("STRASSE") == key("straße")
    assert key("É") == key("e\u0301")


@pytest.mark.parametrize("address", ["ada@corp.local", "ada@example.test", "ada", "ada@[10.0.0.1]"])
def test_addresses_of_any_domain(address: str) -> None:
    """E-mail addresses are taken as the provider spells them."""
    assert User.model_validate({"userName": "a", "emails": [{"value": address}]})["emails.value"] == [address]


def test_schemas() -> None:
    """The URNs are those of RFC 7643 §8.7.1."""
    assert USER_SCHEMA == "urn:ietf:params:scim:schemas:core:2.0:User"
    assert GROUP_SCHEMA == "urn:ietf:params:scim:schemas:core:2.0:Group"
    assert ENTERPRISE_SCHEMA == "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_limits_name_attributes_that_exist() -> None:
    """Each limit belongs to an attribute; a misspelled one would limit nothing."""
    for path in LONGEST:
        name, _, part = path.lower().partition(".")
        assert name in USER_ATTRIBUTES
        assert not part or part in USER_ATTRIBUTES[name].parts


@pytest.mark.parametrize("path", [*LONGEST, "title", "name.givenName"])
def test_longest_text(path: str) -> None:
    """A text as long as its limit is kept, one character more is refused by name."""
    longest = LONGEST.get(path, 1_024)
    check_limits(_holding(path, "x" * longest))
    with pytest.raises(InvalidValue, match=f"^{path}: longer than {longest} characters$"):
        check_limits(_holding(path, "x" * (longest + 1)))


def _holding(path: str, text: str) -> dict[str, object]:
    name, _, part = path.partition(".")
    value: object = text if not part else {part: text} if name == "name" else [{part: text}]
    return {"userName": "ada", name: value}


@pytest.mark.parametrize("name", ["", " ", "\u2003", None])
def test_blank_user_name(name: str | None) -> None:
    """Nobody can be called nothing."""
    with pytest.raises(InvalidValue, match="userName"):
        check_limits({"userName": name} if name is not None else {})


def test_entries() -> None:
    """A list has room for a thousand entries."""
    check_limits({"userName": "a", "roles": [{"value": "x"}] * MOST_ENTRIES})
    with pytest.raises(InvalidValue, match="1000 entries"):
        check_limits({"userName": "a", "roles": [{"value": "x"}] * (MOST_ENTRIES + 1)})


def test_whole() -> None:
    """All together is bounded too, so that patches can't pile up what one body may not bring."""
    enough = LARGEST_DOCUMENT // 8_000 + 1
    with pytest.raises(InvalidValue, match="larger than"):
        check_limits({"userName": "a", "roles": [{"value": "x" * 8_000}] * enough})


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "ada\udfff"])
def test_what_the_database_cannot_hold(text: str) -> None:
    """NUL and half of a surrogate pair are refused, wherever they came from."""
    path = f"{ENTERPRISE_SCHEMA}:department"
    with pytest.raises(InvalidValue, match=f"^{path}: it holds "):
        check_limits({"userName": "a", ENTERPRISE_SCHEMA: {"department": text}})
