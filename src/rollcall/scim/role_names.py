"""What an entry of `roles` is called: one notion, for storing, matching, adding, removing, searching and judging.

A name is the entry's value, or what the JSON inside that value names, or its display where there is no value.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, cast

import orjson

from rollcall.scim.resources import key

Spelling = Callable[[str], str]
"""What all spellings of one name have in common."""

_DEEPEST: Final = 8
_PARTS: Final = ("value", "displayName", "display", "name")
"""What says the name, the first of them that says anything."""


def names_of(entry: object) -> tuple[str, ...]:
    """The names of one entry, in order: mostly one, none where nothing says any, several in a JSON list."""
    return tuple(dict.fromkeys(_found(entry, _DEEPEST)))


def role_names(document: Mapping[str, object]) -> tuple[str, ...]:
    """The names that the `roles` of a person hold, in order, whichever shape the provider gave them."""
    return tuple(name for entry in entries_of(document) for name in names_of(entry))


def folded_names(document: Mapping[str, object]) -> tuple[str, ...]:
    """`role_names` as they are compared and looked up, each once, in alphabetical order."""
    return tuple(sorted({folded(name) for name in role_names(document)}))


def folded(name: str) -> str:
    """A name as it is compared: without case, composed, without blanks around it."""
    return key(name.strip())


def loosened(name: str) -> str:
    """A name as a role rule reads it at the loosest: `_` is `-`, and a plural s at the end counts for nothing."""
    hyphenated = folded(name).replace("_", "-")
    return hyphenated[:-1] if len(hyphenated) > 1 and hyphenated.endswith("s") else hyphenated


def meant(names: Iterable[str], wanted: Collection[str], spelling: Spelling | None = None) -> set[str]:
    """Which of *names* somebody means who says *wanted*.

    *spelling* is the tenant's role rule's. Without one, a name that nobody has as it is written may be spelled as
    loosely as any rule reads it: whoever takes a role away has to find it.
    """
    held = dict.fromkeys(names)
    exactly = {folded(name) for name in wanted}
    found = {name for name in held if folded(name) in exactly}
    if spelling is not None:
        spelled = {spelling(name) for name in wanted}
        return found | {name for name in held if spelling(name) in spelled}
    missing = exactly - {folded(name) for name in found}
    loosely = {loosened(name) for name in missing}
    return found | {name for name in held if loosened(name) in loosely}


def entries_of(document: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The entries of `roles` that are objects, as all that are stored today are."""
    values = document.get("roles")
    for entry in cast("list[object]", values) if isinstance(values, list) else ():
        if isinstance(entry, dict):
            yield cast("dict[str, object]", entry)


def inside(text: str) -> object:
    """The JSON object, list or string that *text* is, or None for a plain name."""
    text = text.strip()
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        return cast("object", orjson.loads(text))
    except orjson.JSONDecodeError:
        return None


def _found(value: object, depth: int) -> Iterator[str]:
    """The names in a value: the string itself, or what the JSON inside it says."""
    if depth == 0:
        return
    if isinstance(value, dict):
        entry = cast("dict[str, object]", value)
        given = next((entry[name] for name in _PARTS if entry.get(name)), None)
        yield from _found(given, depth - 1)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _found(item, depth - 1)
    elif isinstance(value, str) and (text := value.strip()):
        # JSON that names nothing is still what the provider sent, and must not vanish unseen.
        yield from tuple(_found(inside(text), depth - 1)) or (text,)
