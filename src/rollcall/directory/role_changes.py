"""Changes of many people's roles: what is taken is taken at once, and what is given follows in batches.

A change of few people is done in the transaction that makes it. One of many puts down whom it has to be brought to, and
a worker does that, batch by batch, each a transaction that takes its people off the list: whoever is killed in between
leaves a list that is still true. People are judged by the rule as it is when their turn comes, so it does not matter
what changed meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text

from rollcall.db import Database
from rollcall.directory import judging, mapping, statements
from rollcall.directory.judging import Alike
from rollcall.directory.models import RoleChange, RoleChangePerson
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import Reading, RoleRule
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

LEASE_SECONDS: Final = 5.0
"""Seconds after which another worker takes a change up: from its hand-over, or from when its last batch began. One that
takes longer is not disturbed, for its transaction holds the row that says so."""

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
            few = people[first : first + AT_ONCE]
            await _bring(work, rule, await statements.people_to_judge(work, few, groups=rule.reads("groups")))
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
    rule = mapping.rule_of(await tenants.lock_own(work))
    rows = await statements.next_of_role_change(
        work, after=after, limit=AT_ONCE, seconds=LEASE_SECONDS, groups=rule.reads("groups")
    )
    await _bring(work, rule, rows)
    return max((judging.unpacked(row["accounts"])[-1] for row in rows), default=None)


async def go_on(database: Database, tenant: TenantRef, request_id: str, *, seconds: float | None = None) -> int:
    """Bring a large change on for about *seconds*, each batch in a transaction of its own; returns how many there were.

    Without *seconds* it is a worker's turn, `LONGEST_TURN`.

    Any number of workers may do it side by side: nobody waits for people whom another one has taken. Each batch renews
    the lease, so whoever is killed is followed by another within `LEASE_SECONDS`.
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


async def _bring(work: Work, rule: RoleRule, rows: Sequence[RowMapping]) -> None:
    """Judge people who are locked anew by *rule*, whatever is stored of them now, and write what is otherwise."""
    judged = [(judging.alike(rule, row, _reading(rule, row)), row) for row in rows]
    changing = [kind for kind, _ in judged if kind.changes]
    if changing:
        await statements.write_roles(work, [kind.accounts for kind in changing], [*map(given, changing)])
    if cases := [case for kind, row in judged if kind.has_case for case in _cases(kind, row)]:
        await statements.open_cases_of_many(work, cases)
    deviations: Counter[str] = Counter()
    for kind, row in judged:
        if not kind.in_conflict and not row["unknown_open"]:
            for deviation in mapping.deviations_of(kind.reading.unknown):
                deviations[deviation] += kind.number
    if deviations:
        await statements.count_unknown_roles(work, dict(deviations.most_common(_MOST_DEVIATIONS)))


def _reading(rule: RoleRule, row: RowMapping) -> Reading:
    return mapping.read_roles(rule, {"roles": mapping.from_json(row["roles"])}, tuple(row["groups"] or ()))


def _cases(kind: Alike, row: RowMapping) -> Iterator[dict[str, Any]]:
    """The cases of people whose names contradict each other, mean a role that is withheld, or none that there is."""
    people = zip(judging.unpacked(kind.accounts), row["users"], row["user_names"], strict=True)
    for account_id, user_id, user_name in people:
        said = {"account_id": str(account_id), "user_id": user_id and str(user_id), "events": ()}
        if not kind.in_conflict:
            yield said | {"unknown": mapping.unknown_case(user_name, kind.reading.unknown)}
            continue
        named = {"userName": user_name}
        if kind.reading.conflict:
            case = mapping.case_of(named, kind.reading)
        else:
            case = mapping.withheld_case(named, kind.after.role, kind.reading)
        opened = () if row["case_open"] else (message(ConflictOpened(roles=case["roles"])),)
        yield said | {"case": case, "events": opened}


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


async def lease(fleet: Fleet) -> Sequence[LeasedChange]:
    """Take changes that are not over, and that nobody is at; those that began first come first.

    They are nobody else's for `LEASE_SECONDS`, and as long as batches follow one another.
    """
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
        {"limit": TENANTS_AT_ONCE, "seconds": LEASE_SECONDS},
    )
    return [LeasedChange(row.tenant_id, row.request_id) for row in rows]


async def release(fleet: Fleet, tenant_id: UUID) -> None:
    """Let another worker bring a change on, or the same one again."""
    await fleet.db.execute(
        text("UPDATE role_changes SET leased_until = NULL WHERE tenant_id = :tenant"), {"tenant": tenant_id}
    )
