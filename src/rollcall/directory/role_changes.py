"""Changes of many people's roles: what is taken is taken at once, and what is given follows in batches.

A change of few people is done in the transaction that makes it. One of many puts down whom it has to be brought to, and
a worker does that, batch by batch, each a transaction that takes its people off the list: whoever is killed in between
leaves a list that is still true. People are judged by the rule as it is when their turn comes, so it does not matter
what changed meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text

from rollcall.db import Database
from rollcall.directory import judging, mapping, role_states, statements
from rollcall.directory.judging import Alike
from rollcall.directory.models import RoleChange, RoleChangePerson
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import Reading, RoleRule
from rollcall.journal.event import Event
from rollcall.journal.events import ConflictOpened, UserRoleChanged, message
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import SYSTEM, Fleet, RequestOrigin, TenantRef, Work, open_work

AT_ONCE: Final = 500
"""People who are locked, read and written together."""

MOST_AT_THE_ANSWER: Final = 2000
"""People to whom a change is brought before it is answered; with more, a worker does it."""

LONGEST_TURN: Final = 2.0
"""Seconds after which a worker begins no further batch: others may wait for its process, the departures among them."""

TENANTS_AT_ONCE: Final = 20
"""Tenants whose changes are handed to workers in one round."""

_MOST_DEVIATIONS: Final = 50
"""Names that no role has which a batch writes into the ledger; the cases hold all of them."""

_FIRST: Final = UUID(int=0)


async def begin(work: Work, rule: RoleRule, kinds: Sequence[Alike]) -> None:
    """Bring a change to those for whom it changes something: now, or from now on.

    Whoever calls holds the role rule, so nothing has become of *kinds* since they were judged.
    """
    await statements.end_role_change(work)  # whom the one before had not come to was judged anew as well
    concerned = [kind for kind in kinds if kind.changes or kind.has_case]
    if sum(kind.number for kind in concerned) <= MOST_AT_THE_ANSWER:
        people = judging.unpacked(judging.packed(concerned))
        for first in range(0, len(people), AT_ONCE):
            await _bring(work, rule, people[first : first + AT_ONCE])
        return
    await statements.add_to_role_change(work, judging.packed(followers(kinds)))
    losing = [kind for kind in kinds if kind.loses]
    if losing:
        await statements.give_roles(work, [kind.accounts for kind in losing], [*map(given, losing)])


def followers(kinds: Sequence[Alike]) -> Sequence[Alike]:
    """To whom a large change is brought after it was answered: who loses nothing by it, or has a case."""
    return [kind for kind in kinds if (kind.changes and not kind.loses) or kind.has_case]


def given(kind: Alike) -> dict[str, Any]:
    """The role that people get who lose theirs by a large change, as ``give_roles`` takes it."""
    changed = _role_changed(kind.before, kind.after)
    role = mapping.columns_of(kind.after, is_admin=kind.is_admin)
    return role | {"event": None if changed is None else message(changed)}


async def bring_next(work: Work, *, after: UUID) -> UUID | None:
    """Bring the tenant's last large change to the next people after *after*.

    Returns the last of them, or None when there is nobody left.
    """
    tenant = await tenants.lock_own(work)
    people = await statements.next_of_role_change(work, after=after, limit=AT_ONCE)
    if not people:
        return None
    await _bring(work, mapping.rule_of(tenant), people)
    return people[-1]


async def go_on(database: Database, tenant: TenantRef, request_id: str, *, seconds: float | None = None) -> int:
    """Bring a large change on for about *seconds*, each batch in a transaction of its own; returns how many there were.

    Without *seconds* it is a worker's turn, `LONGEST_TURN`.

    Any number of workers may do it side by side: nobody waits for people whom another one has taken.
    """
    ends = asyncio.get_running_loop().time() + (LONGEST_TURN if seconds is None else seconds)
    origin = RequestOrigin(request_id=request_id)
    last: UUID | None = _FIRST
    batches = 0
    while last is not None and (batches == 0 or asyncio.get_running_loop().time() < ends):
        async with open_work(database, tenant, SYSTEM, origin) as work:
            last = await bring_next(work, after=last)
        batches += last is not None
    return batches


async def _bring(work: Work, rule: RoleRule, account_ids: Sequence[UUID]) -> None:
    """Judge people anew by *rule*, whatever is stored of them now, and write what is otherwise."""
    people = await statements.people_to_judge(work, account_ids, groups=rule.reads("groups"))
    deviations: Counter[str] = Counter()
    alike: dict[tuple[str, str | None, tuple[str, ...]], _Judged] = {}
    changes: list[dict[str, Any]] = []
    for person in people:
        said = (person["role_state"], person["roles"], tuple(person["groups"] or ()))
        judged = alike.get(said) or alike.setdefault(said, _judged(rule, *said))
        if (change := _brought(rule, person, judged, deviations)) is not None:
            changes.append(change)
    if changes:
        await statements.bring_rule(work, changes)
    if deviations:
        await statements.count_unknown_roles(work, dict(deviations.most_common(_MOST_DEVIATIONS)))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the rule makes of somebody with a role state and names."""

    before: RoleState
    reading: Reading
    after: RoleState


