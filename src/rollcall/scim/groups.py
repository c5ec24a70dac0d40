"""Groups as providers write them, read into changes of sets, and as they are answered.

Who belongs to a group is kept as rows and never loaded as a list. So a patch is not carried out here: it becomes
steps that a database can carry out one after the other, each at the cost of the members it names.
"""

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

import orjson
from scim2_models import PatchOp
from scim2_models.path import AttrPath

from rollcall.scim.attributes import Attribute
from rollcall.scim.bodies import read_message, read_schemas
from rollcall.scim.documents import etag, meta
from rollcall.scim.errors import InvalidFilter, InvalidValue, Mutability, NoTarget, SCIMException, shown
from rollcall.scim.filters import read_selection
from rollcall.scim.members import check_count, labelled, listed_ids, read_members
from rollcall.scim.operations import (
    check_assigned,
    check_known_schemas,
    parse_path,
    read_only,
    standard_operations,
)
from rollcall.scim.resources import GROUP_ATTRIBUTES, GROUP_SCHEMA, GROUPS, check_text
from rollcall.scim.values import Deviation, Reading, Unknown, read_object, read_value

_PATCH_SCHEMA: Final = str(PatchOp.__schema__)
_PREFIX: Final = f"{GROUP_SCHEMA.lower()}:"
# Each part ends where the next begins and can't be divided otherwise, so that failing takes linear time too.
_VALUE: Final = r'\s*value\s+eq\s+"[^"\\\x00-\x1f]*"\s*'
_CHOSEN: Final = re.compile(rf"members\[{_VALUE}(?:or\s{_VALUE})*\]", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Rename:
    """The group is called *display_name* from now on."""

    display_name: str


@dataclass(frozen=True, slots=True)
class SetExternalId:
    """The provider knows the group by *external_id*, or by none if it is None."""

    external_id: str | None


@dataclass(frozen=True, slots=True)
class AddMembers:
    """These belong to the group; those who did already still do."""

    ids: tuple[str, ...]
    displays: tuple[tuple[str, str], ...] = ()
    """What some of them are called, by their ids."""


@dataclass(frozen=True, slots=True)
class RemoveMembers:
    """These don't belong to the group; those who didn't anyway still don't (RFC 7644 §3.5.2.2)."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplaceMembers:
    """These belong to the group and nobody else does; none of them means nobody."""

    ids: tuple[str, ...]
    displays: tuple[tuple[str, str], ...] = ()
    """What some of them are called, by their ids."""


@dataclass(frozen=True, slots=True)
class RepeatMembers:
    """These belong to the group already, and are said again; if one does not, there is nothing to write to."""

    ids: tuple[str, ...]
    displays: tuple[tuple[str, str], ...] = ()
    """What some of them are called, by their ids."""


Step = Rename | SetExternalId | AddMembers | RemoveMembers | ReplaceMembers | RepeatMembers


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """The body of a POST or PUT: the group it describes, and what was unusual about it."""

    display_name: str
    external_id: str | None
    members: tuple[str, ...]
    """Their ids, each once, in the order given."""
    displays: tuple[tuple[str, str], ...]
    """What some of them are called, by their ids."""
    members_given: bool
    """Whether the body says anything of members; one that doesn't can be told from one that says "none"."""
    deviations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadGroupPatch:
    """The body of a PATCH as steps in order; carried out, the group is what was asked for."""

    steps: tuple[Step, ...]
    deviations: tuple[str, ...]


def read_group(payload: Mapping[str, object]) -> ReadGroup:
    """Read the body of a POST or a PUT.

    `id` and `meta` are ignored, being ours to say (RFC 7644 §3.5.1). So is what is said of a member besides its
    id and its `display`: `type` and `$ref` follow from whom the id belongs to.

    Raises:
        InvalidSyntax: `schemas` says it is something other than a Group.
        InvalidValue: `displayName` is missing, a member has no id, or a value does not fit.
    """
    reading = Reading(Unknown.IGNORED)
    read_schemas(reading, payload, GROUPS)
    given = {name.lower(): value for name, value in payload.items()}
    rest = {name: value for name, value in payload.items() if name.lower() not in ("schemas", "members")}
    clean = read_object(reading, GROUP_ATTRIBUTES, rest)
    if clean.get("displayName") is None:
        raise InvalidValue(attribute="displayName", detail="displayName: it is required")
    external_id = clean.get("externalId")
    members = {} if given.get("members") is None else read_members(reading, given["members"])
    return ReadGroup(
        display_name=_text(GROUP_ATTRIBUTES["displayname"], clean["displayName"]),
        external_id=None if external_id is None else _text(GROUP_ATTRIBUTES["externalid"], external_id),
        members=tuple(members),
        displays=labelled(members),
        members_given="members" in given,
        deviations=reading.deviations,
    )


def read_group_patch(
    payload: Mapping[str, object], *, group_id: str | None, unknown: Unknown = Unknown.REFUSED
) -> ReadGroupPatch:
    """Read the body of a PATCH.

    *group_id* lets a value repeat the group's own id, as Okta's do; *unknown* says what becomes of attributes
    nobody has.

    Raises:
        InvalidSyntax: it is not a PatchOp message.
        InvalidPath: an operation names an attribute nobody has.
        InvalidFilter: a path selects members by what can't be asked.
        InvalidValue: a value is missing, does not fit, or names more members than are read.
        Mutability: an operation would change what is ours to say, or unassign the name.
        NoTarget: a remove has no path.
    """
    patch = _Patch(Reading(unknown), group_id)
    members = read_message(patch.reading, payload, _PATCH_SCHEMA)
    for operation in standard_operations(patch.reading, members.get("operations")):
        if "path" in operation:
            _read_targeted(patch, operation, str(operation["path"]))
        else:
            _read_whole(patch, operation)
    return ReadGroupPatch(patch.steps(), patch.reading.deviations)


def render_group(
    *,
    id: str,  # noqa: A002 - SCIM's name
    display_name: str,
    external_id: str | None,
    members_json: bytes | str | None,
    created: datetime,
    last_modified: datetime,
    version: int,
    location: str,
) -> bytes:
    """The group as it is answered; *members_json*, a JSON array, is not parsed, and None leaves members out."""
    group: dict[str, object] = {"schemas": [GROUP_SCHEMA], "id": id}
    group["meta"] = meta(
        GROUPS.name, created=created, last_modified=last_modified, location=location, version=etag(version)
    )
    if external_id is not None:
        group["externalId"] = external_id
    group["displayName"] = display_name
    text = orjson.dumps(group)
    if members_json is None:
        return text
    members = members_json.encode() if isinstance(members_json, str) else members_json
    return text[:-1] + b',"members":' + members + b"}"


@dataclass(slots=True)
class _Patch:
    """A patch being read: what came of it so far."""

    reading: Reading
    group_id: str | None
    named: int = 0
    """Members named so far."""
    _steps: list[Step] = field(default_factory=list[Step])
    _run: dict[str, str | None] = field(default_factory=dict[str, str | None])
    _run_of: type[AddMembers] | type[RemoveMembers] = AddMembers

    def count(self, named: Sized) -> None:
        """Refuse members that are too many together with all that were named before."""
        self.named += len(named)
        check_count(self.named)

    def then(self, step: Step) -> None:
        self._end_run()
        self._steps.append(step)

    def then_each(self, change: type[AddMembers] | type[RemoveMembers], members: Mapping[str, str | None]) -> None:
        """The step that changes these; a thousand additions in a row are one."""
        if change is not self._run_of:
            self._end_run()
            self._run_of = change
        for member, display in members.items():
            self._run[member] = display or self._run.get(member)

    def steps(self) -> tuple[Step, ...]:
        self._end_run()
        return tuple(self._steps)

    def _end_run(self) -> None:
        if self._run:
            ids = tuple(self._run)
            self._steps.append(
                RemoveMembers(ids) if self._run_of is RemoveMembers else AddMembers(ids, labelled(self._run))
            )
            self._run = {}


def _read_whole(patch: _Patch, operation: dict[str, object]) -> None:
    """An operation on the group itself: each key of its value is an attribute or a path."""
    value = operation.get("value")
    if operation["op"] == "remove":
        raise NoTarget(detail="A remove needs a path")
    if not isinstance(value, dict):
        raise InvalidValue(detail="value: without a path it is an object, of attributes")
    patch.reading.note(Deviation.NO_PATH)
    for name, item in cast("dict[str, object]", value).items():
        attribute = GROUP_ATTRIBUTES.get(name.lower())
        if attribute is None:
            patch.reading.note(Deviation.PATH_IN_KEY, name)
        if attribute is not None and attribute.read_only:
            _check_repeats(patch, attribute, item)
        elif attribute is None or attribute.name != "schemas":
            _read_targeted(patch, {"op": operation["op"], "path": name, "value": item}, name)


def _check_repeats(patch: _Patch, attribute: Attribute, value: object) -> None:
    """What is ours to say may be repeated, or be said nothing of: Okta's rename carries the group's own `id`."""
    if value in (None, "", [], {}) and not patch.reading.strict:
        return
    if attribute.name == "meta" and value == {"resourceType": GROUPS.name}:
        return
    if attribute.name != "id" or value != patch.group_id:
        raise read_only(attribute)
    patch.reading.note(Deviation.OWN_ID)


def _read_targeted(patch: _Patch, operation: dict[str, object], text: str) -> None:
    if text.lower() == GROUP_SCHEMA.lower():
        _read_whole(patch, operation)
        return
    name = text[len(_PREFIX) :] if text.lower().startswith(_PREFIX) else text
    attribute = GROUP_ATTRIBUTES.get(name.lower())
    if attribute is not None:
        _read_attribute(patch, operation, attribute)
    elif _CHOSEN.fullmatch(name):
        _read_chosen(patch, operation, tuple(dict.fromkeys(_QUOTED.findall(name))))
    else:
        _read_parsed(patch, operation, text)


def _read_parsed(patch: _Patch, operation: dict[str, object], text: str) -> None:
    """An operation whose path goes into an attribute."""
    path = parse_path(patch.reading, text, GROUPS)
    name, _, part_name = path.attr.lower().partition(".")
    attribute = GROUP_ATTRIBUTES.get(name)
    known = attribute is not None and (not part_name or part_name in attribute.parts)
    if attribute is None or not known or path.resolve() is None:
        patch.reading.meet_unknown(text)
        return
    if attribute.read_only:
        raise read_only(attribute)
    selection = None
    if path.value_filter is not None:
        selection = read_selection(AttrPath(attribute.name), path.value_filter, GROUPS)
    ids = listed_ids(selection)
    if part_name:
        _read_part(patch, operation, ids if part_name == "value" else None, text)
    elif ids is not None:
        _read_chosen(patch, operation, ids)
    elif selection is None:
        _read_attribute(patch, operation, attribute)
    else:
        raise _unselectable(operation, text)


def _read_attribute(patch: _Patch, operation: dict[str, object], attribute: Attribute) -> None:
    """An operation on the whole of an attribute."""
    op, value = str(operation["op"]), operation.get("value")
    if attribute.read_only:
        if op == "remove" or "value" not in operation:
            raise read_only(attribute)
        _check_repeats(patch, attribute, value)
        return
    if op == "remove":
        check_assigned(attribute, None)
    else:
        _check_value(operation, attribute)
    match attribute.name:
        case "members":
            _change_members(patch, op, value)
        case "schemas":
            check_known_schemas(value, (GROUP_SCHEMA,))
        case _:
            _change_text(patch, op, attribute, value)


def _check_value(operation: Mapping[str, object], attribute: Attribute) -> None:
    """Refuse an add or a replace by nothing, where something is required."""
    if "value" in operation:
        check_assigned(attribute, operation["value"])
    if "value" not in operation or (operation["value"] is None and operation["op"] == "add"):
        op = operation["op"]
        raise InvalidValue(attribute=attribute.name, detail=f"{attribute.name}: value is required for {op} operations")


def _change_text(patch: _Patch, op: str, attribute: Attribute, value: object) -> None:
    if op == "remove" and value is not None:
        patch.reading.note(Deviation.REMOVE_WITH_VALUE, attribute.name)
        value = None
    clean = read_value(patch.reading, attribute, value, attribute.name)
    if attribute.name == "externalId":
        patch.then(SetExternalId(None if clean is None else _text(attribute, clean)))
    else:
        patch.then(Rename(_text(attribute, clean)))


def _change_members(patch: _Patch, op: str, value: object) -> None:
    if value is None:
        patch.then(ReplaceMembers(()))
        return
    members = read_members(patch.reading, value)
    patch.count(members)
    if op == "replace":
        patch.then(ReplaceMembers(tuple(members), labelled(members)))
    elif op == "add":
        patch.then_each(AddMembers, members)
    else:
        patch.reading.note(Deviation.REMOVE_WITH_VALUE, "members")
        if not members:
            # Whether that means nobody or everybody is not for us to guess.
            raise InvalidValue(attribute="members", detail="members: a remove lists one or more values")
        patch.then_each(RemoveMembers, members)


def _read_chosen(patch: _Patch, operation: dict[str, object], ids: tuple[str, ...]) -> None:
    """An operation on the members with certain ids, as `members[value eq "…"]` has it.

    Who writes to one says it again, as nothing of a member can be changed; a filter makes none (RFC 7644 §3.5.2.3).

    Raises:
        Mutability: it would make another one of it.
    """
    patch.count(ids)
    if operation["op"] == "remove":
        _check_no_value(operation)
        patch.then_each(RemoveMembers, dict.fromkeys(ids))
        return
    _check_value(operation, GROUP_ATTRIBUTES["members"])
    value = operation["value"]
    members = _said(patch.reading, value)
    if ids != tuple(members):
        raise _unwritable(str(operation["path"]))
    patch.then(RepeatMembers(ids, labelled(members)))


def _said(reading: Reading, value: object) -> dict[str, str | None]:
    """The member that an operation on one member says again; nobody if it names none."""
    if isinstance(value, list) and len(listed := cast("list[object]", value)) == 1:
        value = listed[0]
    if isinstance(value, dict):
        member = cast("dict[str, object]", value)
        return read_members(reading, [member]) if any(name.lower() == "value" for name in member) else {}
    return {value: None} if isinstance(value, str) else {}


def _read_part(patch: _Patch, operation: dict[str, object], ids: tuple[str, ...] | None, text: str) -> None:
    """An operation on a part of members, none of which can be written; to say an id again changes nothing."""
    if operation["op"] == "remove" or ids is None:
        raise _unwritable(text)
    _read_chosen(patch, operation, ids)


def _check_no_value(operation: Mapping[str, object]) -> None:
    if operation.get("value") is not None:
        raise InvalidValue(
            attribute="members", detail="members: a remove names them in its path or its value, not both"
        )


def _unselectable(operation: Mapping[str, object], text: str) -> SCIMException:
    """The refusal of a filter that is no list of ids, which are all that members can be looked up by."""
    if operation["op"] != "remove":
        return _unwritable(text)
    _check_no_value(operation)
    return InvalidFilter(
        filter=text, detail=f'{shown(text)}: select members by value alone, as in members[value eq "…"]'
    )


def _unwritable(text: str) -> Mutability:
    detail = f"{shown(text)}: members come and go, and what is said of one follows from its id"
    return Mutability(attribute="members", detail=detail)


def _text(attribute: Attribute, value: object) -> str:
    name = attribute.name
    if not isinstance(value, str):
        raise InvalidValue(attribute=name, detail=f"{name}: it is a string")
    check_text(value, name)
    if attribute.required and not value.strip():
        raise InvalidValue(attribute=name, detail=f"{name}: it must not be blank")
    return value
