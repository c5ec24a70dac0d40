"""What the operations of a PATCH come to, where each can be carried out on the stored document itself.

Nearly all that providers send assigns values, or writes, adds or removes entries that a type, a value or `primary`
picks out. Building the person, copying them for each operation and writing them out costs twenty times as much and
ends in the same document; tests hold this against scim2-models. What is anything else, and whatever would be refused,
is `Beyond` and left to the library (`patching`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, cast

from rollcall.scim.attributes import Attribute
from rollcall.scim.plain import plain_parts, plain_value
from rollcall.scim.resources import ENTERPRISE_ATTRIBUTES, ENTERPRISE_SCHEMA, USER_ATTRIBUTES, USER_SCHEMA

Entry = Mapping[str, object]
Verb = Literal["add", "replace", "remove"]

_LONGEST_PATH: Final = 200
_NAME: Final = "[A-Za-z$][A-Za-z0-9$_-]*"
_PATH: Final = re.compile(
    rf"(?:(?P<urn>{re.escape(USER_SCHEMA)}|{re.escape(ENTERPRISE_SCHEMA)}):)?(?P<attr>{_NAME})"
    r"(?:\[(?P<by>type|primary|value) eq (?:\"(?P<text>[^\"\\\x00-\x1f]*)\"|(?P<flag>true))\])?"
    rf"(?:\.(?P<part>{_NAME}))?",
    re.IGNORECASE,
)
_NOT_HERE: Final = ("schemas", "password")


class Beyond(Exception):
    """It can't be carried out on the document; scim2-models carries it out, or says why it can't be."""


@dataclass(frozen=True, slots=True)
class Assign:
    """A value for what the names lead to, or none: it is unassigned."""

    names: tuple[str, ...]
    value: object


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant: those of which this part equals this."""

    part: Attribute
    value: str | bool


@dataclass(frozen=True, slots=True)
class ReplaceEntries:
    """These entries in place of all there are."""

    attribute: Attribute
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class AddEntries:
    """These entries beside those there are."""

    attribute: Attribute
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class WriteEntries:
    """Parts of the entries that are selected; None unassigns one."""

    attribute: Attribute
    selection: Selection
    parts: Entry


@dataclass(frozen=True, slots=True)
class RemoveEntries:
    """The entries that are selected are taken away, or a part of each."""

    attribute: Attribute
    selection: Selection
    part: str | None


@dataclass(frozen=True, slots=True)
class RemoveListed:
    """The entries that are listed are taken away, each by its value."""

    attribute: Attribute
    wanted: tuple[Entry, ...]


Edit = Assign | ReplaceEntries | AddEntries | WriteEntries | RemoveEntries | RemoveListed


def edits_of(operations: Iterable[Mapping[str, object]]) -> tuple[Edit, ...] | None:
    """What *operations* do, if each can be done on a document; otherwise None.

    They are those of a PATCH as `operations.read_operations` leaves them.
    """
    try:
        return tuple(edit for operation in operations for edit in _edits(operation))
    except Beyond:
        return None


def written(edits: Iterable[Edit]) -> dict[str, object] | None:
    """What *edits* assign, if all they do is to give attributes of the person a single value; otherwise None."""
    values: dict[str, object] = {}
    for edit in edits:
        if not isinstance(edit, Assign) or len(edit.names) != 1 or edit.value is None:
            return None
        values[edit.names[0]] = edit.value
    return values


def _edits(operation: Mapping[str, object]) -> Iterator[Edit]:
    op, path = cast("Verb", operation["op"]), operation.get("path")
    if op != "remove" and (operation.get("value") is None and (op == "add" or "value" not in operation)):
        raise Beyond
    if path:
        yield from _targeted(op, str(path), operation.get("value"))
        return
    value = operation.get("value")
    if op == "remove" or not isinstance(value, dict):
        raise Beyond
    for name, item in cast("dict[str, object]", value).items():
        yield from _written(op, (), _writable(USER_ATTRIBUTES.get(name.lower())), item)


