"""Plain attributes, brought to a document without building the person it describes.

Nearly all that providers send is strings and booleans: a new person has a name and two addresses. Building the model
and writing it out costs many times as much and ends in the same document; tests hold the two ways against each other.
What is anything else takes the long way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from rollcall.scim.attributes import Attribute
from rollcall.scim.resources import USER_ATTRIBUTES


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
    kept = plain_parts(USER_ATTRIBUTES, clean)
    return None if kept is None else PlainUser(kept)


def plain_parts(parts: Mapping[str, Attribute], given: Mapping[str, object]) -> dict[str, object] | None:
    """The parts that have a value; None if one is not plain, or nothing is left of them."""
    kept: dict[str, object] = {}
    for name, value in given.items():
        if value is None:
            continue
        attribute = parts[name.lower()]
        if not attribute.multi_valued:
            plain = plain_value(attribute, value)
        elif isinstance(value, list) and value:
            plain = [plain_value(attribute, entry) for entry in cast("list[object]", value)]
            if None in plain:
                return None
        else:
            return None
        if plain is None:
            return None
        kept[name] = plain
    return kept or None


def plain_value(attribute: Attribute, value: object) -> object | None:
    """*value* as it is kept; None if it is not plain, or needs the schema's judgement."""
    if attribute.parts:
        if not isinstance(value, dict) or attribute.name in _WITH_DEMANDS:
            return None
        return plain_parts(attribute.parts, cast("dict[str, object]", value))
    if type(value) is str:
        return canonical(attribute, value) if attribute.text or attribute.labels else None
    return value if attribute.boolean and type(value) is bool else None


def canonical(attribute: Attribute, value: str | bool) -> str | bool:
    """A label as its list spells it, whatever case it comes in (RFC 7643 §7); any other value as it is."""
    if isinstance(value, bool) or not attribute.labels:
        return value
    return lowered if (lowered := value.lower()) in attribute.labels else value


def _has_demands(attribute: Attribute) -> bool:
    return any(part.required or _has_demands(part) for part in attribute.parts.values())


_WITH_DEMANDS: Final = frozenset(attribute.name for attribute in USER_ATTRIBUTES.values() if _has_demands(attribute))
"""Complex attributes that can't do without some part; whether it is there is the model's to judge."""
