"""Reading the operations of a PATCH: whatever shape a provider gives them in, the standard's comes out."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from scim2_models import Path
from scim2_models.path import AttrPath

from rollcall.scim.attributes import Attribute
from rollcall.scim.errors import InvalidPath, InvalidSyntax, InvalidValue, Mutability, shown
from rollcall.scim.filters import check_size, count_terms, read_selection
from rollcall.scim.reader import unholdable
from rollcall.scim.resources import (
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_SCHEMA,
    USER_ATTRIBUTES,
    USER_SCHEMA,
    USERS,
    ResourceKind,
)
from rollcall.scim.values import Claim, Deviation, Reading, Unknown, read_entry, read_value

MOST_OPERATIONS: Final = 1_000
"""Operations in one PATCH."""

MOST_REMOVED: Final = 100
"""Values that one remove operation may list; each becomes a term of a filter."""

_BARE: Final = re.compile(r"[\w$:.-]+", re.ASCII)
"""A path without a filter, if it is one."""

LONGEST_REMEMBERED: Final = 200
"""Characters of a path whose meaning is remembered; of such ones there are few."""

MOST_PATH_TERMS: Final = 2_000
"""Comparisons that the paths and removals of one PATCH may make together."""


def read_operations(reading: Reading, value: object) -> list[dict[str, object]]:
    """The member `Operations` of a PATCH of a User, as scim2-models reads it."""
    return [
        clean
        for operation in standard_operations(reading, value)
        for clean in (
            _read_targeted(reading, operation, str(operation["path"]))
            if "path" in operation
            else _read_whole(reading, operation)
        )
    ]


def standard_operations(reading: Reading, value: object) -> Iterator[dict[str, object]]:
    """Each operation of a PATCH by the standard's names: `op` in lower case, and `path` a text or not there.

    Raises:
        InvalidSyntax: *value* is not a list of objects.
        InvalidValue: there are more than are read, or one has no `op` or an unknown one.
        InvalidPath: a path is no text.
    """
    for operation in _operations(value):
        clean = _members(reading, operation)
        op = clean.get("op")
        if not isinstance(op, str):
            raise InvalidValue(detail="op: it is add, remove or replace")
        if op != op.lower():
            reading.note(Deviation.CAPITALISED_OP)
        if op.lower() not in ("add", "remove", "replace"):
            raise InvalidValue(detail=f"{shown(op)} is not a PATCH operation: add, remove or replace")
        clean["op"] = op.lower()
        if clean.get("path") in (None, ""):
            clean.pop("path", None)
        elif not isinstance(clean["path"], str):
            raise InvalidPath(detail="path: it is a string")
        yield clean


def parse_path(reading: Reading, text: str, kind: ResourceKind = USERS) -> Path[Any]:
    """The path *text* is, unless it or all paths of the request together are too large to be parsed.

    Raises:
        InvalidPath: it is no path.
        InvalidValue: it is one too many.
    """
    if (wrong := check_size(text)) is not None:
        raise InvalidPath(path=text, detail=f"The path {wrong}")
    _count_terms(reading, count_terms(text))
    try:
        return kind.path(text)
    except InvalidPath as exc:
        raise InvalidPath(path=text, detail=f"{shown(text)}: {exc.detail}") from exc


def check_assigned(attribute: Attribute, value: object) -> None:
    """Required attributes stay, and `active` is not unassigned by writing nothing: that may just be left over.

    A removal of `active`, which can't be meant otherwise, is carried out (`documents.work_out`).

    Raises:
        Mutability: *value* would unassign one of them.
    """
    if value in (None, []) and (attribute.required or attribute.name == "active"):
        name = attribute.name
        raise Mutability(attribute=name, detail=f"{name}: it can be changed, but not unassigned")


def check_known_schemas(value: object, known: tuple[str, ...]) -> None:
    """`schemas` follows from the attributes, so a URN nobody declares could not be stored.

    Raises:
        InvalidValue: there is one in *value*.
    """
    urns: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    if any(urn is not None and urn not in known for urn in urns):
        raise InvalidValue(attribute="schemas", detail="schemas: it can only name the schemas of this resource")


def _operations(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list) or not value:
        raise InvalidSyntax(detail="Operations: one or more operations are required")
    operations = cast("list[object]", value)
    if len(operations) > MOST_OPERATIONS:
        raise InvalidValue(detail=f"Operations: more than {MOST_OPERATIONS}")
    if not all(isinstance(operation, dict) for operation in operations):
        raise InvalidSyntax(detail="Operations: each is an object")
    return cast("list[dict[str, object]]", operations)


def _members(reading: Reading, operation: Mapping[str, object]) -> dict[str, object]:
    clean: dict[str, object] = {}
    for name, value in operation.items():
        if name.lower() in ("op", "path", "value"):
            clean[name.lower()] = value
        else:
            reading.note(Deviation.EXTRA_MEMBER, name)
    return clean


def _read_whole(reading: Reading, operation: dict[str, object]) -> list[dict[str, object]]:
    """An operation on the resource itself: attributes stay together, keys that are paths get operations."""
    if not isinstance(value := operation.get("value"), dict) or operation["op"] == "remove":
        return [operation]  # the library says what is wrong with it
    reading.note(Deviation.NO_PATH)
    kept: dict[str, object] = {}
    apart: list[dict[str, object]] = []
    for name, item in cast("dict[str, object]", value).items():
        attribute = USER_ATTRIBUTES.get(name.lower())
        if attribute is None:
            if name.lower() not in ENTERPRISE_ATTRIBUTES:
                reading.note(Deviation.PATH_IN_KEY, name)
            op = "replace" if item is None else operation["op"]
            apart += _read_targeted(reading, {"op": op, "path": name, "value": item}, name)
        elif attribute.name == "password":
            reading.note(Deviation.PASSWORD)
        elif attribute.read_only:
            read_claim(reading, attribute, item)
        elif attribute.name != "schemas":
            kept[attribute.name] = clean = read_value(reading, attribute, item, attribute.name)
            check_assigned(attribute, clean)
    return [{**operation, "value": kept}, *apart] if kept else apart


def read_claim(reading: Reading, attribute: Attribute, value: object) -> None:
    """Keep what is said of an attribute that is ours to say, to be held against what is so; nothing says nothing.

    Raises:
        Mutability: nothing is said, where the standard counts to the letter.
    """
    if value not in (None, "", [], {}):
        reading.claims.append(Claim(attribute.name, value))
    elif reading.strict:
        raise read_only(attribute)


def read_only(attribute: Attribute) -> Mutability:
    """The refusal of a change to what is ours to say."""
    return Mutability(attribute=attribute.name, detail=f"{attribute.name}: it is read-only; leave it out")


def _read_targeted(reading: Reading, operation: dict[str, object], text: str) -> list[dict[str, object]]:
    if len(text) <= LONGEST_REMEMBERED and _BARE.fullmatch(text) is not None:
        _count_terms(reading, 1)
        path, is_schema, target = _designated(text)
    else:
        path, is_schema, target = _designated.__wrapped__(text, reading)
    if is_schema:
        return _read_model(reading, operation, text)
    if target is None:
        if path.schema is None and path.attr.partition(".")[0].lower() in ENTERPRISE_ATTRIBUTES:
            reading.note(Deviation.NO_URN, path.attr)
            qualified = f"{ENTERPRISE_SCHEMA}:{text}"
            return _read_targeted(reading, {**operation, "path": qualified}, qualified)
        reading.meet_unknown(text)
        return []
    attribute, part = target
    return _read_on(reading, operation, path, attribute, part)


def _read_on(
    reading: Reading, operation: dict[str, object], path: Path[Any], attribute: Attribute, part: Attribute | None
) -> list[dict[str, object]]:
    """An operation on *attribute*, or on a *part* of it."""
    text = str(operation["path"])
    if attribute.name == "password":
        reading.note(Deviation.PASSWORD)
        return [_without_secret(operation)]
    if attribute.name == "schemas":
        check_known_schemas(operation.get("value"), (USER_SCHEMA, ENTERPRISE_SCHEMA))
    if path.value_filter is not None and attribute.parts:
        read_selection(AttrPath(attribute.name, None, path.schema), path.value_filter)
        if 'primary eq "' in text.lower():
            reading.note(Deviation.STRING_IN_FILTER, attribute.name)
    if attribute.name == "roles" and _takes_names_away(operation, path, part):
        if operation["op"] == "remove" and operation.get("value") is not None:
            reading.note(Deviation.REMOVE_WITH_VALUE, text)
        return [{"op": "remove", "path": _entries_of(path, attribute)}]
    if operation["op"] == "remove":
        return [_read_removal(reading, operation, path, attribute, part)]
    return [operation] if "value" not in operation else _read_write(reading, operation, path, attribute, part)


def _read_write(
    reading: Reading, operation: dict[str, object], path: Path[Any], attribute: Attribute, part: Attribute | None
) -> list[dict[str, object]]:
    """An add or a replace by a value."""
    value = operation["value"]
    if attribute.read_only and path.value_filter is None and (part is None or not attribute.multi_valued):
        read_claim(reading, attribute, value if part is None or value in (None, "") else {part.name: value})
        return []
    if (part or attribute).read_only:
        return [] if value in (None, "") and not reading.strict else [operation]
    clean = _read_target_value(reading, path, attribute, part, value)
    if clean is None and value is not None:
        return [{**operation, "op": "replace", "value": None}]  # an add of nothing is no add
    return [{**operation, "value": clean}]


def _takes_names_away(operation: Mapping[str, object], path: Path[Any], part: Attribute | None) -> bool:
    """Whether an operation takes the values of roles away, by which alone they go: no display stands in for one."""
    if part is not None:
        if part.name != "value":
            return False
        value = operation.get("value")
        if operation["op"] == "remove":
            return path.value_filter is not None or value is None
        return "value" in operation and _is_empty(value) and (value is not None or operation["op"] == "replace")
    value = operation.get("value")
    if isinstance(value, list) and len(entries := cast("list[object]", value)) == 1:
        value = entries[0]
    if path.value_filter is None or operation["op"] == "remove" or not isinstance(value, dict):
        return False
    given = {name.lower(): said for name, said in cast("dict[str, object]", value).items()}
    return "value" in given and _is_empty(given["value"])


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _entries_of(path: Path[Any], attribute: Attribute) -> str:
    """The path of the entries whose part *path* designates."""
    return attribute.name if path.value_filter is None else f"{attribute.name}[{path.value_filter}]"


def _without_secret(operation: dict[str, object]) -> dict[str, object]:
    """The operation with nothing in it that an error or a ledger could repeat."""
    if operation["op"] == "remove" or "value" not in operation:
        return {name: item for name, item in operation.items() if name != "value"}
    return {**operation, "value": ""}


def _read_target_value(
    reading: Reading, path: Path[Any], attribute: Attribute, part: Attribute | None, value: object
) -> object:
    label = path.attr
    if part is not None:
        return read_value(reading, part, value, label)
    if path.value_filter is not None:
        return None if value is None else read_entry(reading, attribute, value, label)
    clean = read_value(reading, attribute, value, label)
    check_assigned(attribute, clean)
    return clean


def _read_removal(
    reading: Reading, operation: dict[str, object], path: Path[Any], attribute: Attribute, part: Attribute | None
) -> dict[str, object]:
    """A removal, whose value says which entries go; of a single value it can say nothing that the path doesn't."""
    target, text = part or attribute, str(operation["path"])
    if target.name != "active":
        check_assigned(target, None)
    if operation.get("value") is None:
        return {name: item for name, item in operation.items() if name != "value"}
    reading.note(Deviation.REMOVE_WITH_VALUE, text)
    if not (target.multi_valued and target.parts):
        if part is not None and attribute.multi_valued and path.value_filter is None:
            raise InvalidValue(detail=f"{shown(text)}: select the entry in the path; this removes it of every entry")
        return {name: item for name, item in operation.items() if name != "value"}
    entries = cast("list[object]", read_value(reading, target, operation["value"], target.name) or [])
    _count_terms(reading, len(entries))
    if not entries or len(entries) > MOST_REMOVED:
        raise InvalidValue(detail=f"{shown(text)}: a remove lists 1 to {MOST_REMOVED} values")
    return {**operation, "value": [_selector(entry) for entry in entries]}


