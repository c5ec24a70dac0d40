"""What a body is about, whatever else it says and however: whether somebody leaves, and whether it speaks of roles."""

import re
from collections.abc import Mapping
from typing import cast

from rollcall.scim.resources import USER_SCHEMA

_ON_ROLES = re.compile(rf"(?:{re.escape(USER_SCHEMA)}:)?roles(?![\w$-])", re.IGNORECASE)
_ACTIVE = ("active", f"{USER_SCHEMA}:active".casefold())
_NAME = ("username", f"{USER_SCHEMA}:userName".casefold())


def says_that_somebody_leaves(payload: Mapping[str, object]) -> bool:
    """Whether the last `active` of a PUT or a PATCH is false. What can't be read otherwise is no matter here."""
    return last_active(payload) is False


def last_active(payload: Mapping[str, object]) -> bool | None:
    """The last `active` of a PUT or a PATCH; None if it says none that can be read."""
    operations = _member(payload, "operations")
    if not isinstance(operations, list):
        return _last_active(payload)
    said = [_of_operation(operation) for operation in cast("list[object]", operations)]
    return next((active for active in reversed(said) if active is not None), None)


def names_nobody(payload: Mapping[str, object]) -> bool:
    """Whether a PUT is of no person, as it has no `userName`; a PATCH has none, and need not."""
    if isinstance(_member(payload, "operations"), list):
        return False
    extension = _member(payload, USER_SCHEMA.casefold())
    given = [payload, cast("dict[str, object]", extension)] if isinstance(extension, dict) else [payload]
    return all(_member(attributes, name) is None for attributes in given for name in _NAME)


def speaks_of_roles(payload: Mapping[str, object]) -> bool:
    """Whether a body says which roles a person has, as all but a PATCH of other attributes do."""
    operations = _operations(payload)
    return operations is None or any(map(_is_on_roles, operations))


def names_roles(payload: Mapping[str, object]) -> bool:
    """Whether a body may name roles that a person has: all but a PATCH that only removes some, or is of others."""
    operations = _operations(payload)
    return operations is None or any(_is_on_roles(each) and not _is_removal(each) for each in operations)


def _operations(payload: Mapping[str, object]) -> list[dict[str, object]] | None:
    """The operations of a PATCH, but those that can't be any; None: it is none."""
    operations = _member(payload, "operations")
    if not isinstance(operations, list):
        return None
    return [cast("dict[str, object]", each) for each in cast("list[object]", operations) if isinstance(each, dict)]


def _is_removal(operation: Mapping[str, object]) -> bool:
    return str(_member(operation, "op")).strip().casefold() == "remove"


def _is_on_roles(operation: Mapping[str, object]) -> bool:
    path, value = _member(operation, "path"), _member(operation, "value")
    if isinstance(path, str) and path.strip():
        return _ON_ROLES.match(path.strip()) is not None
    return isinstance(value, dict) and _has_roles(cast("dict[str, object]", value))


def _has_roles(value: Mapping[str, object]) -> bool:
    if any(_ON_ROLES.match(name) for name in value):
        return True
    extension = _member(value, USER_SCHEMA.casefold())
    return isinstance(extension, dict) and _has_roles(cast("dict[str, object]", extension))


def _of_operation(operation: object) -> bool | None:
    """What a PATCH operation says of `active`; None if it says nothing, or nothing that can be read."""
    if not isinstance(operation, dict):
        return None
    members = cast("dict[str, object]", operation)
    if str(_member(members, "op")).strip().casefold() not in ("add", "replace"):
        return None
    path, value = _member(members, "path"), _member(members, "value")
    if isinstance(path, str) and path.strip():
        return _boolean(value) if path.strip().casefold() in _ACTIVE else None
    return _last_active(cast("dict[str, object]", value)) if isinstance(value, dict) else None


def _last_active(attributes: Mapping[str, object]) -> bool | None:
    said = [_boolean(value) for name, value in attributes.items() if name.strip().casefold() in _ACTIVE]
    extension = _member(attributes, USER_SCHEMA.casefold())
    if isinstance(extension, dict):
        said.append(_last_active(cast("dict[str, object]", extension)))
    return next((active for active in reversed(said) if active is not None), None)


def _boolean(value: object) -> bool | None:
    """A boolean in the shapes that providers send: bare, as a string, in a list of one, in an object with a `value`."""
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        return _boolean(cast("list[object]", value)[0])
    if isinstance(value, dict):
        return _boolean(_member(cast("dict[str, object]", value), "value"))
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().casefold())
    return value if isinstance(value, bool) else None


def _member(members: Mapping[str, object], name: str) -> object:
    """The member of this name, in whichever case it is written."""
    return next((value for given, value in members.items() if given.strip().casefold() == name), None)
