"""The tenant's role rule as it is stored: read, edited, and brought to everybody it concerns."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import RowMapping, Uuid, any_, func, literal, null, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from rollcall.access.models import Account
from rollcall.db import fn
from rollcall.directory import mapping, role_states, statements
from rollcall.directory.models import ConflictCase, UserRow
from rollcall.directory.rules import RoleRule, Seen
from rollcall.errors import Invalid
from rollcall.journal.events import ConflictOpened, Event, RoleRuleChanged, UserRoleChanged, message
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work, take_long

USUAL_RULE = RoleRule.model_validate(
    {"roles": {"admin": {"label": "Admin", "admin": True}, "member": {"label": "Member"}}, "default": "member"}
)
"""The rule of a tenant that brought none: two roles, given by hand."""

_LOCK_EVERYBODY = text(
    "SELECT count(*) FROM (SELECT FROM accounts WHERE tenant_id = :tenant ORDER BY id FOR UPDATE) locked"
)
_MOST_DEVIATIONS = 50
"""Names that no role has which an edit writes into the ledger; their cases hold all of them."""
_AT_ONCE = 1000
"""People that are read and written in one statement each."""


def read_rule(given: dict[str, Any]) -> RoleRule:
    """Read a rule somebody wrote.

    Raises:
        Invalid: it can't be one; the message says where and why.
    """
    try:
        return RoleRule.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        param = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Invalid(explain_errors(error), param=param or "body") from error


def explain_errors(error: ValidationError) -> str:
    """What pydantic found, a line for each, in words without its own vocabulary."""
    lines: list[str] = []
    for found in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in found["loc"])
        cause = found.get("ctx", {}).get("error")
        said = str(cause) if cause is not None else found["msg"]
        lines.append(f"{where}: {said}" if where else said)
    return "; ".join(lines)


async def edit(work: Work, rule: RoleRule) -> bool:
    """Put *rule* in force. Returns whether it differs from the one before.

    Whoever conflicts under the new rule keeps the role they had, and a case is opened for them. Changes that were
    worked out from the old rule and are not committed yet are worked out again.
    """
    await take_long(work.db)
    tenant = (
        await work.db.scalars(
            select(Tenant)
            .where(Tenant.id == work.tenant.id)
            .with_for_update(key_share=True)  # whoever opens a case meanwhile refers to the tenant, holding an account
            .execution_options(populate_existing=True)
        )
    ).one()
    await statements.hold_rule(work)
    before = mapping.rule_of(tenant)
    rule = rule.following(before)
    if before == rule:
        return False
    version = tenant.role_rule_version + 1
    stored = {"role_rule": rule.model_dump(mode="json", exclude={"comparison"}), "name_comparison": rule.comparison}
    await work.db.execute(update(Tenant).where(Tenant.id == work.tenant.id).values(**stored, role_rule_version=version))
    reached = await _bring_to_everybody(work, before, rule)
    await record(
        work, RoleRuleChanged(version=version, people_changed=reached.changed, cases_opened=len(reached.conflicting))
    )
    work.db.expire_all()
    return True


async def current(work: Work) -> tuple[RoleRule, int]:
    """The rule in force, and its version."""
    tenant = await tenants.own(work)
    return mapping.rule_of(tenant), tenant.role_rule_version


@dataclass(frozen=True, slots=True)
class Previewed:
    """What an edit of the rule would change of one person."""

    account_id: UUID
    user_name: str
    before: str
    after: str
    names: str
    """What the rule would read, and where."""
    conflict: bool
    """Whether the names would contradict each other: then the role stays, and a case opens."""


async def preview(work: Work, rule: RoleRule) -> AsyncGenerator[Previewed]:
    """Whom putting *rule* in force would give another role, or a case of conflicting names they have not now.

    Nothing is locked or changed, so what `edit` does later is worked out anew.
    """
    present, _ = await current(work)
    rule = rule.following(present)
    last = UUID(int=0)
    while people := await _some(work, rule, after=last):
        for person in people:
            if (would := _previewed(present, rule, person)) is not None:
                yield would
        last = people[-1]["account_id"]


def _previewed(present: RoleRule, rule: RoleRule, person: RowMapping) -> Previewed | None:
    before = mapping.read_role_state(person["role_state"])
    documented = {"roles": person["roles"]}, person["groups"] or ()
    was = partial(mapping.read_roles, present, *documented)
    reading = mapping.read_roles(rule, *documented)
    after = role_states.rule_changed(rule, before, reading, was)
    conflict = reading.conflict and not was().conflict
    if after.role == before.role and not conflict:
        return None
    return Previewed(
        person["account_id"], person["user_name"], before.role, after.role, reading.describe(), reading.conflict
    )


@dataclass(slots=True)
class _Reached:
    """Whom an edit has reached so far: how many it changed, and whose names conflict by it."""

    changed: int = 0
    conflicting: set[UUID] = field(default_factory=set[UUID])
    unknown: set[UUID] = field(default_factory=set[UUID])
    """Who has a name that no role has by it."""
    deviations: Counter[str] = field(default_factory=Counter[str])
    """Such names that were none before, as the ledger calls them, and how many have them."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Whose stored names had a case before an edit."""

    conflicting: set[UUID | None]
    unknown: set[UUID | None]


