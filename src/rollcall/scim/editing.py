"""Carrying out edits on a stored document, as scim2-models carries out the operations they come from on a person."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from scim2_models import default_comparison_key

from rollcall.scim.attributes import Attribute
from rollcall.scim.edits import (
    AddEntries,
    Assign,
    Beyond,
    Edit,
    Entry,
    RemoveEntries,
    RemoveListed,
    ReplaceEntries,
    Selection,
    WriteEntries,
)
from rollcall.scim.merging import comparable, merged
from rollcall.scim.plain import canonical
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA, key
from rollcall.scim.role_names import Spelling, meant, names_of
from rollcall.scim.role_view import is_plain
from rollcall.scim.values import Deviation, Reading

_ROLES: Final = "roles"


def edited(
    document: Mapping[str, object], edits: Sequence[Edit], reading: Reading, spelling: Spelling | None
) -> dict[str, object]:
    """*document* with every edit made, in order; *document* itself is left as it is.

    *reading* hears of the deviations that only show now. *spelling* is how the tenant's role rule reads a name.

    Raises:
        Beyond: one of them can't be made, or not on this document.
    """
    editing = _Editing(document, reading, spelling)
    for edit in edits:
        editing.make(edit)
    return editing.finished()


class _Editing:
    """One document being edited: its lists are copied as they are touched, complex attributes as they change."""

    def __init__(self, document: Mapping[str, object], reading: Reading, spelling: Spelling | None) -> None:
        self.document = dict(document)
        self.was_extended = ENTERPRISE_SCHEMA in document
        self.reading = reading
        self.spelling = spelling
        self.lists: dict[str, tuple[Attribute, list[dict[str, object]]]] = {}
        """The lists touched so far."""

    def make(self, edit: Edit) -> None:
        match edit:
            case Assign(names=names, value=value):
                self._assign(names, value)
            case ReplaceEntries(attribute=attribute, entries=entries):
                replaced = [dict(entry) for entry in entries]
                self.lists[attribute.name] = attribute, replaced
                _settle(replaced, before=())
            case AddEntries(attribute=attribute, entries=entries):
                self._add(attribute, entries)
            case WriteEntries():
                self._write(edit)
            case RemoveEntries():
                self._remove(edit)
            case RemoveListed(attribute=attribute, wanted=wanted):
                self._remove_listed(attribute, wanted)

    def finished(self) -> dict[str, object]:
        """The document as it is kept: no list has an entry twice, and nothing is there without a value."""
        for name, (attribute, entries) in self.lists.items():
            if entries:
                self.document[name] = merged(attribute, entries) if len(entries) > 1 else entries
            else:
                self.document.pop(name, None)
        if (extended := ENTERPRISE_SCHEMA in self.document) is not self.was_extended:
            self.document["schemas"] = [USER_SCHEMA, ENTERPRISE_SCHEMA] if extended else [USER_SCHEMA]
        return self.document

    def _assign(self, names: tuple[str, ...], value: object) -> None:
        name, inner = names[0], names[1:]
        if inner:
            _assign_in(self.document, name, inner, value)
            return
        self.lists.pop(name, None)
        if value is None:
            self.document.pop(name, None)
        else:
            self.document[name] = value

    def _entries(self, attribute: Attribute) -> list[dict[str, object]]:
        """The entries that *attribute* has by now."""
        touched = self.lists.get(attribute.name)
        if touched is not None:
            return touched[1]
        stored = self.document.get(attribute.name)
        if stored is not None and not isinstance(stored, list):
            raise Beyond
        found = cast("list[object]", stored or [])
        if not all(isinstance(entry, dict) and cast("Entry", entry) for entry in found):
            raise Beyond
        if attribute.name == _ROLES and not all(map(is_plain, found)):
            raise Beyond
        once = merged(attribute, found) if len(found) > 1 else found
        entries = [dict(cast("Entry", entry)) for entry in once]
        self.lists[attribute.name] = attribute, entries
        return entries

    def _keep(self, attribute: Attribute, kept: list[dict[str, object]]) -> None:
        entries = self._entries(attribute)
        if len(kept) < len(entries):
            self.lists[attribute.name] = attribute, kept
            _settle(kept, before=kept)

    def _add(self, attribute: Attribute, added: Sequence[Entry]) -> None:
        entries = self._entries(attribute)
        known = {_compared(attribute, entry) for entry in entries}
        new = [dict(entry) for entry in added if _compared(attribute, entry) not in known]
        if new:
            before = [*entries]
            entries += new
            _settle(entries, before=before)

    def _write(self, edit: WriteEntries) -> None:
        attribute, selection = edit.attribute, edit.selection
        entries = self._entries(attribute)
        found = self._selected(attribute, entries, selection)
        if found:
            self._assign_parts(entries, found, edit.parts)
            return
        # RFC 7644 §3.5.2.3 has noTarget for that, but where the filter describes an entry one is made (see `patching`).
        made = {selection.part.name: canonical(selection.part, selection.value), **edit.parts}
        if self.reading.strict or selection.part.name == "value" or None in made.values() or not edit.parts:
            raise Beyond
        if not self._selected(attribute, [made], selection):
            raise Beyond
        self.reading.note(Deviation.UNMATCHED_FILTER, attribute.name)
        self._add(attribute, (made,))

    def _remove(self, edit: RemoveEntries) -> None:
        entries = self._entries(edit.attribute)
        found = self._selected(edit.attribute, entries, edit.selection)
        if edit.part is not None:
            self._assign_parts(entries, found, {edit.part: None})
            return
        gone = {id(entry) for entry in found}
        self._keep(edit.attribute, [entry for entry in entries if id(entry) not in gone])

    def _assign_parts(self, entries: list[dict[str, object]], found: Sequence[dict[str, object]], parts: Entry) -> None:
        primary = [entry for entry in entries if entry.get("primary") is True]
        before = [dict(entry) for entry in found]
        for entry in found:
            for name, value in parts.items():
                if value is None:
                    entry.pop(name, None)
                else:
                    entry[name] = value
            if not entry:
                raise Beyond
        if before != [*found]:
            _settle(entries, before=primary)

    def _selected(
        self, attribute: Attribute, entries: Sequence[dict[str, object]], selection: Selection
    ) -> list[dict[str, object]]:
        name, wanted = selection.part.name, selection.value
        if isinstance(wanted, bool):
            return [entry for entry in entries if entry.get(name) is wanted]
        if name == "value" and attribute.name == _ROLES:
            if names_of({"value": wanted}) != (wanted,):
                raise Beyond
            if held := meant(_values(entries), (wanted,), self.spelling):
                return [entry for entry in entries if entry.get("value") in held]
        form: Any = selection.part
        sought = default_comparison_key(form, wanted)
        return [
            entry
            for entry in entries
            if isinstance(text := entry.get(name), str) and default_comparison_key(form, text) == sought
        ]

    def _remove_listed(self, attribute: Attribute, wanted: Sequence[Entry]) -> None:
        entries = self._entries(attribute)
        value = attribute.parts["value"]
        if value.binary:
            raise Beyond
        if attribute.name == _ROLES:
            named = [names_of(entry) for entry in wanted]
            if not all(named):
                raise Beyond
            held = meant(_values(entries), [name for names in named for name in names], self.spelling)
            self._keep(attribute, [entry for entry in entries if entry.get("value") not in held])
            return
        gone: set[int] = set()
        for entry in wanted:
            if not isinstance(entry.get("value"), str) or not entry["value"]:
                raise Beyond
            gone.update(id(each) for each in _with_value(value, entries, entry))
        self._keep(attribute, [entry for entry in entries if id(entry) not in gone])


def _assign_in(document: dict[str, object], name: str, inner: Sequence[str], value: object) -> None:
    """Assign a part of a complex attribute, which is copied; without parts it is not there."""
    held = document.get(name)
    if held is not None and not isinstance(held, dict):
        raise Beyond
    parts = dict(cast("dict[str, object]", held or {}))
    if len(inner) > 1:
        _assign_in(parts, inner[0], inner[1:], value)
    elif value is None:
        parts.pop(inner[0], None)
    else:
        parts[inner[0]] = value
    if parts:
        document[name] = parts
    else:
        document.pop(name, None)


def _compared(attribute: Attribute, entry: Entry) -> frozenset[tuple[str, object]]:
    """An entry as scim2-models compares it with those that are there: all its parts, texts in one form."""
    parts: Any = attribute.parts
    return frozenset(
        (name, default_comparison_key(parts[name.lower()], value) if isinstance(value, str) else value)
        for name, value in entry.items()
        if name.lower() in parts
    )


def _settle(entries: Sequence[dict[str, object]], *, before: Collection[dict[str, object]]) -> None:
    """The entry that has just become primary is the only one (RFC 7644 §3.5.2); *before* has those that were there.

    Raises:
        Beyond: there is more than one, which is refused.
    """
    primary = [entry for entry in entries if entry.get("primary") is True]
    if len(primary) < 2:
        return
    known = {id(entry) for entry in before}
    marked = [entry for entry in primary if id(entry) not in known]
    if len(marked) != 1:
        raise Beyond
    for entry in primary:
        if entry is not marked[0]:
            entry["primary"] = False


def _values(entries: Sequence[Entry]) -> list[str]:
    return [value for entry in entries if isinstance(value := entry.get("value"), str) and value]


def _with_value(part: Attribute, entries: Sequence[dict[str, object]], wanted: Entry) -> list[dict[str, object]]:
    """The entries with the value of *wanted*: those of its type if there are any, or else all."""
    value = comparable(part, str(wanted["value"]))
    same = [each for each in entries if isinstance(own := each.get("value"), str) and own]
    same = [each for each in same if comparable(part, str(each["value"])) == value]
    kind = wanted.get("type")
    typed = [each for each in same if each.get("type") and key(str(each["type"])) == key(str(kind))] if kind else []
    return typed or same