def _judged(rule: RoleRule, stored: str, roles: str | None, groups: tuple[str, ...]) -> _Judged:
    before = mapping.read_role_state(stored)
    reading = mapping.read_roles(rule, {"roles": mapping.from_json(roles)}, groups)
    return _Judged(before, reading, role_states.rule_changed(rule, before, reading))


def _brought(rule: RoleRule, person: RowMapping, judged: _Judged, deviations: Counter[str]) -> dict[str, Any] | None:
    """What the rule changes of a person, as the database function takes it; None when that is nothing.

    Names that no role has are added to *deviations*, unless their case is open already.
    """
    before, reading, after = judged.before, judged.reading, judged.after
    change: dict[str, Any] = {"account_id": str(person["account_id"])}
    events: list[Event] = []
    if after != before or person["is_admin"] != (after.role in rule.admin_roles):
        change |= mapping.with_role(rule, after)
    if (changed := _role_changed(before, after)) is not None:
        events.append(changed)
    if reading.conflict:
        change["user_id"] = str(person["user_id"])
        change["case"] = mapping.case_of({"userName": person["user_name"]}, reading)
        if not person["case_open"]:
            events.append(ConflictOpened(roles=list(reading.roles)))
    elif after.withheld is not None and not person["case_open"]:
        change["user_id"] = str(person["user_id"])
        change["case"] = case = mapping.withheld_case({"userName": person["user_name"]}, after.role, reading)
        events.append(ConflictOpened(roles=case["roles"]))
    elif reading.unknown:
        change["user_id"] = str(person["user_id"])
        change["unknown"] = mapping.unknown_case(person["user_name"], reading.unknown)
        if not person["unknown_open"]:
            deviations.update(mapping.deviations_of(reading.unknown))
    if len(change) == 1:
        return None
    change["events"] = [message(event) for event in events]
    return change


def _role_changed(before: RoleState, after: RoleState) -> UserRoleChanged | None:
    if after.role == before.role:
        return None
    return UserRoleChanged(before=before.role, after=after.role, origin=after.origin.value)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a tenant's last large change is."""

    people: int
    """To how many it has to be brought after it was answered."""
    left: int
    began_at: datetime
    ended_at: datetime | None


async def progress(work: Work) -> Progress | None:
    """How far the tenant's last large change is; None if it never had one."""
    change = await work.db.scalar(select(RoleChange).where(RoleChange.tenant_id == work.tenant.id))
    if change is None:
        return None
    left = select(func.count()).select_from(RoleChangePerson).where(RoleChangePerson.tenant_id == work.tenant.id)
    return Progress(change.people, int(await work.db.scalar(left) or 0), change.began_at, change.ended_at)


async def lasting(fleet: Fleet, *, longer_than: timedelta) -> Sequence[tuple[str, datetime]]:
    """The tenants whose large change began longer ago and has not ended, and when; the oldest first."""
    found = await fleet.db.execute(
        select(Tenant.slug, RoleChange.began_at)
        .join(RoleChange, RoleChange.tenant_id == Tenant.id)
        .where(RoleChange.ended_at.is_(None), RoleChange.began_at < func.clock_timestamp() - longer_than)
        .order_by(RoleChange.began_at)
    )
    return [(row.slug, row.began_at) for row in found]


@dataclass(frozen=True, slots=True)
class LeasedChange:
    """A tenant whose change somebody brings on for a while."""

    tenant_id: UUID
    request_id: str


async def lease(fleet: Fleet, *, seconds: float) -> Sequence[LeasedChange]:
    """Take changes that are not over; they are nobody else's for *seconds*. Those that began first come first."""
    rows = await fleet.db.execute(
        text("""
            WITH due AS (
                SELECT tenant_id FROM role_changes
                 WHERE ended_at IS NULL AND (leased_until IS NULL OR leased_until <= clock_timestamp())
                 ORDER BY began_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE role_changes c SET leased_until = clock_timestamp() + make_interval(secs => :seconds)
              FROM due WHERE c.tenant_id = due.tenant_id
            RETURNING c.tenant_id, c.request_id
        """),
        {"limit": TENANTS_AT_ONCE, "seconds": seconds},
    )
    return [LeasedChange(row.tenant_id, row.request_id) for row in rows]


async def release(fleet: Fleet, tenant_id: UUID) -> None:
    """Let another worker bring a change on, or the same one again."""
    await fleet.db.execute(
        text("UPDATE role_changes SET leased_until = NULL WHERE tenant_id = :tenant"), {"tenant": tenant_id}
    )