async def _bring_to_everybody(work: Work, present: RoleRule, rule: RoleRule) -> _Reached:
    # Locked first and read after it: a locking statement that had to wait shows the accounts as they are then, but the
    # documents beside them as they were before.
    await work.db.execute(_LOCK_EVERYBODY, {"tenant": work.tenant.id})
    open_cases = (
        await work.db.scalars(
            select(ConflictCase).where(ConflictCase.tenant_id == work.tenant.id, ConflictCase.closed_at.is_(None))
        )
    ).all()
    stored = [case for case in open_cases if case.stored and case.user_id is not None]
    known = _Known(
        {case.user_id for case in stored if case.kind == "conflict"},
        {case.user_id for case in stored if case.kind == "unknown_role"},
    )
    reached = _Reached()
    last = UUID(int=0)
    while people := await _some(work, rule, after=last):
        changes = [
            change for person in people if (change := _brought(present, rule, person, known, reached)) is not None
        ]
        if changes:
            await statements.bring_rule(work, changes)
        last = people[-1]["account_id"]
    if reached.deviations:
        await statements.count_unknown_roles(work, dict(reached.deviations.most_common(_MOST_DEVIATIONS)))
    concerned = {"conflict": reached.conflicting, "unknown_role": reached.unknown}
    over = [case.id for case in open_cases if case.user_id not in concerned[case.kind] and _is_over(rule, case)]
    await work.db.execute(
        update(ConflictCase)
        .where(ConflictCase.tenant_id == work.tenant.id, ConflictCase.id == any_(literal(over, ARRAY(Uuid))))
        .values(closed_at=func.clock_timestamp(), closed_because="the role rule was edited")
    )
    return reached


async def _some(work: Work, rule: RoleRule, *, after: UUID) -> Sequence[RowMapping]:
    """The next people in the order of their ids, with all that decides their role."""
    groups = fn.group_names_of(Account.tenant_id, UserRow.id) if rule.reads("groups") else null()
    rows = await work.db.execute(
        select(
            Account.id.label("account_id"),
            Account.role_state,
            Account.is_admin,
            Account.user_name,
            UserRow.id.label("user_id"),
            UserRow.document["roles"].label("roles"),
            groups.label("groups"),
        )
        .outerjoin(UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id))
        .where(Account.tenant_id == work.tenant.id, Account.id > after)
        .order_by(Account.id)
        .limit(_AT_ONCE)
    )
    return rows.mappings().all()


def _brought(
    present: RoleRule, rule: RoleRule, person: RowMapping, known: _Known, reached: _Reached
) -> dict[str, Any] | None:
    """What *rule* changes of a person, as the database function takes it; None when that is nothing.

    Those whose stored names are *known* to conflict, or to be no role's, have a case already.
    """
    before = mapping.read_role_state(person["role_state"])
    documented = {"roles": person["roles"]}, person["groups"] or ()
    reading = mapping.read_roles(rule, *documented)
    has_case = person["user_id"] in known.conflicting  # without one nothing was withheld from them
    was = partial(mapping.read_roles, present, *documented) if has_case else partial(rule.read, ())
    after = role_states.rule_changed(rule, before, reading, was)
    change: dict[str, Any] = {"account_id": str(person["account_id"])}
    events: list[Event] = []
    if after != before or person["is_admin"] != (before.role in rule.admin_roles):
        reached.changed += 1
        change |= mapping.with_role(rule, after)
    if after.role != before.role:
        events.append(UserRoleChanged(before=before.role, after=after.role, origin=after.origin.value))
    if reading.conflict:
        reached.conflicting.add(person["user_id"])
        change["user_id"] = str(person["user_id"])
        change["case"] = mapping.case_of({"userName": person["user_name"]}, reading)
        if person["user_id"] not in known.conflicting:
            events.append(ConflictOpened(roles=list(reading.roles)))
    elif has_case and after.provider_role != reading.role:
        reached.conflicting.add(person["user_id"])  # withheld as before, so the case stays
    elif reading.unknown:
        reached.unknown.add(person["user_id"])
        change["user_id"] = str(person["user_id"])
        change["unknown"] = mapping.unknown_case(person["user_name"], reading.unknown)
        if person["user_id"] not in known.unknown:
            reached.deviations.update(mapping.deviations_of(reading.unknown))
    if len(change) == 1:
        return None
    change["events"] = [message(event) for event in events]
    return change


def _is_over(rule: RoleRule, case: ConflictCase) -> bool:
    """Whether an open case is over by *rule*, when nothing conflicts in what is stored of its person.

    One of a refused change stays open while the names that change asked for still conflict.
    """
    if case.stored:
        return True
    return not rule.read(Seen(name["name"], name["source"]) for name in case.names).conflict