def _selector(entry: object) -> object:
    """What of an entry to be removed says which it is: its value, or where there is none whatever it says.

    Providers send entries whole, and `display` or `primary` may have changed here since: an entry that is to go has to
    go.
    """
    parts = cast("dict[str, object]", entry)
    for name, part in parts.items():
        if isinstance(part, str) and (found := unholdable(part)) is not None:
            raise InvalidValue(attribute=name, detail=f"{name}: it holds {found}")
    if parts.get("value"):
        return {name: parts[name] for name in ("value", "type") if name in parts}
    return {name: part for name, part in parts.items() if part is not None and name != "value"}


def _read_model(reading: Reading, operation: dict[str, object], schema: str) -> list[dict[str, object]]:
    """An operation whose path is a schema's own URN."""
    attribute = USER_ATTRIBUTES.get(schema.lower())
    if attribute is None:
        whole = {name: item for name, item in operation.items() if name != "path"}
        return _read_whole(reading, whole)
    if operation["op"] == "remove" or operation.get("value") is None:
        return [operation]
    return [{**operation, "value": read_value(reading, attribute, operation["value"], attribute.name)}]


def _count_terms(reading: Reading, terms: int) -> None:
    """Parsing costs by the term, and a thousand operations could have a hundred each."""
    reading.terms += terms
    if reading.terms > MOST_PATH_TERMS:
        raise InvalidValue(detail=f"Operations: their paths have more than {MOST_PATH_TERMS} terms together")


