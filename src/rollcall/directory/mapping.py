"""Translation: from a person's document to what is stored of them, roles included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from rollcall.directory import role_states
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import MOST_QUOTES, Reading, ReadName, RoleRule, Seen
from rollcall.directory.user_changes import ChangeKind, UserChange
from rollcall.journal.event import Event
from rollcall.journal.events import (
    ConflictOpened,
    UserProvisioned,
    UserReactivated,
    UserRoleChanged,
    UserUpdated,
    message,
)
from rollcall.scim import documents
from rollcall.scim.errors import shown
from rollcall.scim.name_keys import composed, name_key
from rollcall.scim.resources import first_key, key
from rollcall.scim.role_names import folded_names, role_names
from rollcall.scim.values import Deviation
from rollcall.tenancy.models import Tenant

Document = Mapping[str, object]

_UPDATED = (message(UserUpdated()),)

_MOST_NAMES = 20
"""Names that a mild case keeps."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A person as they are stored, and the rule their role follows."""

    id: UUID
    account_id: UUID
    document: Document
    version: int
    active: bool
    role_state: RoleState
    rule: RoleRule
    rule_version: int
    groups: tuple[str, ...] = ()
    """The names of the groups they are in, directly or through others."""
    group_revision: int = 1


@dataclass(frozen=True, slots=True)
class Cause:
    """What stands in the records about why a change came: the request, its arrival, the words for a deactivation."""

    request_id: str
    arrived: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Former:
    """The account of somebody who was removed, which comes back with them."""

    account_id: UUID
    role_state: RoleState


@dataclass(frozen=True, slots=True)
class Judged:
    """What a document's role names make of a person, and of the conflict case that is or comes to be open.

    Names that conflict in the document open it (*conflict*), or leave it as it is when they are not touched
    (*keep_case*); so do those that would give another role where something was removed (*withheld*). Otherwise it
    closes, but for one thing: what a refused change wanted still stands when this one is not *about_roles*.
    """

    role_state: RoleState
    conflict: Reading | None = None
    withheld: Reading | None = None
    keep_case: bool = False
    about_roles: bool = True
    unknown: tuple[ReadName, ...] = ()
    """Names that begin like a role's and are none, which open a case of their own."""

    @property
    def deviations(self) -> tuple[str, ...]:
        """What the ledger counts of a change that says such names."""
        return deviations_of(self.unknown) if self.about_roles else ()


@lru_cache(maxsize=1024)
def read_rule(text: str) -> RoleRule:
    """A tenant's rule from its stored text; the same text is read once."""
    return RoleRule.model_validate_json(text)


def rule_of(tenant: Tenant) -> RoleRule:
    """A tenant's rule as its row has it."""
    return RoleRule.model_validate(tenant.role_rule | {"comparison": tenant.name_comparison})


def read_role_state(stored: str | Mapping[str, Any]) -> RoleState:
    """A role state from its stored form."""
    facts: dict[str, Any] = orjson.loads(stored) if isinstance(stored, str) else dict(stored)
    facts["origin"] = role_states.RoleOrigin(facts["origin"])
    return RoleState(**facts)


def read_roles(rule: RoleRule, document: Document, groups: Iterable[str] = ()) -> Reading:
    """What the role names of a person mean by the tenant's rule: those in their document and in their groups."""
    seen: list[Seen] = []
    if rule.reads("roles"):
        seen += (Seen(name, "roles") for name in role_names(document))
    if rule.reads("groups"):
        seen += (Seen.in_group(name) for name in groups)
    return rule.read(seen)


def judge(
    rule: RoleRule,
    role_state: RoleState,
    document: Document,
    *,
    before: Stored | None = None,
    about_roles: bool = True,
    names_roles: bool = True,
) -> Judged:
    """Decide the role that *document* gives to somebody in *role_state*.

    *about_roles* is whether the change says anything about role names, be it what is stored already; *names_roles* is
    whether it says them, and does not only take some away. One that names none gives nobody another role, whatever is
    left: the old one is held, and the case opens.

    A change that leaves the person inactive is never refused for its roles: they keep the role they had and the case
    opens. Names that conflicted before and are not touched by the change don't refuse it either, nor count their case
    again, unless it would reactivate.

    Raises:
        ConflictingRoles: the names contradict each other and the rule rejects that.
    """
    reading = read_roles(rule, document, () if before is None else before.groups)
    gives = before is None or (names_roles and rule.reads("roles") and bool(role_names(document)))
    same = before is not None and _same_names(before.document, document)
    if not reading.conflict:
        says = role_states.provider_says if gives else role_states.removed
        now = says(rule, role_state, reading)
        if now.withheld is None:
            return Judged(now, about_roles=about_roles, unknown=reading.unknown)
        return Judged(now, withheld=None if same else reading, keep_case=same)
    stays_out = not document.get("active")
    stays_so = before is not None and (before.active or stays_out)
    if stays_so and same:
        return Judged(role_states.held(rule, role_state), keep_case=True)
    if stays_out or rule.on_conflict == "hold" or (stays_so and not gives):
        return Judged(role_states.held(rule, role_state), conflict=reading)
    raise role_states.ConflictingRoles(reading)


