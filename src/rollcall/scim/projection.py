"""`attributes` and `excludedAttributes` (RFC 7644 §3.9): which parts of a resource are answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from rollcall.scim.errors import InvalidValue

ALWAYS: Final = frozenset({"id", "schemas"})
"""Returned whatever is asked: `id` by its characteristic (RFC 7643 §3.1), `schemas` always (§3)."""

LONGEST_LIST: Final = 4_096
_AROUND: Final = " ,[]"
"""What a list of names may stand in; Entra puts brackets around one."""


@dataclass(slots=True)
class Names:
    """A tree of attribute names in lower case; a name without parts stands for all of its attribute."""

    whole: bool = False
    parts: "dict[str, Names]" = field(default_factory=dict[str, "Names"])


def project(resource: Mapping[str, object], attributes: str | None, excluded: str | None) -> dict[str, object]:
    """*resource* with only what was asked for.

    Names are comma-separated, in any case, qualified by a schema URN or not, and may go down to a
    sub-attribute. Names that the resource doesn't have ask for nothing. An empty list is no list.

    Raises:
        InvalidValue: both are given. RFC 7644 §3.4.2.5 lets a client use one of the two and gives the pair no
            meaning; answering one of the meanings would hide that the client expects another.
    """
    if attributes and excluded:
        raise InvalidValue(detail="attributes and excludedAttributes exclude each other")
    for given in (attributes, excluded):
        if given is not None and len(given) > LONGEST_LIST:
            raise InvalidValue(detail=f"A list of attributes is longer than {LONGEST_LIST} characters")
    core = tuple(str(urn).lower() for urn in cast("list[object]", resource.get("schemas", [])))
    if attributes and attributes.strip(_AROUND):
        return _tidied(_kept(resource, _names(attributes, core), top=True))
    if excluded and excluded.strip(_AROUND):
        return _tidied(_left(resource, _names(excluded, core), top=True))
    return dict(resource)


@lru_cache(maxsize=256)
def _names(text: str, schemas: tuple[str, ...]) -> Names:
    """The tree for a list; a page asks for the same one a hundred times."""
    root = Names()
    for name in text.lower().strip(_AROUND).split(","):
        node = root
        for part in _steps(_whole(name).strip(), schemas):
            node = node.parts.setdefault(part, Names())
        if node is not root:
            node.whole = True
    return root


def _whole(name: str) -> str:
    """A name without a selection as Entra's own checks have it: `emails[type eq "work"]` asks for all emails."""
    head, _, rest = name.partition("[")
    return head + rest.rpartition("]")[2] if "]" in rest else head


def _steps(name: str, schemas: tuple[str, ...]) -> list[str]:
    """The keys that lead to an attribute. An extension's URN is such a key, the resource's own is not."""
    if not name.startswith("urn:"):
        return [part for part in name.split(".") if part]
    for schema in sorted(schemas, key=len, reverse=True):
        if name == schema or name.startswith(f"{schema}:"):
            inside = [part for part in name[len(schema) + 1 :].split(".") if part]
            return inside if schema == schemas[0] else [schema, *inside]
    return [name]


def _kept(resource: Mapping[str, object], names: Names, *, top: bool = False) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in resource.items():
        node = names.parts.get(key.lower())
        if (top and key in ALWAYS) or (node is not None and node.whole):
            kept[key] = value
        elif node is not None and _assigned(inside := _each(value, node, _kept)):
            kept[key] = inside
    return kept


def _left(resource: Mapping[str, object], names: Names, *, top: bool = False) -> dict[str, object]:
    left: dict[str, object] = {}
    for key, value in resource.items():
        node = names.parts.get(key.lower())
        if node is None or (top and key in ALWAYS):
            left[key] = value
        elif not node.whole and _assigned(inside := _each(value, node, _left)):
            left[key] = inside
    return left


def _each(value: object, names: Names, cut: Callable[[Mapping[str, object], Names], dict[str, object]]) -> object:
    """Cut a complex value, or every entry of a list of them; a simple value has no sub-attributes."""
    if isinstance(value, dict):
        return cut(cast("dict[str, object]", value), names)
    if isinstance(value, list):
        entries = cast("list[object]", value)
        cuts = [cut(cast("dict[str, object]", entry), names) for entry in entries if isinstance(entry, dict)]
        return [entry for entry in cuts if entry]
    return value if cut is _left else None


def _assigned(value: object) -> bool:
    return value is not None and value not in ([], {})


def _tidied(resource: dict[str, object]) -> dict[str, object]:
    """Leave out of `schemas` the extensions that are no longer there (RFC 7643 §3)."""
    urns = cast("list[str]", resource.get("schemas", []))
    if len(urns) > 1:
        resource["schemas"] = [urns[0], *(urn for urn in urns[1:] if urn in resource)]
    return resource
