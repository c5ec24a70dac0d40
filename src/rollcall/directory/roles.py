"""The tenant's role rule as it is stored: read, edited, and previewed."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import RowMapping, Uuid, any_, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from rollcall.access.models import Account
from rollcall.db import fn
from rollcall.directory import judging, mapping, role_changes, role_states, statements
from rollcall.directory.judging import Alike
from rollcall.directory.models import ConflictCase, UserRow
from rollcall.directory.rules import RoleRule, Seen
from rollcall.errors import Conflict, Invalid
from rollcall.journal.events import RoleRuleChanged
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work, take_long

USUAL_RULE = RoleRule.model_validate(
    {"roles": {"admin": {"label": "Admin", "admin": True}, "member": {"label": "Member"}}, "default": "member"}
)
"""The rule of a tenant that brought none: two roles, given by hand."""


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


class PreviewOutdated(Conflict):
    """The rule, or people's names, changed since it was looked whom an edit would change."""

    code = "preview_outdated"
    advice = "Preview the edit again, and apply what it shows then."

    def __init__(self) -> None:
        super().__init__("Something changed since the preview, so nothing was done; preview the edit again.")


async def edit(work: Work, rule: RoleRule, *, foreseen: str | None = None) -> bool:
    """Put *rule* in force. Returns whether it differs from the one before.

    With *foreseen*, the fingerprint of what `foresee` found, it does exactly that or nothing.

    Whoever conflicts under the new rule keeps the role they had, and a case is opened for them. Changes that were
    worked out from the old rule and are not committed yet are worked out again. Where it changes many, what it takes
    from somebody is taken with this transaction, and a worker brings the rest to them (`role_changes.begin`).

    Raises:
        PreviewOutdated: something else than was *foreseen* would come of it.
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
    kinds = await judging.judge(work, rule)
    if foreseen is not None and foreseen != _fingerprint(rule, tenant.role_rule_version, kinds):
        raise PreviewOutdated
    version = tenant.role_rule_version + 1
    stored = {"role_rule": rule.model_dump(mode="json", exclude={"comparison"}), "name_comparison": rule.comparison}
    await work.db.execute(update(Tenant).where(Tenant.id == work.tenant.id).values(**stored, role_rule_version=version))
    await role_changes.begin(work, rule, kinds)
    conflicting = await _close_cases(work, rule, kinds)
    changed = sum(kind.number for kind in kinds if kind.changes)
    await record(work, RoleRuleChanged(version=version, people_changed=changed, cases_opened=conflicting))
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
    is_admin: bool | None
    """Whether they would be an admin; None where that stays as it is."""


async def preview(work: Work, rule: RoleRule) -> AsyncGenerator[Previewed]:
    """Whom putting *rule* in force would give another role, or a case of conflicting names they have not now.

    Nothing is locked or changed, so what `edit` does later is worked out anew.
    """
    present, _ = await current(work)
    rule = rule.following(present)
    kinds = await judging.judge(work, rule)
    concerned = judging.unpacked(
        judging.packed(kind for kind in kinds if kind.before.role != kind.after.role or kind.reading.conflict)
    )
    for first in range(0, len(concerned), role_changes.AT_ONCE):
        for person in await _read(work, rule, concerned[first : first + role_changes.AT_ONCE]):
            if (would := _previewed(present, rule, person)) is not None:
                yield would


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an edit of the rule would change, in numbers, and whom first."""

    fingerprint: str
    """Names exactly this; `edit` takes it."""
    moves: Mapping[tuple[str, str], int]
    """How many people would get which role instead of which."""
    conflicts: int
    """Whose names would contradict each other: they keep their role, and a case is open."""
    more_admins: int
    no_more_admins: Sequence[UUID]
    people: Sequence[Previewed]
    """The first of those who would get another role, become admins or be ones no longer, or have a case."""
    only_rights: int = 0
    """How many would keep their role, and become admins or be ones no longer by what becomes of it."""

    @property
    def changed(self) -> int:
        """How many people would get another role."""
        return sum(self.moves.values())


