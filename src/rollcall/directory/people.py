"""People as the product, admins and ops handle them: taken in, appointed, demoted, deactivated, explained."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.exc import IntegrityError

from rollcall import paging
from rollcall.access import accounts, revocation, ways_in
from rollcall.access.models import Account
from rollcall.directory import appointing, mapping, role_states, statements
from rollcall.directory.mapping import Cause, Stored
from rollcall.directory.models import UserRow
from rollcall.directory.role_states import ConflictingRoles, Explanation, RoleState
from rollcall.directory.rules import RoleRule
from rollcall.directory.user_changes import UserChange
from rollcall.errors import Conflict, Invalid, NotFound, Taken
from rollcall.journal.events import (
    UserDeactivated,
    UserProvisioned,
    UserReactivated,
    UserRoleChanged,
)
from rollcall.journal.record import enter, record
from rollcall.paging import Page
from rollcall.retries import TRIES
from rollcall.scim import documents
from rollcall.scim.errors import SCIMException
from rollcall.scim.name_keys import name_key, unstripped
from rollcall.scim.profiles import read_user
from rollcall.scim.resources import USER_SCHEMA, first_key
from rollcall.tenancy import seats, tenants
from rollcall.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A person somebody takes in by hand."""

    user_name: str
    given_name: str | None = None
    family_name: str | None = None
    display_name: str | None = None
    email: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """An account and, unless it was removed, the SCIM resource that describes it."""

    account: Account
    user: UserRow | None


_WITH_RESOURCE = select(Account, UserRow).outerjoin(
    UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id)
)


async def find(work: Work, person_id: UUID) -> Person:
    """The person with this id: the account's, or the SCIM resource's where somebody was taken up again.

    Raises:
        NotFound: this tenant has no such person.
    """
    described = select(UserRow.account_id).where(UserRow.tenant_id == work.tenant.id, UserRow.id == person_id)
    meant = await work.db.scalar(described) or person_id  # apart, or every row would be looked at
    rows = await work.db.execute(_WITH_RESOURCE.where(Account.tenant_id == work.tenant.id, Account.id == meant))
    row = rows.first()
    if row is None:
        raise NotFound("person")
    return Person(row[0], row[1])


async def find_by_user_name(work: Work, user_name: str) -> Person:
    """The person who signs in with this name.

    Raises:
        NotFound: this tenant has nobody of that name.
    """
    user_id = await _called(work, user_name)
    if user_id is None:
        raise NotFound("person")
    return await find(work, user_id)


async def _called(work: Work, user_name: str) -> UUID | None:
    """The resource of whoever has this userName, however it is spelled."""
    return await statements.user_called(work, name_key(user_name), first_key(user_name))


async def find_by_external_id(work: Work, external_id: str) -> Person:
    """The person whom the identity provider calls so; case counts, as it does for SCIM.

    Raises:
        NotFound: this tenant has nobody of that id.
        Ambiguous: it has several; only providers see to it that they don't.
    """
    found = (
        await work.db.scalars(
            select(UserRow.account_id)
            .where(UserRow.tenant_id == work.tenant.id, UserRow.external_id == external_id)
            .limit(2)
        )
    ).all()
    if not found:
        raise NotFound("person")
    if len(found) > 1:
        raise Ambiguous
    return await find(work, found[0])


class Ambiguous(Conflict):
    """Several people have the name that was given."""

    code = "ambiguous"
    advice = "Name the person by id or by userName."

    def __init__(self) -> None:
        super().__init__("Several people of this tenant have this externalId; name the person by id or userName.")


async def beginning(work: Work, begins: str, *, limit: int) -> Sequence[Person]:
    """Some of the people whose userName begins so, whatever the case, in alphabetical order."""
    rows = await work.db.execute(
        select(Account, UserRow)
        .join(UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id))
        .where(Account.tenant_id == work.tenant.id, UserRow.tenant_id == work.tenant.id, *_beginning(begins))
        .order_by(UserRow.user_name_key)
        .limit(limit)
    )
    return [Person(*row) for row in rows]


async def every(work: Work, *, limit: int, offset: int = 0) -> tuple[int, Sequence[Person]]:
    """How many people there are, and some of them in the order they came."""
    mine = Account.tenant_id == work.tenant.id
    total = int(await work.db.scalar(select(func.count()).select_from(Account).where(mine)) or 0)
    rows = await work.db.execute(_WITH_RESOURCE.where(mine).order_by(Account.id).limit(limit).offset(offset))
    return total, [Person(account, user) for account, user in rows]


