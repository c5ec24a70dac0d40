"""Rewriting what providers send to what the standard says, one value at a time.

Past this module code knows only the standard. What was rewritten is noted, so that a tenant's admin can be
shown what their provider does differently.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, cast

from rollcall.scim.attributes import Attribute
from rollcall.scim.errors import InvalidPath, InvalidValue, shown
from rollcall.scim.merging import merged

MOST_NOTES: Final = 50
"""Deviations that are noted of one request; a hostile one could have any number."""


class Deviation(StrEnum):
    """What providers do otherwise than the standard; `profiles.DEVIATIONS` describes each."""

    STRING_BOOLEAN = "string-boolean"
    CAPITALISED_OP = "capitalised-op"
    BARE_STRING = "bare-string"
    JSON_IN_STRING = "json-in-string"
    ROLE_DETAILS = "role-details"
    STRING_IN_FILTER = "string-in-filter"
    REMOVE_WITH_VALUE = "remove-with-value"
    UNMATCHED_FILTER = "unmatched-filter"
    PATH_IN_KEY = "path-in-key"
    NO_PATH = "no-path"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    UNKNOWN_SCHEMA = "unknown-schema"
    NO_SCHEMAS = "no-schemas"
    PASSWORD = "password"  # noqa: S105 - a deviation's name
    LIST_FOR_ONE = "list-for-one"
    ONE_FOR_LIST = "one-for-list"
    WRAPPED_VALUE = "wrapped-value"
    EXTRA_MEMBER = "extra-member"
    EMPTY_STRING = "empty-string"
    NO_URN = "no-urn"
    READ_ONLY_PART = "read-only-part"
    OWN_ID = "own-id"
    UNQUOTED_VALUE = "unquoted-value"
    BRACKETED_LIST = "bracketed-list"
    BULK_SPELLING = "bulk-spelling"
    MEMBER_NAME = "member-name"
    STRANGER = "stranger"
    UNKNOWN_ROLE = "unknown-role"
    LEFT_OUT = "left-out"


WITHIN_THE_STANDARD = frozenset(
    {Deviation.NO_PATH, Deviation.PASSWORD, Deviation.READ_ONLY_PART, Deviation.UNKNOWN_ROLE}
)
"""Those worth counting, because few providers send them so, that the standard allows all the same."""


class Unknown(Enum):
    """What becomes of an attribute nobody has."""

    IGNORED = "noted and left out, as in the body of a POST or PUT"
    REFUSED = "400 invalidPath, as in a PATCH: what was asked for could not be stored"
    REFUSED_STRICTLY = "400 invalidPath, and nothing is forgiven: the tenant takes the standard to the letter"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of an attribute that is ours to say; it may repeat what is so."""

    attribute: str
    value: object


@dataclass(slots=True)
class Reading:
    """One request being read: what becomes of unknown names, and what was found in it so far."""

    unknown: Unknown
    terms: int = 0
    """Comparisons that the paths of a PATCH make, so far."""
    claims: list[Claim] = field(default_factory=list[Claim])
    """What a PATCH says of attributes that are ours to say, so far."""
    _notes: dict[str, None] = field(default_factory=dict[str, None])

    def note(self, deviation: Deviation, attribute: str = "") -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes[f"{deviation}:{shown(attribute)[1:-1]}" if attribute else str(deviation)] = None

    @property
    def deviations(self) -> tuple[str, ...]:
        """Each `deviation` or `deviation:attribute` once, in the order met."""
        return tuple(self._notes)

    @property
    def strict(self) -> bool:
        """Whether nothing is forgiven."""
        return self.unknown is Unknown.REFUSED_STRICTLY

    def meet_unknown(self, path: str) -> None:
        if self.unknown is not Unknown.IGNORED:
            raise InvalidPath(path=path, detail=f"{shown(path)} is not an attribute of this resource")
        self.note(Deviation.UNKNOWN_ATTRIBUTE, path)


def read_object(
    reading: Reading, parts: Mapping[str, Attribute], payload: Mapping[str, object], prefix: str = ""
) -> dict[str, object]:
    """The attributes of *payload* by the names they are declared under.

    Read-only ones are left out, as RFC 7644 §3.5.1 has a service provider do.
    """
    clean: dict[str, object] = {}
    for name, value in payload.items():
        attribute = parts.get(name.lower())
        if attribute is None:
            reading.meet_unknown(prefix + name)
        elif not attribute.read_only:
            clean[attribute.name] = read_value(reading, attribute, value, prefix + attribute.name)
        elif prefix:
            reading.note(Deviation.READ_ONLY_PART, prefix + attribute.name)
    return clean


