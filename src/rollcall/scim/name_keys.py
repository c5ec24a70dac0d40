"""The key by which names are compared: one for all spellings that people would take for the same name.

It is what RFC 7644 §5 asks for userNames, after the profile UsernameCaseMapped of PRECIS (RFC 8265): wide and narrow
characters are the ordinary ones, case is folded, text is composed (NFC). Blanks around a name don't count, any white
space is a blank, and what can't be seen is not there: characters that Unicode calls default-ignorable (U+200B, joiners,
marks of direction, soft hyphens, variation selectors), and controls. PRECIS forbids most of those; here they are taken,
shown as they were sent, and make no name another one.

The tables are frozen (``name_tables.txt``, made by ``scripts/name_tables.py``): keys are stored, and must not move with
the interpreter's idea of Unicode. A character that the tables don't know is only itself.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

VERSION: Final = 2
"""The version of the key. The first was `rollcall.scim.resources.key`, by the interpreter's tables.

No key says its version, because it shows: one that `name_key` makes into another one is of the first version.
"""

_FIRST_TO_LOOK_UP: Final = "\u0370"
"""Before it are Latin letters and marks, which every Python knows and folds alike, faster than by the tables here."""

_TABLES: Final = Path(__file__).with_name("name_tables.txt")
_SYLLABLES, _LEADING, _VOWELS, _TRAILING = 0xAC00, 0x1100, 0x1161, 0x11A7
_LEADING_COUNT, _VOWEL_COUNT, _TRAILING_COUNT = 19, 21, 28
_VOWEL_PARTS: Final = range(_VOWELS, _VOWELS + _VOWEL_COUNT)
_TRAILING_PARTS: Final = range(_TRAILING + 1, _TRAILING + _TRAILING_COUNT)


def name_key(name: str) -> str:
    """The key of a name; empty if nothing of it can be seen. Applying it twice is the same as applying it once."""
    return unstripped(name).strip(" ")


def unstripped(text: str) -> str:
    """A part of a name as the key has it, with blanks at its ends, because there they may be inside the name."""
    if text.isascii() and text.isprintable():
        return text.lower()
    tables = _tables()
    ordered = _ordered(text.translate(tables.prepared).translate(tables.decomposed), tables.classes)
    return _nfc(ordered.translate(tables.folded))


def _nfc(text: str) -> str:
    tables = _tables()
    return _composed(_ordered(text.translate(tables.decomposed), tables.classes), tables)


def without_case(text: str) -> str:
    """*text* with case folded, composed (NFC), and nothing else: how other texts are compared whose keys are stored."""
    if text.isascii():
        return text.lower()
    if max(text) < _FIRST_TO_LOOK_UP:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return composed(composed(text).translate(_WITHOUT_CASE))


def composed(text: str) -> str:
    """*text* in NFC, case kept."""
    if text.isascii():
        return text
    if max(text) < _FIRST_TO_LOOK_UP:
        return unicodedata.normalize("NFC", text)
    return text if _tables().unsettled.isdisjoint(text) else _nfc(text)


class _WithoutCase(dict[int, str]):
    """What single characters are without case, each worked out when it is met first."""

    def __missing__(self, point: int) -> str:
        tables = _tables()
        self[point] = becomes = _nfc(chr(point).translate(tables.decomposed).translate(tables.folded))
        return becomes


_WITHOUT_CASE: Final = _WithoutCase()


def prepared() -> Mapping[int, str]:
    """What becomes of characters before anything else: wide and narrow ones, white space, and what is invisible."""
    return _tables().prepared


@dataclass(frozen=True, slots=True)
class _Tables:
    prepared: Mapping[int, str]
    decomposed: Mapping[int, str]
    """Canonical decompositions, down to the end."""
    folded: Mapping[int, str]
    pairs: Mapping[str, str] = field(repr=False)
    """What two characters compose."""
    classes: Mapping[str, int]
    """Combining classes other than 0."""
    unsettled: frozenset[str] = field(repr=False)
    """Characters without which a text is composed: marks, later parts of others, and what decomposes for good."""


@cache
def _tables() -> _Tables:
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in _TABLES.read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            sections[line.strip("[]")] = section = []
        elif not line.startswith("#"):
            section.append(line)
    once = dict(_read(sections["decomposed"]))
    kept_apart = dict(_read(sections["never_composed"]))
    pairs = {apart: chr(point) for point, apart in once.items() if len(apart) == 2 and point not in kept_apart}
    classes = {chr(point): number for line in sections["combining_class"] for point, number in _classes(line)}
    parts = {pair[1] for pair in pairs} | {chr(part) for part in (*_VOWEL_PARTS, *_TRAILING_PARTS)}
    for_good = {chr(point) for point in once} - set(pairs.values())
    return _Tables(
        dict(_read(sections["prepared"])),
        {point: _to_the_end(apart, once) for point, apart in once.items()},
        dict(_read(sections["folded"])),
        pairs,
        classes,
        frozenset(classes.keys() | parts | for_good),
    )


def _read(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Code points and what they become."""
    for line in lines:
        run, *becomes = line.split(" ")
        text = "".join(chr(int(each, 16)) for each in becomes)
        for point in (points := _points(run)):
            yield point, chr(ord(text) + point - points[0]) if len(text) == 1 else text