async def page(work: Work, *, begins: str = "", limit: int = paging.USUAL, cursor: str | None = None) -> Page[Person]:
    """Some of the tenant's people, in the order they came; with *begins* of those whose userName begins so.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = _WITH_RESOURCE.where(Account.tenant_id == work.tenant.id, *_beginning(begins))
    found = await paging.page_of_several(work.db, rows, Account.id, limit=limit, cursor=cursor)
    return found.of(lambda row: Person(row[0], row[1]))


def _beginning(begins: str) -> Sequence[ColumnElement[bool]]:
    """That a userName begins so, as a range: an index is searched by it whatever the value, by a pattern it is not."""
    key = unstripped(begins)
    column, last = UserRow.user_name_key, "\U0010ffff"
    return [column >= key, column < key + last, column.startswith(key, autoescape=True)] if begins else []


async def count_beginning(work: Work, begins: str, *, most: int) -> int:
    """How many people have a userName that begins so, *most* at most."""
    mine = select(UserRow.id).where(UserRow.tenant_id == work.tenant.id, *_beginning(begins)).limit(most)
    return int(await work.db.scalar(select(func.count()).select_from(mine.subquery())) or 0)


async def count(work: Work) -> int:
    """How many people there are, those who left too."""
    mine = select(func.count()).select_from(Account).where(Account.tenant_id == work.tenant.id)
    return int(await work.db.scalar(mine) or 0)


async def take_in(work: Work, draft: Draft, *, role: str | None = None) -> Person:
    """Add a person by hand; their identity provider will find them by userName instead of making a double.

    *role* is given by hand and holds until the provider first names one.

    Raises:
        Taken: somebody has this userName.
        UnknownRole: the tenant has no such role.
        Invalid: the draft can't be a person.
        SeatsExhausted: the tenant's plan has no seat left.
    """
    tenant = await tenants.lock_own(work)
    rule = mapping.rule_of(tenant)
    state_now = role_states.fresh(rule)
    if role is not None:
        state_now = role_states.given_by_hand(rule, state_now, role)
    document = document_of(draft)
    change = mapping.new_user(
        document, rule, tenant.role_rule_version, mapping.Judged(state_now), _cause(work, "added by hand")
    )
    row = await _insert(work, change, draft.user_name)
    await enter(work, UserProvisioned(role=state_now.role), account_id=row["account_id"], target=str(row["id"]))
    if state_now.role in rule.admin_roles:
        await appointing.tell(work, row["account_id"], draft.user_name)
    return await find(work, row["account_id"])


async def give_role(work: Work, person_id: UUID, role: str | None) -> Person:
    """Give a role by hand, or with None the default one. Where the provider decides, it is an override.

    Raises:
        NotFound, UnknownRole: as they say.
    """
    rule = await _rule(work)
    chosen = rule.default if role is None else role
    return await _change_role_state(work, person_id, rule, lambda now: role_states.given_by_hand(rule, now, chosen))


async def appoint(work: Work, person_id: UUID) -> Person:
    """Make a person an admin: they get the tenant's first role that is one, unless they have one already."""
    rule = await _rule(work)
    person = await find(work, person_id)
    if person.account.is_admin:
        return person
    first = next(name for name, definition in rule.roles.items() if definition.admin)
    return await give_role(work, person_id, first)


async def lift_override(work: Work, person_id: UUID) -> Person:
    """Let the provider decide a person's role again."""
    rule = await _rule(work)
    return await _change_role_state(work, person_id, rule, lambda now: role_states.override_lifted(rule, now))


async def deactivate(work: Work, person_id: UUID, *, reason: str) -> Person:
    """End what a person can do, now. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant has no such person.
    """
    person = await _held(work, person_id)
    account = person.account
    if not account.active:
        return person
    if person.user is not None:
        left = await _leave(work, person.user.id, reason=reason)
    else:
        left = await revocation.end_all(work, account.id, reason=reason)
    closed = {kind: int(count) for kind, count in (left or {}).items() if kind in ways_in.NAMES}
    await enter(work, UserDeactivated(reason=reason, closed=closed), account_id=account.id)
    return await _again(work, account.id)


async def reactivate(work: Work, person_id: UUID) -> Person:
    """Let a person in again; no session, token or passkey of theirs comes back.

    Raises:
        NotFound: this tenant has no such person.
        Conflict: their role names contradict each other, or their SCIM resource was deleted.
        SeatsExhausted: the tenant's plan has no seat left.
    """
    await _rule(work)
    person = await _held(work, person_id)
    account = person.account
    if account.active:
        return person
    if person.user is None:
        msg = "This person was removed by the identity provider; they come back when it creates them again."
        raise Conflict(msg)
    await _reactivate(work, await _stored(work, person.user.id))
    await enter(work, UserReactivated(), account_id=account.id)
    return await _again(work, account.id)


async def explain(work: Work, person_id: UUID) -> Explanation:
    """Which role names were seen for a person, from where, how they were read, and what came of it."""
    rule = mapping.rule_of(await tenants.own(work))
    person = await find(work, person_id)
    document = {} if person.user is None else person.user.document
    groups = () if person.user is None else await group_names(work, person.user.id)
    reading = mapping.read_roles(rule, document, groups)
    return role_states.explanation(rule, mapping.read_role_state(person.account.role_state), reading)


def _payload(draft: Draft) -> dict[str, Any]:
    payload: dict[str, Any] = {"schemas": [USER_SCHEMA], "userName": draft.user_name, "active": True}
    name = {"givenName": draft.given_name, "familyName": draft.family_name}
    if any(name.values()):
        payload["name"] = {part: value for part, value in name.items() if value}
    display_name = draft.display_name or " ".join(value for value in name.values() if value)
    if display_name:
        payload["displayName"] = display_name
    email = draft.email or (draft.user_name if "@" in draft.user_name else None)
    if email:
        payload["emails"] = [{"value": email, "type": "work", "primary": True}]
    if draft.external_id:
        payload["externalId"] = draft.external_id
    return payload


