"""Entries of a multi-valued attribute that are the same entry, brought together (RFC 7643 §2.4, RFC 7644 §3.5.2.1).

Value and type say which entry it is. A type that only one of two entries has can't tell them apart. What else they say
is put together: the later entry has the last word on everything but the value.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from rollcall.scim.attributes import Attribute
from rollcall.scim.resources import USER_ATTRIBUTES, key
from rollcall.scim.role_names import folded, names_of

Entry = Mapping[str, object]


def merged(attribute: Attribute, entries: Iterable[object]) -> list[object]:
    """The entries of *attribute*, each once, where its first one stood; what is no object stays as it is."""
    kept: list[object] = []
    known = _Known()
    for given in entries:
        entry = cast("dict[str, object]", given if isinstance(given, dict) else {})
        names = identity(attribute, entry)
        place = known.place(names, _type(entry))
        if place is None:
            known.learn(names, _type(entry), len(kept))
            kept.append(cast("object", given))
        else:
            kept[place] = together = _together(cast("Entry", kept[place]), entry)
            known.learn(names, _type(together), place)
    return kept


def without_doubles(document: Mapping[str, object]) -> dict[str, object]:
    """A person's document in which no list has an entry twice; lists that have none are the same objects."""
    result = dict(document)
    for name, value in document.items():
        attribute = USER_ATTRIBUTES.get(name.lower())
        if attribute is None or not attribute.multi_valued or not attribute.parts or not isinstance(value, list):
            continue
        entries = cast("list[object]", value)
        if len(entries) > 1 and len(single := merged(attribute, entries)) < len(entries):
            result[name] = single
    return result


def identity(attribute: Attribute, entry: Entry) -> tuple[str, ...]:
    """What an entry is told from others by, beside its type, as it is compared; nothing if it says no such thing."""
    if attribute.name == "roles":
        return tuple(sorted({folded(name) for name in names_of(entry)}))
    if attribute.has_value:
        value = entry.get("value")
        return (comparable(attribute.parts["value"], value),) if isinstance(value, str) and value else ()
    return tuple(
        f"{name}={comparable(part, value)}"
        for name, part in sorted(attribute.parts.items())
        if name not in ("primary", "type") and isinstance(value := entry.get(part.name), str)
    )


def comparable(attribute: Attribute, text: str) -> str:
    """A text of *attribute* in the form in which it is compared."""
    return unicodedata.normalize("NFC", text) if attribute.case_exact else key(text.strip())


@dataclass(slots=True)
class _Known:
    """Where the entries met so far stand: by identity and type, and by identity alone where there is no type."""

    _places: dict[tuple[str, ...], dict[str | None, int]] = field(
        default_factory=dict[tuple[str, ...], dict[str | None, int]]
    )

    def place(self, names: tuple[str, ...], kind: str | None) -> int | None:
        """Where the same entry stands, if it has been met."""
        kinds = self._places.get(names) if names else None
        if not kinds:
            return None
        if kind is None:
            return next(iter(kinds.values()))
        return kinds.get(kind, kinds.get(None))

    def learn(self, names: tuple[str, ...], kind: str | None, place: int) -> None:
        kinds = self._places.setdefault(names, {})
        if kinds.get(None) == place and kind is not None:
            del kinds[None]
        kinds[kind] = place


def _type(entry: Entry) -> str | None:
    kind = entry.get("type")
    return key(kind) if isinstance(kind, str) and kind else None


def _together(first: Entry, later: Entry) -> dict[str, object]:
    said = {
        name: part for name, part in later.items() if part is not None and not (name == "value" and first.get(name))
    }
    return {**first, **said}
