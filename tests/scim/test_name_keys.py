"""The key of names: what it takes for the same, what it keeps apart, and that it never moves."""

# ruff: noqa: RUF001  # letters that look alike are what it is about

import hashlib
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.name_keys import name_key, unstripped
from rollcall.scim.resources import first_key, key

FROZEN = "327d8c7a5369f1ae515f08146a50f9bbbfc9fd0802abf88b80ea8dc9bb203772"
"""The digest of the keys of `POINTS`, alone and before a mark. Another one is a new version of the key."""

POINTS = [point for point in (*range(0x40000), *range(0xE0000, 0xF0000)) if not 0xD800 <= point <= 0xDFFF]
"""All code points of the planes that have characters, or ever had."""

OTHERS = [*range(0x40000, 0xE0000, 0x101), *range(0xF0000, sys.maxunicode + 1, 0x101)]
"""Some of each of the others: private ones, and those that nobody has given a meaning yet."""


@pytest.mark.parametrize(
    ("name", "as_key"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada \t", "ada"),
        ("\u3000ada\u00a0", "ada"),
        ("ａｄａ＠example.com", "ada@example.com"),
        ("ＡＤＡ", "ada"),
        ("ada\u200b@example.com", "ada@example.com"),
        ("\ufeffada", "ada"),
        ("ada\u200d\u2060\u00ad\u202e\ufe0f", "ada"),
        ("ada\x00\x7f", "ada"),
        ("a\u00a0da", "a da"),
        ("a\tda", "a da"),
        ("E\u0301va", "éva"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("ΑΣ", "ασ"),
        ("ｶﾞ", "ガ"),
        ("\u1112\u1161\u11ab", "한"),
        ("하\u11ab", "한"),
        ("α\u0345\u0301", "άι"),
        ("\u212b", "å"),
        ("\u200b \u2060", ""),
        ("", ""),
    ],
)
def test_same_names(name: str, as_key: str) -> None:
    """Width, case, composition, outer blanks and what can't be seen make no difference."""
    assert name_key(name) == as_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "a da"),
        ("a  da", "a da"),
        ("ada", "adа"),
        ("ﬁ", "f i"),
        ("x²", "x2"),
        ("josé", "jose"),
        ("a+b@example.com", "a b@example.com"),
    ],
)
def test_other_names(one: str, other: str) -> None:
    """Inner blanks, other scripts' letters, accents and signs do."""
    assert name_key(one) != name_key(other)


def test_it_never_moves() -> None:
    """Every code point has the key it had when keys of this version were first stored, in every interpreter."""
    digest = hashlib.sha256()
    for point in POINTS:
        digest.update(f"{unstripped(chr(point))}|{unstripped(chr(point) + chr(0x301))}\n".encode())
    assert digest.hexdigest() == FROZEN
    assert [point for point in OTHERS if name_key(chr(point)) != chr(point)] == []


@pytest.mark.skipif(
    tuple(map(int, unicodedata.unidata_version.split("."))) > (15, 1, 0), reason="it knows later characters"
)
def test_it_is_what_unicode_says() -> None:
    """Where the interpreter knows a character, its own case folding and composition come to the same."""
    for point in POINTS:
        character = chr(point)
        if unicodedata.category(character) == "Cn" or unstripped(character) in ("", " "):
            continue
        if unicodedata.decomposition(character).startswith(("<wide>", "<narrow>")):
            character = unicodedata.normalize("NFKC", character)
        for text in (character, f"a{character}\u0345\u0301"):
            apart = unicodedata.normalize("NFD", text).casefold()
            assert unstripped(text) == unicodedata.normalize("NFC", apart), hex(point)


@given(st.text())
def test_it_is_idempotent(text: str) -> None:
    """The key of a key is that key; that of the first version has the same key as the name."""
    assert name_key(name_key(text)) == name_key(text)
    assert name_key(key(text)) == name_key(text)


@given(st.text(), st.sampled_from(["NFC", "NFD"]))
def test_all_spellings(text: str, form: str) -> None:
    """Composition, case and outer blanks never make another key."""
    known = "".join(each for each in text if unicodedata.category(each) != "Cn")
    assert name_key(unicodedata.normalize(form, known)) == name_key(known)  # pyright: ignore[reportArgumentType]
    assert name_key(f"\u200b\u2003{known}\u3000") == name_key(known)


def test_first_keys() -> None:
    """A plain name has one key; another had a different one, by which it may be kept."""
    assert first_key("Ada@example.com") is None
    assert first_key("ＡDA") == "ａda"
