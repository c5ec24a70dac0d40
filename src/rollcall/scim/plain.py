"""Writes of plain attributes, applied to a document without building the person it describes.

Most changes are these: a person goes inactive, a name changes. Building the model, copying it, patching it and
writing it out costs forty times as much and ends in the same document; a test holds the two against each other.
"""

from collections.abc import Iterable, Mapping
from typing import Final, cast

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
