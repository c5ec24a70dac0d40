"""What a body asks of a group: attributes to set, and steps on its members, as the database takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rollcall.directory import mapping
from rollcall.provisioning.calls import id_of
from rollcall.provisioning.context import Admitted
from rollcall.scim import groups as protocol
from rollcall.scim.errors import InvalidValue
from rollcall.scim.groups import (
    AddMembers,
    RemoveMembers,
    Rename,
    RepeatMembers,
    ReplaceMembers,
    SetExternalId,
    Step,
)
from rollcall.scim.name_keys import composed
from rollcall.scim.resources import key
from rollcall.scim.values import Deviation

PROVISION = "; provision it first, or take it out of the group at the provider"

_LONGEST_UNKNOWN_MEMBER = 256
"""Characters of an id that is none of ours."""


@dataclass(frozen=True, slots=True)
class GroupWish:
    """What a change asks for: the attributes to set, and the steps on the members in order.

    What is not to be set stays as it is then, not as it was when the change was worked out.
    """

    attributes: dict[str, str | None]
    steps: tuple[dict[str, Any], ...]
    deviations: tuple[str, ...] = ()

    @property
    def gains(self) -> bool:
        """Whether anybody could come under another group's name by it."""
        return "display_name" in self.attributes or self.adds

    @property
    def adds(self) -> bool:
        """Whether it names members that the group has."""
        return any(step["op"] in ("add", "set") for step in self.steps)


def whole_wish(payload: dict[str, object], admitted: Admitted) -> GroupWish:
    """What a POST or a PUT asks for: everything as given.

    Raises:
        SCIMException: it can't be read.
    """
    given = protocol.read_group(payload)
    attributes = _named(given.display_name) | _known_outside(given.external_id)
    steps = (_step("set", given.members, given.displays),)
    return _with_unknown_members(attributes, steps, given.deviations, admitted)


def patch_wish(payload: dict[str, object], admitted: Admitted, group_id: str) -> GroupWish:
    """What a PATCH of the group with this id asks for.

    Raises:
        SCIMException: it can't be read.
    """
    given = protocol.read_group_patch(payload, group_id=group_id, unknown=admitted.unknown_in_patch)
    attributes, steps = _wanted(given.steps)
    return _with_unknown_members(attributes, steps, given.deviations, admitted)


def _named(display_name: str) -> dict[str, str | None]:
    # Without a first key of its own, an earlier step's would stay.
    keys = {"first_key": None, **mapping.name_keys(display_name, "display_name_key")}
    return {"display_name": display_name, **keys}


def _known_outside(external_id: str | None) -> dict[str, str | None]:
    return {"external_id": None if external_id is None else composed(external_id)}


def _with_unknown_members(
    attributes: dict[str, str | None],
    steps: tuple[dict[str, Any], ...],
    deviations: Sequence[str],
    admitted: Admitted,
) -> GroupWish:
    """A wish, of which it is counted if members are wanted whose ids can't be anybody's.

    Raises:
        InvalidValue: there are, and the tenant takes the standard to the letter.
    """
    unknown = [each for step in steps if step["op"] in ("add", "set") for each in step.get("unknown_members", ())]
    if unknown and not admitted.profile.tolerant:
        raise InvalidValue(detail=f"members: there is no user or group {unknown[0]['value'][:80]!r} here{PROVISION}")
    more = (Deviation.STRANGER,) if unknown else ()
    return GroupWish(attributes, steps, (*deviations, *more))


def _step(operation: str, members: Sequence[str], displays: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A step as the database takes it: ids of ours, which may be somebody's, apart from those that can't be.

    Raises:
        InvalidValue: one is too long to be an id.
    """
    called = dict(displays)
    ids: list[str] = []
    names: list[str | None] = []
    unknown_members: dict[str, dict[str, str | None]] = {}
    for member in members:
        name = called.get(member)
        if (member_id := id_of(member)) is not None:
            ids.append(str(member_id))
            names.append(name)
        elif len(member) > _LONGEST_UNKNOWN_MEMBER:
            raise InvalidValue(detail=f"members: there is no user or group {member[:80]!r}… here{PROVISION}")
        else:
            value = composed(member)
            unknown_members[value] = {"value": value, **_called(name)}
    step: dict[str, Any] = {"op": operation, "ids": ids}
    if any(names):
        step |= {"displays": names, "display_keys": [_called(name)["display_key"] for name in names]}
    if unknown_members:
        step["unknown_members"] = [*unknown_members.values()]
    return step


def _called(name: str | None) -> dict[str, str | None]:
    return {"display": name, "display_key": None if name is None else key(name)}


def _wanted(steps: Sequence[Step]) -> tuple[dict[str, str | None], tuple[dict[str, Any], ...]]:
    """The attributes and the steps that a PATCH asks for."""
    attributes: dict[str, str | None] = {}
    on_members: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case Rename(name):
                attributes |= _named(name)
            case SetExternalId(value):
                attributes |= _known_outside(value)
            case AddMembers(ids, displays):
                on_members.append(_step("add", ids, displays))
            case RemoveMembers(ids):
                on_members.append(_step("remove", ids))
            case ReplaceMembers(ids, displays):
                on_members.append(_step("set", ids, displays))
            case RepeatMembers(ids, displays):
                on_members.append(_step("repeat", ids, displays))
            case _:
                raise InvalidValue(detail='members: select them by value, as in members[value eq "…"]')
    return attributes, tuple(on_members)
