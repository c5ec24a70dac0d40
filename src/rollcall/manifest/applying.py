"""Applying a manifest: what differs is changed through the doors everybody uses, all in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import assert_never

from sqlalchemy.exc import IntegrityError

from rollcall.directory import deputies, people, refused_departures, roles
from rollcall.directory import founders as directory_founders
from rollcall.directory.founders import Founder
from rollcall.errors import Conflict, Taken
from rollcall.manifest import present
from rollcall.manifest.changes import (
    AdminAdded,
    AdminAppointed,
    AdminInactive,
    AdminRemoved,
    Change,
    DeputyNamed,
    DeputyUnfit,
    OverrideEnded,
    OverrideSet,
    PeopleChange,
    PlanAdded,
    PlanChange,
    PlanChanged,
    PricesChanged,
    RuleChanged,
    StatusChanged,
    TenantAdded,
    TenantChange,
    TenantChanged,
    TenantClosed,
    TermsChange,
)
from rollcall.manifest.comparing import STEP, Progress, closings, compare, report
from rollcall.manifest.model import Manifest
from rollcall.tenancy import overrides, plans, prices, seats, tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.tenants import NewTenant
from rollcall.work import Fleet, TenantRef, Work

__all__ = ["apply", "closings", "compare"]


class ClosesOthers(Conflict):
    """Pruning would close another number of tenants and plans than was confirmed."""

    code = "closes_others"
    advice = "Look with --dry-run what would be closed, and confirm that number."

    def __init__(self, found: int, confirmed: int) -> None:
        super().__init__(
            f"{found} tenants and plans would be closed, and {confirmed} were confirmed; nothing was changed. "
            f"'--prune --dry-run' names them; confirm with --yes-close {found} if that is meant."
        )


async def apply(
    fleet: Fleet, manifest: Manifest, *, prune: int | None = None, progress: Progress | None = None
) -> list[Change]:
    """Bring plans, tenants and their admins to what *manifest* says; returns what was changed, and warnings (``!``).

    With *prune*, tenants and plans that the file does not name are closed: a tenant is suspended, and no tenant is put
    on a plan any more. It is how many that are, as somebody has confirmed.

    It is all or nothing: an exception leaves the transaction to be rolled back. Doing it twice is the same as doing it
    once, and two at the same moment run one after the other, by an advisory lock. Nobody is kept from changing what
    the file says as it is.

    Raises:
        ManifestInvalid: it does not fit this database; see `compare`.
        ClosesOthers: another number would be closed than *prune*.
    """
    await present.lock_manifest(fleet)
    found = await compare(fleet, manifest, prune=prune is not None, progress=progress)
    if prune is not None and (number := len(closings(found))) != prune:
        raise ClosesOthers(number, prune)
    changes = await _held(fleet, manifest, found)
    plan_changes = [change for change in changes if isinstance(change, PlanChange)]
    tenant_changes = [change for change in changes if not isinstance(change, PlanChange | PricesChanged)]
    for change in plan_changes:
        await _define(fleet, change, closed=isinstance(change, PlanChanged) and change.before.closed)
    for change in changes:
        if isinstance(change, PricesChanged):
            await prices.define(fleet, change.after)
    groups = [list(group) for _, group in groupby(tenant_changes, key=lambda change: change.slug)]
    for begin in range(0, len(groups), STEP):
        some = groups[begin : begin + STEP]
        await _change_tenants(fleet, some)
        report(progress, "applied", begin + len(some), len(groups))
    for change in plan_changes:
        await _define(fleet, change)
    return changes


async def _define(fleet: Fleet, change: PlanChange, *, closed: bool | None = None) -> None:
    """Define a plan as a change says it; *closed* is otherwise while tenants of the file are put on it."""
    terms = change.terms if isinstance(change, PlanAdded) else change.after
    await plans.define(fleet, change.key, terms if closed is None else replace(terms, closed=closed and terms.closed))


async def _held(fleet: Fleet, manifest: Manifest, changes: list[Change]) -> list[Change]:
    """The changes to be made, once nobody else changes any more what they are about."""
    concerned = {change.slug for change in changes if not isinstance(change, PlanChange | PricesChanged)}
    new = {change.slug for change in changes if isinstance(change, TenantAdded)}
    edited = {change.key for change in changes if isinstance(change, PlanChanged)}
    if not edited and concerned == new:
        return changes
    await present.hold(fleet, edited, concerned - new)
    tables = {slug: table for slug, table in manifest.tenants.items() if slug in concerned - new}
    again = Manifest({key: manifest.plans[key] for key in edited & manifest.plans.keys()}, tables, manifest.source)
    kept = [
        change
        for change in changes
        if not _is_about(change, again.plans, again.tenants) or isinstance(change, PlanAdded)
    ]
    return sorted([*kept, *await compare(fleet, again)], key=lambda change: not isinstance(change, PlanChange))


def _is_about(change: Change, plan_keys: Collection[str], slugs: Collection[str]) -> bool:
    if isinstance(change, PricesChanged):
        return False
    return change.key in plan_keys if isinstance(change, PlanChange) else change.slug in slugs


async def _change_tenants(fleet: Fleet, groups: Sequence[Sequence[TenantChange]]) -> None:
    """Change tenants, the changes of each in a group: first those that are new, at once, then one after the other."""
    new = [group[0] for group in groups if isinstance(group[0], TenantAdded)]
    made = await _take_on(fleet, new)
    founders: list[Founder] = []
    for group in groups:
        ref = made.get(group[0].slug)
        rest = [change for change in group if ref is None or not isinstance(change, TenantAdded | AdminAdded)]
        await _change_tenant(fleet, group[0].slug, rest)
        if ref is not None and isinstance(group[0], TenantAdded):
            admins = [change for change in group if isinstance(change, AdminAdded)]
            founders += [Founder(ref, group[0].rule, admin.draft, admin.role) for admin in admins]
    if founders:
        await directory_founders.take_in(fleet, founders)


async def _take_on(fleet: Fleet, new: Sequence[TenantAdded]) -> Mapping[str, TenantRef]:
    if not new:
        return {}
    rows = [NewTenant(each.slug, each.terms, each.rule.model_dump(mode="json")) for each in new]
    return await tenants.create_all(fleet, rows)


async def _change_tenant(fleet: Fleet, slug: str, changes: Sequence[TenantChange]) -> None:
    """Change one tenant that is there: first what the fleet may, then, within the tenant, its rule and its people."""
    row: Tenant | None = None
    inside: list[PeopleChange] = []
    for change in changes:
        match change:
            case TenantChanged() | StatusChanged() | TenantClosed() | OverrideSet() | OverrideEnded():
                row = row or await present.tenant_row(fleet, slug)
                await _change_terms(fleet, row, change)
            case RuleChanged() | AdminAdded() | AdminAppointed() | DeputyNamed():
                inside.append(change)
            case TenantAdded():
                raise AssertionError(f"{slug} was to be taken on with the others")
            case AdminInactive() | AdminRemoved() | DeputyUnfit():
                pass  # said, and left to a hand
            case _:
                assert_never(change)
    if not inside:
        return
    ref = tenants.ref(row or await present.tenant_row(fleet, slug))
    async with fleet.within(ref) as work:
        if any(isinstance(change, AdminAdded) for change in inside):
            await seats.hold(work)
        for change in inside:
            await _change_people(work, change)


async def _change_terms(fleet: Fleet, row: Tenant, change: TermsChange) -> None:
    match change:
        case TenantChanged():
            await tenants.change(fleet, row, change.after)
        case OverrideSet(key=key, after=new):
            await overrides.put(fleet, row, key, new.value, reason=new.reason, ends_at=new.ends_at, by=new.by)
        case OverrideEnded(key=key):
            await overrides.end(fleet, row, key)
        case StatusChanged(after="suspended") | TenantClosed():
            await tenants.suspend(fleet, row)
        case StatusChanged():
            await refused_departures.resume(fleet, row)


async def _change_people(work: Work, change: PeopleChange) -> None:
    match change:
        case RuleChanged():
            await roles.edit(work, change.after)
        case AdminAdded():
            await _take_in(work, change)
        case AdminAppointed():
            await people.give_role(work, change.account_id, change.role)
        case DeputyNamed(account_id=account_id):
            await (deputies.dismiss(work) if account_id is None else deputies.name(work, account_id))


async def _take_in(work: Work, change: AdminAdded) -> None:
    """Take an admin in; where their identity provider was quicker by a moment, appoint whom it sent."""
    try:
        async with work.db.begin_nested():
            await people.take_in(work, change.draft, role=change.role)
    except (Taken, IntegrityError):
        person = await people.find_by_user_name(work, change.draft.user_name)
        if person.account.active:
            await people.give_role(work, person.account.id, change.role)
