"""The strict reader: what it takes, what it refuses, and that refusing costs nothing."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim import reader
from rollcall.scim.errors import InvalidSyntax, PayloadTooLarge, UnsupportedMediaType
from rollcall.scim.reader import MOST_MEMBERS, check_media_type, read_json

text: st.SearchStrategy[str] = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20
)
leaves: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    text,
)


def objects(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Objects whose keys differ by more than case."""
    pairs = st.lists(st.tuples(text, values), max_size=5, unique_by=lambda pair: pair[0].lower())
    return pairs.map(dict[str, object])


def containers(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.lists(values, max_size=4), objects(values))


values = st.recursive(leaves, containers, max_leaves=15)


@given(objects(values), st.booleans())
def test_round_trip(document: dict[str, object], escaped: bool) -> None:
    """Any JSON object comes back as it was written, escaped or not."""
    assert read_json(json.dumps(document, ensure_ascii=escaped).encode()) == document


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": 1 "b": 2}', "line 1, column 9"),
        (b'{"a": 1,}', "line 1"),  # each version of Python has its own words, and place, for this one
        (b'{"a": 1}\n{"b": 2}', "line 2, column 1"),
        (b'{"a": "\xff"}', "not UTF-8: byte 8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\x00"}', "control character"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": [{"b": "\\ud800"}]}', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'{"b": [{"userName": 1, "USERNAME": 2}]}', "'USERNAME' twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 9223372036854775808}', "64 bits"),
        (b'{"a": -9223372036854775809}', "64 bits"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "64 bits"),
    ],
)
def test_refusals(body: bytes, says: str) -> None:
    """What is not one clean JSON object is 400 invalidSyntax, and the detail says what is wrong."""
    with pytest.raises(InvalidSyntax) as refused:
        read_json(body)
    assert says in refused.value.detail
    assert refused.value.scim_type == "invalidSyntax"


def test_pairs_of_surrogates_and_escaped_backslashes_are_text() -> None:
    """A whole surrogate pair is one character, and an escaped backslash before u0000 is no NUL."""
    assert read_json(b'{"a": "\\ud83d\\ude00", "b": "\\\\u0000"}') == {"a": "\U0001f600", "b": "\\u0000"}


def test_size() -> None:
    """A body over the limit is 413, one at the limit is read."""
    assert read_json(b'{"a":1}', limit=7) == {"a": 1}
    with pytest.raises(PayloadTooLarge) as refused:
        read_json(b'{"a":12}', limit=7)
    assert refused.value.status == 413


def test_depth() -> None:
    """Nesting to the limit is read, one level more is refused; brackets in strings and siblings don't count."""
    deep = b'{"a":' * 32 + b"1" + b"}" * 32
    assert read_json(deep)
    with pytest.raises(InvalidSyntax, match="deeper than 32"):
        read_json(b'{"a":' + deep + b"}")
    assert read_json(b'{"a": "' + b"[{" * 100 + b'\\"[", "b": [' + b",".join([b"[]"] * 100) + b"]}")
    assert read_json(b'{"a": "\\\\", "b": "\\\\\\"' + b"[" * 100 + b'"}')
    with pytest.raises(InvalidSyntax, match="deeper than 32"):
        read_json(b'{"a": "\\\\", "b": ' + b"[" * 100 + b'"]"' + b"]" * 100 + b"}")


def test_members() -> None:
    """An object of as many members as may be is read, one more is refused before any is; lists don't count."""
    most = {f"k{number}": {"a": ":{"} for number in range(MOST_MEMBERS)}
    assert len(read_json(json.dumps(most).encode())) == MOST_MEMBERS
    for refused in (most | {"one": 1}, {"a": [1, {"b": most | {"one": 1}}]}):
        with pytest.raises(InvalidSyntax, match=f"more than {MOST_MEMBERS} members"):
            read_json(json.dumps(refused).encode())
    people = {"members": [{"value": str(number), "type": "User"} for number in range(10_000)]}
    assert read_json(json.dumps(people).encode()) == people


def test_members_are_counted_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a body with too many members none is decoded, so that refusing it takes a fraction of reading it."""
    decoded: list[object] = []
    monkeypatch.setattr(reader, "_decoded", decoded.append)
    with pytest.raises(InvalidSyntax):
        read_json(json.dumps({f"k{number}": number for number in range(60_000)}).encode())
    assert not decoded


@pytest.mark.parametrize(
    "body",
    [b"[" * 10_000, b'{"a":' * 200_000, b'{"a":"' + b'\\"' * 500_000, b'{"a":' + b"1" * 900_000 + b"}"],
    ids=["brackets", "objects", "quotes", "digits"],
)
def test_hostile_bodies_are_refused_at_once(body: bytes) -> None:
    """Bodies made to exhaust the stack or the processor are refused in well under a second."""
    begun = time.process_time()
    with pytest.raises(InvalidSyntax):
        read_json(body)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/scim+json",
        "application/json",
        "Application/SCIM+JSON; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; odata=verbose",
    ],
)
def test_media_types_that_are_read(content_type: str | None) -> None:
    """SCIM and JSON in UTF-8 are read, whatever the case, and so is a body that is not labelled."""
    check_media_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/json; charset=latin-1", "application/jsonx", "json"],
)
def test_media_types_that_are_not(content_type: str) -> None:
    """Anything else is 415."""
    with pytest.raises(UnsupportedMediaType) as refused:
        check_media_type(content_type)
    assert refused.value.status == 415
