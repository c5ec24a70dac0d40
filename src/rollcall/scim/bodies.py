"""What every body begins with: `schemas`, which says what it is, and names whose case means nothing."""

from collections.abc import Mapping
from typing import Final, cast

from rollcall.scim.errors import InvalidSyntax
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USERS, ResourceKind
from rollcall.scim.values import Deviation, Reading

_CORE_SCHEMAS: Final = "urn:ietf:params:scim:schemas:core:2.0:"
_EXTENSIONS: Final[Mapping[ResourceKind, tuple[str, ...]]] = {USERS: (ENTERPRISE_SCHEMA.lower(),)}


def read_message(reading: Reading, payload: Mapping[str, object], schema: str) -> dict[str, object]:
    """The members of a message by their names in lower case.

    Raises:
        InvalidSyntax: `schemas` says it is something other than this message.
    """
    members = {name.lower(): value for name, value in payload.items()}
    named = _named(members.get("schemas"))
    if not named:
        reading.note(Deviation.NO_SCHEMAS)
    elif schema.lower() not in named:
        raise InvalidSyntax(detail=f"schemas: this address takes {schema}")
    return members


def read_schemas(reading: Reading, payload: Mapping[str, object], kind: ResourceKind) -> None:
    """Judge the `schemas` of a resource; they follow from its attributes, and matter only if they contradict.

    Raises:
        InvalidSyntax: they say it is something other than *kind*.
    """
    named = _named(next((value for name, value in payload.items() if name.lower() == "schemas"), None))
    own = kind.schema.lower()
    for urn in named:
        if urn != own and urn not in _EXTENSIONS.get(kind, ()):
            reading.note(Deviation.UNKNOWN_SCHEMA, urn)
    if own not in named and any(urn.startswith(_CORE_SCHEMAS) for urn in named):
        raise InvalidSyntax(detail=f"schemas: this address takes {kind.schema}")
    if not named:
        reading.note(Deviation.NO_SCHEMAS)


def _named(schemas: object) -> list[str]:
    return [str(urn).lower() for urn in cast("list[object]", schemas)] if isinstance(schemas, list) else []
