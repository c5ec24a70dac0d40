"""Linking by hand: an admin says that somebody is a person who was removed before, and their history goes on.

The provider does so by the externalId (`users.create`); the same userName alone proves nothing. Only the SCIM resource
moves to the former account. What the account made for the namesake had opened ends with it, and nothing that the former
one ever had comes back.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import func, select, text, update

from rollcall.access import accounts, revocation, ways_in
from rollcall.access.models import Account
from rollcall.directory import mapping, people, role_states, statements
from rollcall.directory.models import UserRow
from rollcall.directory.people import Person
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import RoleRule
from rollcall.errors import Conflict, NotFound
from rollcall.journal.events import UserDeactivated, UserLinked
from rollcall.journal.record import enter, record
from rollcall.proof import mass_changes
from rollcall.tenancy import tenants
from rollcall.work import Work

# The row lock that whoever moves roles through groups or edits the rule takes first: one of all these at a time.
_LOCK_TENANT = text("SELECT FROM tenants WHERE id = :tenant FOR NO KEY UPDATE")


class NotLinkable(Conflict):
    """These two are not a present person and a former account."""

    code = "not_linkable"
    param = "former"
    advice = "Name a present person in the address and one without a scim_id as the former account."


async def formers(work: Work, account: Account, *, limit: int = 5) -> Sequence[Account]:
    """Former accounts by the same userName, whose person may be this one: nobody's now, the latest first."""
    rows = await work.db.scalars(
        select(Account)
        .where(Account.tenant_id == work.tenant.id, Account.detached_at.is_not(None), Account.linked_to.is_(None))
        .where(func.lower(Account.user_name) == func.lower(account.user_name), Account.id != account.id)
        .order_by(Account.detached_at.desc())
        .limit(limit)
    )
    return rows.all()


async def link(work: Work, person_id: UUID, former_id: UUID) -> Person:
    """Give a person the account they had before they were removed. Doing it twice is the same as doing it once.

    The account they have had since is closed through the one door and says where its person went.

    Raises:
        NotFound: this tenant has no such person, or no such former account.
        NotLinkable: the person was removed, the other account is somebody's, or their roles contradict each other.
        MassChangeUnderWay: unusually many people are leaving; who is whom can't be undone and waits.
    """
    await mass_changes.check(work)
    await work.db.execute(_LOCK_TENANT, {"tenant": work.tenant.id})
    await _lock_external_id(work, former_id)
    found = await people.find(work, person_id)
    if found.account.linked_to == former_id:
        found = await people.find(work, former_id)
    if found.account.id == former_id:
        return _there(found)
    present, former = await _both_locked(work, found.account.id, former_id)
    user = await _resource(work, present)
    if former.active or former.detached_at is None:
        msg = "This is nobody's former account: only one whose SCIM resource was removed can be taken up again."
        raise NotLinkable(msg)
    await _check_ids(work, former, user)
    rule = mapping.rule_of(await tenants.own(work))
    judged = await _judged(work, rule, present, former, user)
    closed = await _close(work, present, former)
    await _take_up(work, present, former, user, mapping.with_role(rule, judged))
    event = UserLinked(role=judged.role, active=user.active, closed_person_id=present.id)
    if closed is not None:
        await enter(work, closed, account_id=present.id)
    await record(work, event, account_id=former.id, target=str(user.id))
    work.db.expire_all()
    return await people.find(work, former_id)


def _there(found: Person) -> Person:
    if found.user is None:
        msg = "This person was removed; name the person who is here now, and the account they had before."
        raise NotLinkable(msg)
    return found


async def _lock_external_id(work: Work, former_id: UUID) -> None:
    """Wait for a creation that would take the former account up again, and keep the next one waiting."""
    mine = Account.tenant_id == work.tenant.id
    found = (await work.db.execute(select(Account.external_id).where(mine, Account.id == former_id))).one_or_none()
    if found is None:
        raise NotFound("former account")
    if found.external_id is not None:
        await statements.hold_external_id(work, found.external_id)


