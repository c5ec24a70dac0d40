"""Plain attributes, brought to a document without building the person it describes.

Nearly all that providers send is strings and booleans: somebody goes inactive, a name changes, a new person has two
addresses. Building the model, patching it and writing it out costs many times as much and ends in the same document;
tests hold the two ways against each other. What is anything else takes the long way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from rollcall.scim.attributes import Attribute
from rollcall.scim.resources import USER_ATTRIBUTES

_PLAIN: Final[Mapping[str, tuple[str, type]]] = {
    lowered: (attribute.name, bool if attribute.boolean else str)
    for lowered, attribute in USER_ATTRIBUTES.items()
    if (attribute.boolean or attribute.text)
    and not attribute.multi_valued
    and not attribute.read_only
    and attribute.name != "password"
}
"""The single strings and booleans of the resource itself: their names, and what fits in them."""


def plain_writes(operations: Iterable[Mapping[str, object]]) -> dict[str, object] | None:
    """What *operations* assign, if all of them only assign plain attributes; otherwise None.

    The members are those of a PATCH operation that has been read.
    """
    written: dict[str, object] = {}
    for operation in operations:
        assigned = _assigned(operation)
        if assigned is None:
            return None
        written |= assigned
    return written


def _assigned(operation: Mapping[str, object]) -> dict[str, object] | None:
    if operation.get("op") not in ("add", "replace"):
        return None
    path, value = operation.get("path"), operation.get("value")
    items = {str(path): value} if path else value
    if not isinstance(items, dict):
        return None
    assigned: dict[str, object] = {}
    for name, item in cast("dict[str, object]", items).items():
        known, kind = _PLAIN.get(name.lower(), ("", object))
        if type(item) is not kind:
            return None
        assigned[known] = item
    return assigned


@dataclass(frozen=True, slots=True)
class PlainUser:
    """A person all of whose attributes are plain: they are kept as they were read."""

    attributes: Mapping[str, object]

    @property
    def active(self) -> bool | None:
        """What is said of `active`; None if nothing is."""
        return cast("bool | None", self.attributes.get("active"))


def plain_user(clean: Mapping[str, object]) -> PlainUser | None:
    """The person whose attributes *clean* holds, as `values.read_object` leaves them, if all are plain."""
    kept = _plain_parts(USER_ATTRIBUTES, clean)
    return None if kept is None else PlainUser(kept)


def _plain_parts(parts: Mapping[str, Attribute], given: Mapping[str, object]) -> dict[str, object] | None:
    """The parts that have a value; None if one is not plain, or nothing is left of them."""
    kept: dict[str, object] = {}
    for name, value in given.items():
        if value is None:
            continue
        attribute = parts[name.lower()]
        if not attribute.multi_valued:
            plain = _plain_value(attribute, value)
        elif isinstance(value, list) and value:
            plain = [_plain_value(attribute, entry) for entry in cast("list[object]", value)]
            if None in plain:
                return None
        else:
            return None
        if plain is None:
            return None
        kept[name] = plain
    return kept or None


def _plain_value(attribute: Attribute, value: object) -> object | None:
    if attribute.parts:
        if not isinstance(value, dict) or attribute.name in _WITH_DEMANDS:
            return None
        return _plain_parts(attribute.parts, cast("dict[str, object]", value))
    if type(value) is str:
        return value if attribute.text or value in attribute.labels else None
    return value if attribute.boolean and type(value) is bool else None


def _has_demands(attribute: Attribute) -> bool:
    return any(part.required or _has_demands(part) for part in attribute.parts.values())


_WITH_DEMANDS: Final = frozenset(attribute.name for attribute in USER_ATTRIBUTES.values() if _has_demands(attribute))
"""Complex attributes that can't do without some part; whether it is there is the model's to judge."""