@lru_cache(maxsize=1_024)
def _designated(
    text: str, reading: Reading | None = None
) -> tuple[Path[Any], bool, tuple[Attribute, Attribute | None] | None]:
    """The path that *text* is, whether that is a schema's own URN, and else its `_target`.

    Finding that out takes longest of a short PATCH. Only paths without a filter, which hold nobody's values, are kept.

    Raises:
        InvalidPath, InvalidValue: as `parse_path`.
    """
    path = parse_path(reading or Reading(Unknown.REFUSED), text)
    return (path, True, None) if path.model is not None else (path, False, _target(path))


def _target(path: Path[Any]) -> tuple[Attribute, Attribute | None] | None:
    """The attribute a path designates, and the sub-attribute if it goes that far; None if nobody has it."""
    attributes = USER_ATTRIBUTES
    binding = path.resolve()
    if binding is None:
        return None
    if (extension := attributes.get(str(getattr(binding.model, "__schema__", "")).lower())) is not None:
        attributes = extension.parts
    name, _, sub_name = path.attr.lower().partition(".")
    # The library also answers to names of its own making, such as `user_name`.
    attribute = attributes.get(name)
    part = attribute.parts.get(sub_name) if attribute is not None and sub_name else None
    return None if attribute is None or (sub_name and part is None) else (attribute, part)