async def _both_locked(work: Work, present_id: UUID, former_id: UUID) -> tuple[Account, Account]:
    """The two accounts, locked."""
    found = await accounts.locked(work, present_id, former_id)
    return found[present_id], found[former_id]


async def _resource(work: Work, present: Account) -> UserRow:
    """What the provider has of the person now, locked after the account."""
    user = await work.db.scalar(
        select(UserRow)
        .where(UserRow.tenant_id == work.tenant.id, UserRow.account_id == present.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if user is None:
        msg = "This person was removed, so there is nothing to link; name the person who is here now."
        raise NotLinkable(msg)
    return user


async def _check_ids(work: Work, former: Account, user: UserRow) -> None:
    """Keep an id from meaning two people: that of an account, to the product, and that of a resource, to the provider.

    They are the same for whoever was never linked or taken up again.
    """
    named = await work.db.scalar(
        select(UserRow.id).where(UserRow.tenant_id == work.tenant.id, UserRow.id == former.id, UserRow.id != user.id)
    )
    if named is not None:
        msg = "The person of this account was linked to another one and is here under this id; it can't be given away."
        raise NotLinkable(msg)


async def _judged(work: Work, rule: RoleRule, present: Account, former: Account, user: UserRow) -> RoleState:
    reading = mapping.read_roles(rule, user.document, await people.group_names(work, user.id))
    if reading.conflict:
        msg = f"Their roles contradict each other ({reading.describe()}); resolve that at the identity provider first."
        raise NotLinkable(msg)
    before = _one_role_state(
        rule, mapping.read_role_state(present.role_state), mapping.read_role_state(former.role_state)
    )
    return role_states.provider_says(rule, before, reading)


def _one_role_state(rule: RoleRule, present: RoleState, former: RoleState) -> RoleState:
    """How somebody stands who had two accounts, before their names are read.

    Of the former life an override holds, as when the provider takes it up again. What was given by hand in the present
    one came later: it holds, and over the former override.
    """
    managed = present.managed or former.managed
    one = replace(mapping.taken_up_again(former), managed=managed)
    given = present.override or (None if present.managed else present.by_hand)
    return one if given not in rule.roles else role_states.given_by_hand(rule, one, given)


async def _close(work: Work, present: Account, former: Account) -> UserDeactivated | None:
    """End what the account made for the namesake had opened; ``None`` when it was closed already."""
    reason = f"linked by hand to the account {former.id}"
    left = await revocation.end_all(work, present.id, reason=reason)
    if left is None:
        return None
    return UserDeactivated(reason=reason, closed={name: int(left[name]) for name in ways_in.NAMES})


async def _take_up(work: Work, present: Account, former: Account, user: UserRow, role: dict[str, object]) -> None:
    """Move the resource. Its version rises, so that a change worked out before is worked out anew for the account."""
    moved = {"account_id": former.id, "version": UserRow.version + 1, "last_modified": func.statement_timestamp()}
    await work.db.execute(
        update(UserRow).where(UserRow.tenant_id == work.tenant.id, UserRow.id == user.id).values(moved)
    )
    taken_up = {"user_name": present.user_name, "external_id": user.external_id, "active": user.active, **role}
    taken_up |= {"detached_at": None, "linked_to": None}
    if user.active:
        taken_up |= {"deactivated_at": None, "deactivated_because": None}
    # Nobody finds the closed account by the externalId that its person has taken along.
    left_behind = {"detached_at": func.clock_timestamp(), "linked_to": former.id, "external_id": None}
    for account, columns in ((present, left_behind), (former, taken_up)):
        await work.db.execute(
            update(Account)
            .where(Account.tenant_id == work.tenant.id, Account.id == account.id)
            .values(columns)
            .execution_options(synchronize_session=False)
        )
