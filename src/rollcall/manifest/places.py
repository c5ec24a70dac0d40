"""Where each key of a TOML file stands: its lines, or nothing where that can't be told for certain."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

KeyPath = tuple[str | int, ...]
"""The way to a value: table names and keys, and the position where something is a list."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SKIPPED = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # strings over several lines may end in up to five quotes
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Lines:
    """The first and the last line of a statement, counted from 1."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"line {self.first}" if self.first == self.last else f"lines {self.first}-{self.last}"


def find_places(text: str) -> dict[KeyPath, Lines]:
    """The lines of every table and every key of a file that is valid TOML.

    A table without a header of its own stands where its name is first written.
    """
    finder = _Finder({}, {}, {})
    for lines, statement in _statements(text.replace("\r\n", "\n")):
        finder.take(lines, statement)
    return finder.mentioned | finder.places


def dotted(parts: tuple[str | int, ...]) -> str:
    """Keys as they are written in the file; a position in a list is counted from 1."""
    said = ""
    for part in parts:
        if isinstance(part, int):
            said += f", entry {part + 1}"
        else:
            quoted = part if _BARE.fullmatch(part) else f'"{part}"'
            said += f".{quoted}" if said else quoted
    return said


def _statements(text: str) -> Iterator[tuple[Lines, str]]:
    """Each header and each assignment, with its lines. A line break inside brackets or a string ends nothing."""
    depth = start = 0
    line = first = 1
    for found in _SKIPPED.finditer(text + "\n"):
        match found[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth == 0:
                statement = text[start : found.start()].strip()
                if statement and not statement.startswith("#"):
                    yield Lines(first, line), statement
                line += 1
                start, first = found.end(), line
            case skipped:
                line += skipped.count("\n")


@dataclass(slots=True)
class _Finder:
    """Follows the statements in order, because a header says where the next keys belong."""

    places: dict[KeyPath, Lines]
    mentioned: dict[KeyPath, Lines]
    entries: dict[KeyPath, int]
    table: KeyPath = ()

    def take(self, lines: Lines, statement: str) -> None:
        """Note one statement. Each is valid TOML alone, so TOML's own reader splits its key."""
        content = tomllib.loads(statement)
        if statement.startswith("["):
            self.table = self._table(_header(content), is_entry=statement.startswith("[["))
            self.places.setdefault(self.table, lines)
            for length in range(1, len(self.table)):
                self.mentioned.setdefault(self.table[:length], lines)
        else:
            self._note(self.table, content, lines)

    def _table(self, names: list[str], *, is_entry: bool) -> KeyPath:
        """The path of a header: the name of a list of tables means its latest entry, or with [[…]] a new one."""
        path: KeyPath = ()
        for number, name in enumerate(names, start=1):
            path += (name,)
            if is_entry and number == len(names):
                self.entries[path] = self.entries.get(path, 0) + 1
            if path in self.entries:
                path += (self.entries[path] - 1,)
        return path

    def _note(self, path: KeyPath, value: object, lines: Lines) -> None:
        if path != self.table:
            self.places.setdefault(path, lines)
        if isinstance(value, dict):
            for name, part in cast("dict[str, object]", value).items():
                self._note((*path, name), part, lines)
        elif isinstance(value, list):
            for position, part in enumerate(cast("list[object]", value)):
                self._note((*path, position), part, lines)


def _header(content: dict[str, Any]) -> list[str]:
    names: list[str] = []
    inner: Any = content
    while isinstance(inner, dict) and inner:
        name, inner = next(iter(cast("dict[str, Any]", inner).items()))
        names.append(name)
    return names