def read_value(reading: Reading, attribute: Attribute, value: object, path: str) -> object:
    """The value of one attribute; None means unassigned (RFC 7643 §2.5)."""
    if value is None or (attribute.text and type(value) is str and not attribute.multi_valued):
        return value
    if _is_unassigned(reading, attribute, value, path):
        return None
    if not attribute.multi_valued:
        return read_entry(reading, attribute, value, path)
    if not isinstance(value, list):
        reading.note(Deviation.ONE_FOR_LIST, path)
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    given = [entry for entry in entries if entry is not None and not _is_unassigned(reading, attribute, entry, path)]
    clean = [read_entry(reading, attribute, entry, path) for entry in given]
    if attribute.parts and len(clean) > 1:
        clean = merged(attribute, clean)
    _check_primary(clean, path)
    return clean


def _is_unassigned(reading: Reading, attribute: Attribute, value: object, path: str) -> bool:
    """Whether *value* is the empty string where one can't be kept, which says that there is no value.

    Except for `active`: somebody's access hangs on it.
    """
    if (
        value != ""
        or attribute.required
        or attribute.name == "active"
        or (attribute.text and not attribute.multi_valued)
    ):
        return False
    reading.note(Deviation.EMPTY_STRING, path)
    return True


def read_entry(reading: Reading, attribute: Attribute, value: object, path: str) -> object:
    """One entry of a multi-valued attribute, or the value of a single-valued one."""
    value = _only_one(reading, value, path)
    if attribute.parts:
        return _read_complex(reading, attribute, value, path)
    value = _unwrapped(reading, value, path)
    if attribute.binary and isinstance(value, str):
        return _read_binary(value, path)
    return _read_boolean(reading, value, path) if attribute.boolean else value


def _read_complex(reading: Reading, attribute: Attribute, value: object, path: str) -> object:
    if isinstance(value, str) and attribute.has_value:
        reading.note(Deviation.BARE_STRING, path)
        value = {"value": value}
    if not isinstance(value, dict):
        raise InvalidValue(attribute=path, detail=f"{path}: it is an object")
    if attribute.name == "roles":
        value = _role(reading, cast("dict[str, object]", value))
    parts = cast("dict[str, object]", value)
    separator = "."
    if path.startswith("urn:") and path == attribute.name:
        separator, parts = ":", _own_parts(parts, path)
    clean = read_object(reading, attribute.parts, parts, path + separator)
    if isinstance(text := clean.get("value"), str) and text[:1] in ("{", "["):
        reading.note(Deviation.JSON_IN_STRING, path)
    return clean


def _own_parts(parts: dict[str, object], schema: str) -> dict[str, object]:
    """What an extension's value holds, less its own URN, which scim2-models repeats inside."""
    return {name: part for name, part in parts.items() if name.lower() != "schemas" or part != [schema]}


def _role(reading: Reading, entry: dict[str, object]) -> dict[str, object]:
    """Entra's entries say `displayName` for `display`, and add the id that the role has over there."""
    names = {name.lower(): name for name in entry}
    if not {"id", "displayname"} & set(names):
        return entry
    reading.note(Deviation.ROLE_DETAILS, "roles")
    kept = {name: part for name, part in entry.items() if name.lower() not in ("id", "displayname")}
    if "displayname" in names and "display" not in names:
        kept["display"] = entry[names["displayname"]]
    return kept


def _only_one(reading: Reading, value: object, path: str) -> object:
    if isinstance(value, list) and len(entries := cast("list[object]", value)) == 1:
        reading.note(Deviation.LIST_FOR_ONE, path)
        return entries[0]
    return cast("object", value)


def _unwrapped(reading: Reading, value: object, path: str) -> object:
    if isinstance(value, dict) and "value" in value:
        wrapper = cast("dict[str, object]", value)
        if all(name == "value" or part is None for name, part in wrapper.items()):
            reading.note(Deviation.WRAPPED_VALUE, path)
            return wrapper["value"]
    return cast("object", value)


def _check_primary(entries: list[object], path: str) -> None:
    objects = [cast("dict[str, object]", entry) for entry in entries if isinstance(entry, dict)]
    if sum(entry.get("primary") is True for entry in objects) > 1:
        raise InvalidValue(attribute=path, detail=f"{path}: only one entry is primary (RFC 7643 §2.4)")


def _read_binary(text: str, path: str) -> str:
    """Base64 without the line breaks it may come with; pydantic would read past anything else that is wrong."""
    joined = "".join(text.split())
    try:
        b64decode(joined, validate=True)
    except ValueError as exc:
        raise InvalidValue(attribute=path, detail=f"{path}: it is not base64") from exc
    return joined


def _read_boolean(reading: Reading, value: object, path: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    # Only these two words: "yes", "1" and 1 could be meant otherwise, and pydantic would take them.
    if isinstance(value, str) and value.lower() in ("true", "false"):
        reading.note(Deviation.STRING_BOOLEAN, path)
        return value.lower() == "true"
    raise InvalidValue(attribute=path, detail=f"{path}: it is true or false")