async def foresee(work: Work, rule: RoleRule, *, most: int = 100) -> Foreseen:
    """What putting *rule* in force would change; the first *most* people are named. Nothing is locked or changed."""
    present, version = await current(work)
    rule = rule.following(present)
    kinds = await judging.judge(work, rule)
    moves: Counter[tuple[str, str]] = Counter()
    for kind in kinds:
        if kind.before.role != kind.after.role:
            moves[kind.before.role, kind.after.role] += kind.number
    concerned = judging.unpacked(judging.packed(kind for kind in kinds if kind.shows))[:most]
    concerned += judging.unpacked(judging.packed(kind for kind in kinds if kind.reading.conflict))[:most]
    named = (_previewed(present, rule, person, rights=True) for person in await _read(work, rule, concerned))
    return Foreseen(
        fingerprint=_fingerprint(rule, version, kinds),
        moves=moves,
        conflicts=sum(kind.number for kind in kinds if kind.reading.conflict),
        more_admins=sum(kind.number for kind in kinds if kind.is_admin and not kind.was_admin),
        no_more_admins=judging.unpacked(judging.packed(kind for kind in kinds if kind.was_admin and not kind.is_admin)),
        people=[each for each in named if each is not None][:most],
        only_rights=sum(kind.number for kind in kinds if kind.shows and kind.before.role == kind.after.role),
    )


def _fingerprint(rule: RoleRule, version: int, kinds: Sequence[Alike]) -> str:
    return judging.fingerprint(kinds, str(version), rule.model_dump_json())


def mapped(rule: RoleRule, name: str, role: str | None) -> RoleRule:
    """The rule by which a whole *name* means *role*; with None, by which nobody has it as their exact name.

    Raises:
        Invalid: there is no such role, or the name is another role's by the prefix.
    """
    given = rule.model_dump(mode="json")
    meant = rule.spelling(name)
    for key, definition in given["roles"].items():
        definition["aliases"] = [each for each in definition["aliases"] if rule.spelling(each) != meant]
        definition["aliases"] += [name] if key == role else []
    if role is not None and role not in rule.roles:
        raise Invalid(f"There is no role “{role}”; choose one of {', '.join(rule.roles)}.", param="role")
    return read_rule(given)


async def _read(work: Work, rule: RoleRule, account_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """People in the order of their ids, with all that decides their role; nobody is locked."""
    groups = fn.group_names_of(Account.tenant_id, UserRow.id) if rule.reads("groups") else null()
    rows = await work.db.execute(
        select(
            Account.id.label("account_id"),
            Account.role_state,
            Account.user_name,
            Account.is_admin,
            UserRow.document["roles"].label("roles"),
            groups.label("groups"),
        )
        .outerjoin(UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id))
        .where(Account.tenant_id == work.tenant.id, Account.id == any_(literal([*account_ids], ARRAY(Uuid))))
        .order_by(Account.id)
    )
    return rows.mappings().all()


def _previewed(present: RoleRule, rule: RoleRule, person: RowMapping, *, rights: bool = False) -> Previewed | None:
    """What *rule* would change of a person; with *rights*, also if it is only whether they are an admin."""
    before = mapping.read_role_state(person["role_state"])
    documented = {"roles": person["roles"]}, person["groups"] or ()
    reading = mapping.read_roles(rule, *documented)
    after = role_states.rule_changed(rule, before, reading)
    conflict = reading.conflict and not mapping.read_roles(present, *documented).conflict
    is_admin = after.role in rule.admin_roles
    stays = is_admin == person["is_admin"]
    if after.role == before.role and not conflict and (stays or not rights):
        return None
    return Previewed(
        person["account_id"],
        person["user_name"],
        before.role,
        after.role,
        reading.describe(),
        reading.conflict,
        None if stays else is_admin,
    )


async def _close_cases(work: Work, rule: RoleRule, kinds: Sequence[Alike]) -> int:
    """Close the cases that an edit has ended; returns how many people's names conflict by it."""
    unknown = judging.packed(kind for kind in kinds if kind.reading.unknown)
    await statements.close_cases_of_rule(work, judging.in_conflict(kinds), unknown)
    refused = await work.db.scalars(
        select(ConflictCase).where(
            ConflictCase.tenant_id == work.tenant.id, ConflictCase.closed_at.is_(None), ConflictCase.stored.is_(False)
        )
    )
    over = [case.id for case in refused if _is_over(rule, case)]
    await work.db.execute(
        update(ConflictCase)
        .where(ConflictCase.tenant_id == work.tenant.id, ConflictCase.id == any_(literal(over, ARRAY(Uuid))))
        .values(closed_at=func.clock_timestamp(), closed_because="the role rule was edited")
    )
    return sum(kind.number for kind in kinds if kind.reading.conflict)


def _is_over(rule: RoleRule, case: ConflictCase) -> bool:
    """Whether the case of a refused change is over by *rule*: the names it asked for conflict no longer."""
    return not rule.read(Seen(name["name"], name["source"]) for name in case.names).conflict