def _same_names(one: Document, other: Document) -> bool:
    return folded_names(one) == folded_names(other)


def new_user(
    document: Document, rule: RoleRule, rule_version: int, judged: Judged, cause: Cause, *, former: Former | None = None
) -> UserChange:
    """The change that stores a new person; *former* is the account they had before they were removed."""
    events: list[Event] = [UserProvisioned(role=judged.role_state.role, relinked=former is not None)]
    change = _change(document, rule, rule_version, judged, cause, events)
    if former is None:
        return change
    return replace(change, account_id=former.account_id, former_role_state=former.role_state)


def changed_user(stored: Stored, document: Document, judged: Judged, cause: Cause) -> UserChange:
    """The change that brings a stored person to *document*."""
    events: list[Event] = [UserUpdated()]
    if judged.role_state.role != stored.role_state.role:
        events.append(
            UserRoleChanged(
                before=stored.role_state.role, after=judged.role_state.role, origin=judged.role_state.origin.value
            )
        )
    if document.get("active") is True and not stored.active:
        events.append(UserReactivated())
    change = _change(document, stored.rule, stored.rule_version, judged, cause, events)
    same_emails = document.get("emails") == stored.document.get("emails")  # then their rows are as they are
    return replace(
        change,
        version=stored.version,
        group_revision=stored.group_revision,
        was_role_state=stored.role_state,
        emails=None if same_emails else change.emails,
    )


def plain_change(document: Document, cause: Cause) -> UserChange:
    """The change that a PUT is where it touches nothing that a person is judged by, nor their names."""
    return UserChange(
        kind=ChangeKind.PLAIN,
        request_id=cause.request_id,
        events=_UPDATED,
        document=dict(document),
        display_name_key=_display_name_key(document),
        emails=_email_keys(document),
    )


def attributes_change(attributes: Document, cause: Cause) -> UserChange:
    """The change that a PATCH is which says nothing but plain attributes, none of which a person is judged by."""
    return UserChange(
        kind=ChangeKind.PLAIN,
        request_id=cause.request_id,
        events=_UPDATED,
        attributes=dict(attributes),
        display_name_key=_display_name_key(attributes),
    )


def departure(cause: Cause) -> UserChange:
    """The change that has somebody leave, and says nothing else of them; what is announced of it the database knows."""
    return UserChange(
        kind=ChangeKind.DEPARTURE,
        request_id=cause.request_id,
        events=(),
        arrived_at=cause.arrived,
        reason=cause.reason,
    )


def _display_name_key(document: Document) -> str | None:
    display_name = document.get("displayName")
    return None if display_name is None else key(str(display_name))


def _email_keys(document: Document) -> tuple[str, ...]:
    return tuple(sorted({key(address) for address in documents.emails(document)}))


def name_keys(name: str, column: str) -> dict[str, str]:
    """The keys of a userName or a group's displayName, as changes have them: one, or two where the first differs."""
    first = first_key(name)
    return {column: name_key(name)} | ({} if first is None else {"first_key": first})


def case_of(document: Document, conflict: Reading) -> dict[str, Any]:
    """The conflict case that a refused or held change of this person opens.

    Cases go by the first key, which no two people share.
    """
    user_name = str(document["userName"])
    return {
        "user_name": user_name,
        "user_name_key": key(user_name),
        "roles": list(conflict.roles),
        "names": [asdict(name) for name in conflict.names],
        "detail": conflict.describe(),
    }


