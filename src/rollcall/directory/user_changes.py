"""Changes of a person as they cross into the database, where functions of ``sql/people.sql`` write them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from rollcall.directory.role_states import RoleState


class ChangeKind(StrEnum):
    """What has to be known of a person before they are changed so."""

    DEPARTURE = "departure"
    """Nothing: they leave, and nothing else is said of them."""
    PLAIN = "plain"
    """That nothing they are judged by, nor their names, differs from what is stored; the database looks. It has a whole
    `document`, or some `attributes` of it."""
    JUDGED = "judged"
    """Who is stored, as they were judged by it: `version`, `was_role_state` and `group_revision`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """A change of a person, or a new one. What is None is not said, and stays as it is."""

    kind: ChangeKind
    request_id: str
    events: tuple[dict[str, Any], ...]
    """What is announced, as `journal.events.message` words it."""
    arrived_at: datetime | None = None
    """When the request came; a departure is measured from there."""
    reason: str | None = None
    """Why they are deactivated, if they are."""
    left_out: str | None = None
    """What of the request was not done, though the departure it says was."""
    seen: dict[str, object] | None = None
    """What a conditional request has to find: the version, and the groups with the base of their addresses."""

    document: dict[str, object] | None = None
    attributes: dict[str, object] | None = None
    """Single attributes that are written over those of the stored document."""
    active: bool | None = None
    user_name: str | None = None
    user_name_key: str | None = None
    first_key: str | None = None
    """The key of the userName by the first comparison, where it is another one."""
    external_id: str | None = None
    display_name_key: str | None = None
    emails: tuple[str, ...] | None = None
    """The keys of all addresses."""

    account_id: UUID | None = None
    """A former account that is taken up again, and the role state it had."""
    former_role_state: RoleState | None = None
    role: str | None = None
    is_admin: bool | None = None
    role_state: RoleState | None = None
    rule_version: int | None = None
    """The version of the role rule that it was judged by."""

    seat: str | None = None
    """``any``, if a new person needs no turn for one, as nobody else sees the tenant yet."""

    version: int | None = None
    was_role_state: RoleState | None = None
    group_revision: int | None = None

    case: dict[str, Any] | None = None
    """The conflict of roles that opens; an open one closes otherwise, unless *keep_case*."""
    keep_case: bool | None = None
    about_roles: bool | None = None
    """False: it does not speak of roles, so what a refused change wanted still stands."""
    unknown: dict[str, Any] | None = None
    """The mild case of names that no role has."""

    def as_json(self) -> str:
        """The change as the functions take it."""
        said = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return orjson.dumps(said, default=_stored, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _stored(value: object) -> object:
    return value.stored() if isinstance(value, RoleState) else str(value)  # asyncpg has a UUID of its own