def document_of(draft: Draft) -> dict[str, object]:
    """The document of somebody who is taken in by hand.

    Raises:
        Invalid: the draft can't be a person.
    """
    try:
        return documents.document(read_user(_payload(draft)).user)
    except SCIMException as refusal:
        raise Invalid(refusal.detail) from refusal


async def _insert(work: Work, change: UserChange, user_name: str) -> RowMapping:
    """Write a new person's rows; the index decides who is first, when two take somebody in at the same moment."""
    if await _called(work, user_name) is not None:
        raise _taken(user_name)
    try:
        async with work.db.begin_nested():
            row = await statements.write_new_user(work, change)
    except IntegrityError as error:
        if "uq_users_user_name" not in str(error.orig):
            raise
        raise _taken(user_name) from error
    if row["outcome"] == "seats":
        raise await seats.exhausted(work)
    return row


def _taken(user_name: str) -> Taken:
    msg = f"There is somebody with the userName “{user_name}” already; reactivate or change that person."
    return Taken(msg, param="user_name")


def _cause(work: Work, reason: str) -> Cause:
    return Cause(work.origin.request_id, work.now, reason)


async def _rule(work: Work) -> RoleRule:
    """The rule in force, which nobody edits before this work is committed; to be asked before an account is locked."""
    return mapping.rule_of(await tenants.lock_own(work))


async def _held(work: Work, person_id: UUID) -> Person:
    """The person, their account locked before their resource, as every change of a person does.

    Whoever was waited for may have linked them to another account: then that one is locked.
    """
    person = await find(work, person_id)
    for _ in range(TRIES):
        account_id = person.account.id
        await accounts.locked(work, account_id)
        person = await _again(work, person_id)
        if person.account.id == account_id:
            return person
    msg = "Others link this person to other accounts at the same moment; try again."
    raise Conflict(msg)


async def _stored(work: Work, user_id: UUID) -> Stored:
    tenant = await tenants.own(work)
    user = await work.db.scalar(
        select(UserRow)
        .where(UserRow.tenant_id == work.tenant.id, UserRow.id == user_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise NotFound("person")
    account = await accounts.find(work, user.account_id)
    return Stored(
        id=user.id,
        account_id=user.account_id,
        document=user.document,
        version=user.version,
        active=user.active,
        role_state=mapping.read_role_state(account.role_state),
        rule=mapping.rule_of(tenant),
        rule_version=tenant.role_rule_version,
        groups=await group_names(work, user.id),
        group_revision=account.group_revision,
    )


async def group_names(work: Work, user_id: UUID) -> tuple[str, ...]:
    """The names of the groups a person is in, directly or through others."""
    return await statements.group_names_of(work, user_id)


async def _leave(work: Work, user_id: UUID, *, reason: str) -> dict[str, Any]:
    """Have an active person leave; returns what was closed. Names and role stay as they were, so no rule is asked."""
    result = await statements.write_departure(work, user_id, mapping.departure(_cause(work, reason)))
    if result["outcome"] != "done":
        raise _overtaken()
    return json.loads(result["reason"])


async def _reactivate(work: Work, stored: Stored) -> None:
    document = {**stored.document, "active": True}
    try:
        judged = mapping.judge(
            stored.rule, stored.role_state, document, before=stored, about_roles=False, names_roles=False
        )
    except ConflictingRoles as conflict:
        msg = f"Their roles contradict each other ({conflict.detail}); resolve that at the identity provider first."
        raise Conflict(msg) from conflict
    change = mapping.changed_user(stored, document, judged, _cause(work, ""))
    result = await statements.write_user(work, stored.id, change)
    if result["outcome"] == "seats":
        raise await seats.exhausted(work)
    if result["outcome"] != "done":
        raise _overtaken()
    if judged.conflict is not None:
        await statements.settle_cases(work, stored.id, stored.account_id, change)


def _overtaken() -> Conflict:
    msg = "Somebody changed this person at the same moment; try again."
    return Conflict(msg)


async def _change_role_state(
    work: Work, person_id: UUID, rule: RoleRule, change: Callable[[RoleState], RoleState]
) -> Person:
    person = await _held(work, person_id)
    account = person.account
    before = mapping.read_role_state(account.role_state)
    after = change(before)
    if after == before:
        return person
    columns = mapping.with_role(rule, after)
    await work.db.execute(
        update(Account).where(Account.tenant_id == work.tenant.id, Account.id == account.id).values(**columns)
    )
    await record(
        work,
        UserRoleChanged(before=before.role, after=after.role, origin=after.origin.value),
        account_id=account.id,
    )
    if account.active and {before.role, after.role} & rule.admin_roles == {after.role}:
        await appointing.tell(work, account.id, account.user_name)
    return await _again(work, account.id)


async def _again(work: Work, account_id: UUID) -> Person:
    work.db.expire_all()
    return await find(work, account_id)