def withheld_case(document: Document, kept: str, left: Reading) -> dict[str, Any]:
    """The case of somebody of whom something was removed, so that what is *left* names a role that they don't get."""
    return case_of(document, left) | {
        "roles": sorted({kept, *left.roles}),
        "detail": f"Something was removed, and what is left is {left.describe()}. A removal gives nobody another role: "
        f'"{kept}" is kept. Name the role again at the identity provider, or give it by hand.',
    }


def unknown_case(user_name: str, unknown: Sequence[ReadName]) -> dict[str, Any]:
    """The mild case of a person for whom the provider says nothing but names that no role has."""
    seen = sorted({str(name) for name in unknown})
    more = f" and {len(seen) - MOST_QUOTES} more" if len(seen) > MOST_QUOTES else ""
    return {
        "user_name": user_name,
        "user_name_key": key(user_name),
        "names": [asdict(name) for name in sorted(unknown, key=str)[:_MOST_NAMES]],
        "detail": f"{', '.join(seen[:MOST_QUOTES])}{more}: no role has this name, so the default role applies. "
        "Add it to a role in the role rule, or rename it at the identity provider.",
    }


def deviations_of(names: Iterable[ReadName]) -> tuple[str, ...]:
    """How the ledger calls names that no role has: each spelling once, as it was first written."""
    written = {name.spelling: name.name for name in reversed(tuple(names)) if name.kind == "ungrantable"}
    return tuple(f"{Deviation.UNKNOWN_ROLE}:{shown(name)[1:-1]}" for name in written.values())


def taken_back(document: Document, judged: Judged) -> dict[str, Any] | None:
    """What a change that changed nothing means for the case of a refused one: asking for what is stored closes it."""
    if judged.keep_case or not judged.about_roles:
        return None
    return {"taken_back": key(str(document["userName"]))}


def with_role(rule: RoleRule, role_state: RoleState) -> dict[str, Any]:
    """The columns a role state is stored in."""
    return columns_of(role_state, is_admin=role_state.role in rule.admin_roles)


def columns_of(role_state: RoleState, *, is_admin: bool) -> dict[str, Any]:
    """The same, where it is known whether the role is an admin's."""
    return {"role": role_state.role, "is_admin": is_admin, "role_state": role_state.stored()}


def group_names(groups: str | None) -> tuple[str, ...]:
    """The names in the JSON of a person's `groups` attribute."""
    return () if groups is None else tuple(str(group["display"]) for group in orjson.loads(groups))


def is_in(groups: str | None, group_id: UUID) -> bool:
    """Whether a group is among those in the JSON of a person's `groups` attribute."""
    return groups is not None and any(group["value"] == str(group_id) for group in orjson.loads(groups))


def from_json(text: str | None) -> Any:
    """What JSON from the database says; None when there is none."""
    return None if text is None else orjson.loads(text)


def _change(
    document: Document, rule: RoleRule, rule_version: int, judged: Judged, cause: Cause, events: list[Event]
) -> UserChange:
    user_name, external_id = str(document["userName"]), document.get("externalId")
    case: dict[str, Any] | None = None
    unknown: dict[str, Any] | None = None
    about_roles: bool | None = None
    if judged.conflict is not None:
        events.append(ConflictOpened(roles=list(judged.conflict.roles)))
        case = case_of(document, judged.conflict)
    elif judged.withheld is not None:
        case = withheld_case(document, judged.role_state.role, judged.withheld)
        events.append(ConflictOpened(roles=case["roles"]))
    elif not judged.keep_case:
        about_roles = None if judged.about_roles else False
        unknown = unknown_case(user_name, judged.unknown) if judged.unknown else None
    return UserChange(
        kind=ChangeKind.JUDGED,
        request_id=cause.request_id,
        events=tuple(message(event) for event in events),
        arrived_at=cause.arrived,
        reason=cause.reason,
        document=dict(document),
        active=document.get("active") is True,
        user_name=user_name,
        user_name_key=name_key(user_name),
        first_key=first_key(user_name),
        external_id=None if external_id is None else composed(str(external_id)),
        display_name_key=_display_name_key(document),
        emails=_email_keys(document),
        role=judged.role_state.role,
        is_admin=judged.role_state.role in rule.admin_roles,
        role_state=judged.role_state,
        rule_version=rule_version,
        case=case,
        keep_case=True if judged.keep_case and case is None else None,
        about_roles=about_roles,
        unknown=unknown,
    )


def taken_up_again(role_state: RoleState) -> RoleState:
    """A former account's role state as it begins again: no role given by hand is inherited, an override is."""
    return replace(role_state, by_hand=None)
