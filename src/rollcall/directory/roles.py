"""The tenant's role rule as it is stored: read, edited, and brought to everybody it concerns."""

from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select, text, update

from rollcall.access.models import Account
from rollcall.directory import mapping, standing
from rollcall.directory.models import UserRow
from rollcall.directory.rules import Reading, RoleRule
from rollcall.errors import Invalid
from rollcall.journal.events import RoleRuleChanged
from rollcall.journal.record import record
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work

USUAL_RULE = RoleRule.model_validate(
    {"roles": {"admin": {"label": "Admin", "admin": True}, "member": {"label": "Member"}}, "default": "member"}
)
"""The rule of a tenant that brought none: two roles, given by hand."""

_OPEN_CASE = text("SELECT open_case(:tenant, :user, CAST(:case AS jsonb))")
_CLOSE_CASES = text("SELECT close_cases(:tenant, :user, :user_name_key, 'the role rule was edited')")


def read_rule(given: dict[str, Any]) -> RoleRule:
    """Read a rule somebody wrote.

    Raises:
        Invalid: it can't be one; the message says where and why.
    """
    try:
        return RoleRule.model_validate(given)
    except ValidationError as error:
        raise Invalid(explain_errors(error)) from error


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
    tenant = (
        await work.db.scalars(
            select(Tenant)
            .where(Tenant.id == work.tenant.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()
    if RoleRule.model_validate(tenant.role_rule) == rule:
        return False
    version = tenant.role_rule_version + 1
    await work.db.execute(
        update(Tenant)
        .where(Tenant.id == work.tenant.id)
        .values(role_rule=rule.model_dump(mode="json"), role_rule_version=version)
    )
    changed, opened = await _bring_to_everybody(work, rule)
    await record(work, RoleRuleChanged(version=version, people_changed=changed, cases_opened=opened))
    work.db.expire_all()
    return True


async def current(work: Work) -> tuple[RoleRule, int]:
    """The rule in force, and its version."""
    tenant = await tenants.own(work)
    return RoleRule.model_validate(tenant.role_rule), tenant.role_rule_version


async def _bring_to_everybody(work: Work, rule: RoleRule) -> tuple[int, int]:
    # Locked first and read after it: a locking statement that had to wait shows the accounts as they are then, but the
    # documents beside them as they were before.
    await work.db.execute(
        select(Account.id).where(Account.tenant_id == work.tenant.id).order_by(Account.id).with_for_update()
    )
    people = await work.db.execute(
        select(
            Account.id,
            Account.standing,
            Account.role,
            Account.is_admin,
            UserRow.id,
            UserRow.document,
            func.group_names_of(Account.tenant_id, UserRow.id),
        )
        .outerjoin(UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id))
        .where(Account.tenant_id == work.tenant.id)
        .order_by(Account.id)
    )
    changed = opened = 0
    for account_id, stored, role, is_admin, user_id, document, groups in people.all():
        before = mapping.read_standing(stored)
        reading = mapping.read_roles(rule, document or {}, groups or ())
        after = standing.rule_changed(rule, before, reading)
        if user_id is not None:  # pyright: ignore[reportUnnecessaryComparison]  # the join is an outer one
            opened += await _settle_case(work, user_id, document, reading)
        if after == before and is_admin == (role in rule.admin_roles):
            continue
        await work.db.execute(
            update(Account)
            .where(Account.tenant_id == work.tenant.id, Account.id == account_id)
            .values(**mapping.with_role(rule, after))
        )
        changed += 1
    return changed, opened


async def _settle_case(work: Work, user_id: UUID, document: dict[str, Any], reading: Reading) -> int:
    """Open the case of somebody whose names conflict now, or close the case of somebody whose no longer do."""
    case = mapping.case_of(document, reading)
    who = {"tenant": work.tenant.id, "user": user_id}
    if reading.conflict:
        await work.db.execute(_OPEN_CASE, who | {"case": mapping.as_json(case)})
        return 1
    await work.db.execute(_CLOSE_CASES, who | {"user_name_key": case["user_name_key"]})
    return 0
