"""Whom the value of `members` names, and whom a filter on `members` does."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from rollcall.scim.errors import InvalidValue
from rollcall.scim.resources import GROUP_ATTRIBUTES, check_text
from rollcall.scim.values import Habit, Reading

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


def read_ids(reading: Reading, value: object) -> tuple[str, ...]:
    """The ids in the value of `members`, each once, in the order given.

    Raises:
        InvalidValue: one has no id, or they are more than one request may name.
    """
    if not isinstance(value, list):
        reading.note(Habit.ONE_FOR_LIST, "members")
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    check_count(len(entries))
    if any(isinstance(entry, str) for entry in entries):
        reading.note(Habit.BARE_STRING, "members")
    return tuple(dict.fromkeys(_id(reading, entry) for entry in entries))


def _id(reading: Reading, entry: object) -> str:
    if isinstance(entry, dict):
        member = cast("dict[str, object]", entry)
        # Most are {"value": …} and nothing else.
        entry = member["value"] if len(member) == 1 and "value" in member else read_parts(reading, member).get("value")
    if not isinstance(entry, str) or not entry:
        raise InvalidValue(attribute="members", detail="members: each has a value, the id of a User or a Group")
    check_text(entry, "members.value")
    return entry


def read_parts(reading: Reading, member: Mapping[str, object]) -> dict[str, object]:
    """What is said of a member, by names in lower case."""
    known = GROUP_ATTRIBUTES["members"].parts
    for name in member:
        if name.lower() not in known:
            reading.meet_unknown(f"members.{name}")
    return {name.lower(): part for name, part in member.items()}


def check_count(named: int) -> None:
    """Refuse members that are more than one request may name.

    Raises:
        InvalidValue: they are.
    """
    if named > MOST_MEMBERS:
        raise InvalidValue(attribute="members", detail=f"members: more than {MOST_MEMBERS} in one request")
