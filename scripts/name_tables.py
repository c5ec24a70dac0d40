"""The Unicode tables by which names are compared: python3.13 scripts/name_tables.py > src/rollcall/scim/name_tables.txt

They are frozen, so that no name comes to be another person's because an interpreter was replaced. What they say is what
the standard library of the interpreter that runs this knows; it refuses to run in one of another Unicode version. New
tables are a new version of the key (`rollcall.scim.name_keys`), with a revision that fills the keys again.

Each section lists what differs from itself. A line is a code point, or a run of them (`0041-005A`, with `/2` every
second one), and what it becomes: nothing, several code points, or the first of as many that follow each other. In the
section of combining classes all of a run have the same.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator

UNICODE = "15.1.0"

# Default_Ignorable_Code_Point, as DerivedCoreProperties.txt derives it: what has no shape of its own. The standard
# library has no such property, so what it is derived from stands here.
_OTHER_IGNORABLE = (
    *(0x034F, *range(0x115F, 0x1161), *range(0x17B4, 0x17B6), 0x2065, 0x3164, 0xFFA0, *range(0xFFF0, 0xFFF9)),
    *range(0xE0000, 0xE1000),
)
_VARIATION_SELECTORS = (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
_SHOWN_FORMATS = (
    *(*range(0x0600, 0x0606), 0x06DD, 0x070F, *range(0x0890, 0x0892), 0x08E2, 0x110BD, 0x110CD),
    *range(0x13430, 0x13440),
)
"""Format characters that are seen, or arrange what is seen."""

_BLANKS = (*range(0x09, 0x0E), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
"""White_Space, but for the blank itself."""

_INVISIBLE = frozenset({*_OTHER_IGNORABLE, *_VARIATION_SELECTORS})

Become = Callable[[str], str]


def prepared(character: str) -> str:
    """A blank for white space, nothing for what is invisible, the ordinary form for a wide or a narrow one."""
    point = ord(character)
    if point in _BLANKS:
        return " "
    if point in _INVISIBLE or unicodedata.category(character) == "Cc":
        return ""
    if unicodedata.category(character) == "Cf" and point not in _SHOWN_FORMATS:
        return ""
    how, *points = unicodedata.decomposition(character).split() or [""]
    if how not in {"<wide>", "<narrow>"}:
        return character
    ordinary = "".join(chr(int(each, 16)) for each in points)
    return "" if ord(ordinary) in _INVISIBLE else ordinary


def decomposed(character: str) -> str:
    """One step of the canonical decomposition; syllables of Hangul are composed and taken apart by arithmetic."""
    points = unicodedata.decomposition(character)
    if not points or points.startswith("<"):
        return character
    return "".join(chr(int(each, 16)) for each in points.split())


def folded(character: str) -> str:
    """Full case folding of a character that has no decomposition."""
    return character if decomposed(character) != character else character.casefold()


def never_composed(character: str) -> str:
    """Nothing for two characters that stay two in NFC, itself for all others."""
    apart = decomposed(character)
    return "" if len(apart) == 2 and unicodedata.normalize("NFC", character) != character else character


def lines(become: Become) -> Iterator[str]:
    """What differs from itself, in runs as long as may be."""
    changed = [(point, become(chr(point))) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    changed = [(point, text) for point, text in changed if text != chr(point)]
    at = 0
    while at < len(changed):
        point, text = changed[at]
        length, step = max((_run(changed, at, step), step) for step in (1, 2))
        last = changed[at + length - 1][0]
        points = f"{point:04X}" if length == 1 else f"{point:04X}-{last:04X}" + ("/2" if step == 2 else "")
        yield " ".join([points, *(f"{ord(each):04X}" for each in text)])
        at += length


def _run(changed: list[tuple[int, str]], at: int, step: int) -> int:
    """How many from *at* on follow each other by *step* and become one text, or texts that follow each other so."""
    point, text = changed[at]
    length = 1
    while at + length < len(changed):
        following, became = changed[at + length]
        if following != point + length * step:
            break
        if len(text) == 1 and became != chr(ord(text) + length * step):
            break
        if len(text) != 1 and (text or became):
            break
        length += 1
    return length if step == 1 or length > 2 else 1


def main() -> None:
    """Print the tables."""
    if unicodedata.unidata_version != UNICODE:
        sys.exit(f"This Python knows Unicode {unicodedata.unidata_version}; run it with one of {UNICODE} (3.13).")
    print(f"# Unicode {UNICODE}; made by scripts/name_tables.py, never edited by hand.")
    for become in (prepared, decomposed, never_composed, folded):
        print(f"[{become.__name__}]")
        print("\n".join(lines(become)))
    print("[combining_class]")
    print("\n".join(classes()))


def classes() -> Iterator[str]:
    """Runs of one combining class, where that is not 0."""
    found = [(point, unicodedata.combining(chr(point))) for point in range(0x110000)]
    found = [each for each in found if each[1]]
    at = 0
    while at < len(found):
        point, number = found[at]
        length = 1
        while at + length < len(found) and found[at + length] == (point + length, number):
            length += 1
        yield f"{point:04X}{f'-{point + length - 1:04X}' if length > 1 else ''} {number:04X}"
        at += length


if __name__ == "__main__":
    main()