def _targeted(op: Verb, text: str, value: object) -> Iterator[Edit]:
    found = _PATH.fullmatch(text) if len(text) <= _LONGEST_PATH else None
    if found is None:
        raise Beyond
    owner, attribute, part = _designated(found["urn"] or "", found["attr"], found["part"] or "")
    if found["by"] is None:
        if part is not None and attribute.multi_valued:
            raise Beyond
        if part is not None:
            owner, attribute = (*owner, attribute.name), part
        yield from _removed(owner, attribute, value) if op == "remove" else _written(op, owner, attribute, value)
        return
    selection = _selected(attribute, found["by"], found["text"], flag=found["flag"] is not None)
    if op == "remove":
        if value is not None:
            raise Beyond
        yield RemoveEntries(attribute, selection, None if part is None else part.name)
    else:
        yield WriteEntries(attribute, selection, _parts(attribute, value) if part is None else _part(part, value))


@lru_cache(maxsize=1_024)
def _designated(urn: str, name: str, part_name: str) -> tuple[tuple[str, ...], Attribute, Attribute | None]:
    """What a path leads to: the names of what it stands in, the attribute, and the part where it goes that far."""
    of_extension = urn.lower() == ENTERPRISE_SCHEMA.lower()
    table = ENTERPRISE_ATTRIBUTES if of_extension else USER_ATTRIBUTES
    attribute = _writable(table.get(name.lower()))
    part = _writable(attribute.parts.get(part_name.lower())) if part_name else None
    return ((ENTERPRISE_SCHEMA,) if of_extension else ()), attribute, part


def _writable(attribute: Attribute | None) -> Attribute:
    if attribute is None or attribute.read_only or attribute.name in _NOT_HERE:
        raise Beyond
    return attribute


def _selected(attribute: Attribute, by: str, text: str | None, *, flag: bool) -> Selection:
    part = attribute.parts.get(by.lower())
    if part is None or not attribute.multi_valued:
        raise Beyond
    if not part.boolean and text is not None and (part.text or part.labels):
        return Selection(part, text)
    if part.boolean and (flag or (text or "").lower() == "true"):
        return Selection(part, value=True)
    raise Beyond


def _removed(owner: tuple[str, ...], attribute: Attribute, value: object) -> Iterator[Edit]:
    if attribute.required:
        raise Beyond
    if value is None:
        yield Assign((*owner, attribute.name), None)
        return
    if not attribute.multi_valued or not isinstance(value, list) or not attribute.has_value:
        raise Beyond
    wanted = tuple(cast("list[Entry]", value))
    if not all(entry and all(isinstance(part, str | bool) for part in entry.values()) for entry in wanted):
        raise Beyond
    yield RemoveListed(attribute, wanted)


def _written(op: Verb, owner: tuple[str, ...], attribute: Attribute, value: object) -> Iterator[Edit]:
    """An add or a replace by a value, which writes a complex attribute part by part (RFC 7644 §3.5.2.3)."""
    names = (*owner, attribute.name)
    if value is None or value == []:
        if attribute.required:
            raise Beyond
        if value is None or op == "replace":
            yield Assign(names, None)
    elif attribute.multi_valued:
        yield _entries(op, attribute, value)
    elif attribute.parts:
        if not isinstance(value, dict):
            raise Beyond
        for name, item in cast("dict[str, object]", value).items():
            yield from _written(op, names, _writable(attribute.parts.get(name.lower())), item)
    elif (plain := plain_value(attribute, value)) is not None:
        yield Assign(names, plain)
    else:
        raise Beyond


def _entries(op: Verb, attribute: Attribute, value: object) -> Edit:
    if not attribute.parts or not isinstance(value, list):
        raise Beyond
    plain = [_entry(attribute, entry) for entry in cast("list[object]", value)]
    return AddEntries(attribute, tuple(plain)) if op == "add" else ReplaceEntries(attribute, tuple(plain))


def _entry(attribute: Attribute, entry: object) -> Entry:
    plain = plain_parts(attribute.parts, cast("Entry", entry)) if isinstance(entry, dict) else None
    if plain is None:
        raise Beyond
    return plain


def _part(part: Attribute, value: object) -> Entry:
    if value is not None and (value := plain_value(part, value)) is None:
        raise Beyond
    return {part.name: value}


def _parts(attribute: Attribute, value: object) -> Entry:
    if not isinstance(value, dict):
        raise Beyond
    parts: dict[str, object] = {}
    for name, item in cast("dict[str, object]", value).items():
        parts |= _part(_writable(attribute.parts.get(name.lower())), item)
    return parts
