"""A language in which every sentence stands in brackets, so that what was forgotten stands outside of them."""

import re
from collections.abc import Collection, Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from rollcall.console.languages import OURS

TEMPLATE = OURS / "console.pot"
_KEPT = re.compile(r"(%\(\w+\)s|%%|<[^>]*>|\*\*.*?\*\*)")
_SAID = re.compile(r"⟦[^⟦⟧]*⟧")
_NO_SENTENCE = re.compile(r'https?://\S+|"\w+": |%\(\w+\)s|[\w.-]+@[\w.-]+|\b[a-z_]+(?:\.[a-z_]+)+\b')
"""Keys of what scripts say, addresses, and names of events and calls."""
_SPOKEN = frozenset({"aria-label", "title", "placeholder", "alt", "data-said", "data-now", "data-words"})
_NO_WORDS = frozenset({"code", "pre", "time", "style", "script", "textarea"})
_VOID = frozenset({"input", "meta", "link", "br", "img", "rect", "path", "circle", "line"})


def bracketed(sentence: str) -> str:
    """A sentence as this language has it; what is put in stays outside of the brackets, and is looked at by itself."""
    parts = _KEPT.split(sentence)
    return "".join(part if place % 2 or not re.search(r"\w", part) else f"⟦{part}⟧" for place, part in enumerate(parts))


def dropped_in(folder: Path, tag: str) -> Path:
    """The language as a file that an operator drops into a folder."""
    with TEMPLATE.open("rb") as lines:
        template = read_po(lines)
    catalogue = Catalog(locale=tag.replace("-", "_"))
    for message in template:
        if isinstance(message.id, tuple):
            forms = [bracketed(each) for each in message.id]
            catalogue.add(message.id, (forms[0], *[forms[1]] * (catalogue.num_plurals - 1)))
        elif isinstance(message.id, str) and message.id:
            catalogue.add(message.id, bracketed(message.id))
    file = folder / tag / "LC_MESSAGES" / "console.po"
    file.parent.mkdir(parents=True)
    with file.open("wb") as lines:
        write_po(lines, catalogue)
    return file


class _Words(HTMLParser):
    """All that a page says, but for code, times and what says of itself that it is English."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an attribute says, and note where nothing is to be taken."""
        said = dict(attrs)
        is_silent = tag in _NO_WORDS or said.get("lang") == "en" or (tag == "b" and not said)
        if tag not in _VOID and (self._silent or is_silent):
            self._silent.append(tag)
        if not is_silent:
            self.found += [value for name, value in attrs if name in _SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        """Listen again after what was silent."""
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self._silent:
            self.found.append(data)


def forgotten(page: str, names: Collection[str]) -> Iterator[str]:
    """What a page says outside of brackets that is none of these names."""
    reader = _Words()
    reader.feed(page)
    for said in reader.found:
        left = _NO_SENTENCE.sub("", _SAID.sub(" ", said))
        for name in sorted(names, key=len, reverse=True):
            left = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", left)
        if re.search(r"[A-Za-z]{2}", left):
            yield said.strip()
