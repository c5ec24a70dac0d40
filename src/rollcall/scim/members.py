"""Whom the value of `members` names, and whom a filter on `members` does."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from rollcall.scim.errors import InvalidValue
from rollcall.scim.resources import GROUP_ATTRIBUTES, check_text
from rollcall.scim.values import Deviation, Reading

_ENTRA_NAME: Final = "displayname"

MOST_MEMBERS: Final = 100_000
"""Members that one request may name."""


def listed_ids(selection: FilterNode | None) -> tuple[str, ...] | None:
    """The ids that a selection lists, if it does nothing else."""
    terms: Sequence[FilterNode | None] = (selection,)
    if isinstance(selection, LogicalExpr) and selection.op is LogicalOperator.or_:
        terms = selection.terms
    ids: list[str] = []
    for term in terms:
        match term:
            case Comparison(attr_path=AttrPath(attr="value"), op=CompareOperator.eq, value=str(value)):
                ids.append(value)
            case _:
                return None
    return tuple(dict.fromkeys(ids))


def read_members(reading: Reading, value: object) -> dict[str, str | None]:
    """Whom the value of `members` names, by their ids, in the order given; and what it calls them, if anything.

    Raises:
        InvalidValue: one has no id, is called by what is no text, or they are more than one request may name.
    """
    if not isinstance(value, list):
        reading.note(Deviation.ONE_FOR_LIST, "members")
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    check_count(len(entries))
    if any(isinstance(entry, str) for entry in entries):
        reading.note(Deviation.BARE_STRING, "members")
    members: dict[str, str | None] = {}
    for entry in entries:
        member, display = _read(reading, entry)
        members[member] = display or members.get(member)
    return members


def labelled(members: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Those who are called something, with what."""
    return tuple((member, display) for member, display in members.items() if display)


def _read(reading: Reading, entry: object) -> tuple[str, str | None]:
    display: object = None
    if isinstance(entry, dict):
        member = cast("dict[str, object]", entry)
        if len(member) == 1 and "value" in member:  # most say nothing else
            entry = member["value"]
        else:
            parts = read_parts(reading, member)
            entry, display = parts.get("value"), parts.get("display")
    if not isinstance(entry, str) or not entry:
        raise InvalidValue(attribute="members", detail="members: each has a value, the id of a User or a Group")
    check_text(entry, "members.value")
    if not isinstance(display, str | None):
        raise InvalidValue(attribute="members.display", detail="members.display: it is a string")
    if display:
        check_text(display, "members.display")
    return entry, display or None


def read_parts(reading: Reading, member: Mapping[str, object]) -> dict[str, object]:
    """What is said of a member, by names in lower case."""
    known = GROUP_ATTRIBUTES["members"].parts
    parts = {name.lower(): part for name, part in member.items()}
    if _ENTRA_NAME in parts:
        reading.note(Deviation.MEMBER_NAME)
        parts.setdefault("display", parts[_ENTRA_NAME])
    for name in member:
        if name.lower() not in known and name.lower() != _ENTRA_NAME:
            reading.meet_unknown(f"members.{name}")
    return parts


def check_count(named: int) -> None:
    """Refuse members that are more than one request may name.

    Raises:
        InvalidValue: they are.
    """
    if named > MOST_MEMBERS:
        raise InvalidValue(attribute="members", detail=f"members: more than {MOST_MEMBERS} in one request")
