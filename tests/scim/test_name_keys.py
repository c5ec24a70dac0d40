"""The key of names: what it takes for the same, what it keeps apart, and that it never moves."""

# ruff: noqa: RUF001  # letters that look alike are what it is about

import hashlib
import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.name_keys import composed, name_key, unstripped, without_case
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


FORMS: dict[Callable[[str], str], str] = {
    without_case: "8ea64b4fc3d7c903895b989b31916b7c72774688c88a841a9bbbf9e79a2e75c1",
    composed: "cf046e74375b4e750fb486b7d04d46c07b60a0d659bb9fe54aa8466e5c5c2d33",
}
"""The digest of what becomes of `POINTS`, alone and among marks; another one is no longer the key that is stored."""


@pytest.mark.parametrize("form", FORMS, ids=["without case", "composed"])
def test_other_stored_keys(form: Callable[[str], str]) -> None:
    """What is only folded and composed is the same in every Python."""
    texts = (text for point in POINTS for text in (chr(point), f"{chr(point)}\u0301", f"\u0391\u0345{chr(point)}"))
    assert hashlib.sha256("\n".join(map(form, texts)).encode()).hexdigest() == FORMS[form]


@given(st.text(st.characters(max_codepoint=0x58F, exclude_categories=("Cn", "Cs"))))
def test_as_the_interpreter_has_it(text: str) -> None:
    """Of characters that are older than any Python it is what the interpreter makes of them."""
    assert composed(text) == unicodedata.normalize("NFC", text)
    assert without_case(text) == unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    assert without_case(without_case(text)) == without_case(text)


def test_what_is_newer() -> None:
    """A character that is newer than the tables is only itself, whatever a newer interpreter makes of it."""
    newer = "\U00010d50\ua7da"  # both have small letters since Unicode 16
    assert (key(newer), composed(newer), name_key(newer)) == (newer, newer, newer)