def _classes(line: str) -> Iterator[tuple[int, int]]:
    run, number = line.split(" ")
    for point in _points(run):
        yield point, int(number, 16)


def _points(run: str) -> range:
    ends, _, step = run.partition("/")
    first, _, last = ends.partition("-")
    return range(int(first, 16), int(last or first, 16) + 1, int(step or "1"))


def _to_the_end(text: str, once: Mapping[int, str]) -> str:
    while (further := text.translate(once)) != text:
        text = further
    return text


def _ordered(text: str, classes: Mapping[str, int]) -> str:
    """Combining characters in the canonical order."""
    if classes.keys().isdisjoint(text):
        return text
    ordered: list[str] = []
    marks: list[str] = []
    for character in text:
        if character in classes:
            marks.append(character)
            continue
        ordered += sorted(marks, key=classes.__getitem__)
        ordered.append(character)
        marks.clear()
    return "".join([*ordered, *sorted(marks, key=classes.__getitem__)])


def _composed(text: str, tables: _Tables) -> str:
    """The canonical composition of decomposed text in canonical order."""
    composed: list[str] = []
    starter, before = -1, 0
    pair = _pairing(tables.pairs)
    for character in text:
        number = tables.classes.get(character, 0)
        is_next = before < number or (before == 0 and starter == len(composed) - 1)
        if starter >= 0 and is_next and (made := pair(composed[starter], character)) is not None:
            composed[starter] = made
            continue
        if number == 0:
            starter = len(composed)
        before = number
        composed.append(character)
    return "".join(composed)


def _pairing(pairs: Mapping[str, str]) -> Callable[[str, str], str | None]:
    def pair(first: str, second: str) -> str | None:
        return pairs.get(first + second) or _syllable(ord(first), ord(second))

    return pair


def _syllable(first: int, second: int) -> str | None:
    """The syllable of Hangul that two parts make."""
    if 0 <= first - _LEADING < _LEADING_COUNT and 0 <= second - _VOWELS < _VOWEL_COUNT:
        return chr(_SYLLABLES + ((first - _LEADING) * _VOWEL_COUNT + second - _VOWELS) * _TRAILING_COUNT)
    place = first - _SYLLABLES
    is_open = 0 <= place < _LEADING_COUNT * _VOWEL_COUNT * _TRAILING_COUNT and place % _TRAILING_COUNT == 0
    return chr(first + second - _TRAILING) if is_open and 0 < second - _TRAILING < _TRAILING_COUNT else None
