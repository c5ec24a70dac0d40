"""Cursors: they come back as they were sealed, or not at all."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.cursors import LONGEST_CURSOR, Key, Position, open_cursor, seal
from rollcall.scim.errors import ExpiredCursor, InvalidCursor

SECRET = b"0123456789abcdef0123456789abcdef"
TENANT = UUID("5f0c5a0e-3f0e-4c7e-9a35-0b6a5a3f5b11")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
HERE = Position("a1b2", ("ada", "2819c223"))

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
keys: st.SearchStrategy[Key] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), texts
)
positions = st.builds(Position, texts, st.lists(keys, max_size=4).map(tuple[Key, ...]))


@given(positions)
def test_round_trip(position: Position) -> None:
    """A cursor stands for the position it was sealed for, in characters that no URL escapes (RFC 9865 §2)."""
    cursor = seal(SECRET, TENANT, position, LATER)
    assert re.fullmatch(r"[A-Za-z0-9\-._~]+", cursor)
    assert open_cursor(SECRET, TENANT, cursor, query=position.query, now=NOW) == position


@given(st.data())
def test_tampering(data: st.DataObject) -> None:
    """A cursor with any one character changed, left out or put in is invalid."""
    cursor = seal(SECRET, TENANT, HERE, LATER)
    place = data.draw(st.integers(0, len(cursor) - 1))
    put = data.draw(st.sampled_from("ABab01-_.~=é\x00"))
    left = data.draw(st.integers(0, 1))
    other = cursor[:place] + put + cursor[place + left :]
    if other != cursor:
        with pytest.raises(InvalidCursor):
            open_cursor(SECRET, TENANT, other, query=HERE.query, now=NOW)
    with pytest.raises(InvalidCursor):
        open_cursor(SECRET, TENANT, cursor[:place], query=HERE.query, now=NOW)


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    """No text that a client makes up is a cursor."""
    with pytest.raises(InvalidCursor) as refused:
        open_cursor(SECRET, TENANT, text, query=HERE.query, now=NOW)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidCursor")


def test_only_its_tenant() -> None:
    """Another tenant's cursor, or one of another installation, is invalid."""
    cursor = seal(SECRET, TENANT, HERE, LATER)
    for secret, tenant in ((SECRET, uuid4()), (b"x" * 32, TENANT)):
        with pytest.raises(InvalidCursor):
            open_cursor(secret, tenant, cursor, query=HERE.query, now=NOW)


def test_only_its_query() -> None:
    """A cursor can't be taken into another query."""
    with pytest.raises(InvalidCursor, match="another filter"):
        open_cursor(SECRET, TENANT, seal(SECRET, TENANT, HERE, LATER), query="other", now=NOW)


def test_only_for_a_while() -> None:
    """A cursor whose time is over says so, and is not confused with one that never was."""
    cursor = seal(SECRET, TENANT, HERE, LATER)
    assert open_cursor(SECRET, TENANT, cursor, query=HERE.query, now=LATER - timedelta(seconds=1)) == HERE
    with pytest.raises(ExpiredCursor) as refused:
        open_cursor(SECRET, TENANT, cursor, query=HERE.query, now=LATER)
    assert (refused.value.status, refused.value.scim_type) == (400, "expiredCursor")


def test_long_cursors() -> None:
    """A text longer than any cursor is not even looked at."""
    with pytest.raises(InvalidCursor):
        open_cursor(SECRET, TENANT, "A" * (LONGEST_CURSOR + 1), query="", now=NOW)
