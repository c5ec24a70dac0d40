"""Applying a manifest: what differs is changed through the doors everybody uses, all in one transaction."""

from itertools import groupby
from typing import assert_never

from sqlalchemy.exc import IntegrityError

from rollcall.directory import people, refused_departures, roles
from rollcall.errors import Taken
from rollcall.manifest import present
from rollcall.manifest.changes import (
    AdminAdded,
    AdminAppointed,
    AdminInactive,
    AdminRemoved,
    Change,
    OverrideEnded,
    OverrideSet,
    PeopleChange,
    PlanAdded,
    PlanChanged,
    RuleChanged,
    StatusChanged,
    TenantAdded,
    TenantChange,
    TenantChanged,
    TermsChange,
)
from rollcall.manifest.comparing import Progress, compare, report
from rollcall.manifest.model import Manifest
from rollcall.tenancy import overrides, plans, seats, tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, Work

__all__ = ["apply", "compare"]


async def apply(fleet: Fleet, manifest: Manifest, *, progress: Progress | None = None) -> list[Change]:
    """Bring plans, tenants and their admins to what *manifest* says; returns what was changed, and warnings (``!``).

    It is all or nothing: an exception leaves the transaction to be rolled back. Doing it twice is the same as doing it
    once, and two at the same moment run one after the other, by an advisory lock.

    Raises:
        ManifestInvalid: it does not fit this database; see `compare`.
    """
    await present.lock_manifest(fleet, manifest.tenants)
    changes = await compare(fleet, manifest, progress=progress)
    tenant_changes: list[TenantChange] = []
    for change in changes:
        if isinstance(change, PlanAdded):
            await plans.define(fleet, change.key, change.terms)
        elif isinstance(change, PlanChanged):
            await plans.define(fleet, change.key, change.after)
        else:
            tenant_changes.append(change)
    total = len({change.slug for change in tenant_changes})
    for number, (slug, group) in enumerate(groupby(tenant_changes, key=lambda change: change.slug), start=1):
        await _change_tenant(fleet, slug, list(group))
        report(progress, "applied", number, total)
    return changes


async def _change_tenant(fleet: Fleet, slug: str, changes: list[TenantChange]) -> None:
    """Change one tenant: first what the fleet may, then, within the tenant, its rule and its people."""
    row: Tenant | None = None
    inside: list[PeopleChange] = []
    for change in changes:
        match change:
            case TenantAdded():
                rule = change.rule.model_dump(mode="json")
                row = await tenants.create(fleet, slug, change.terms, role_rule=rule)
            case TenantChanged() | StatusChanged() | OverrideSet() | OverrideEnded():
                row = row or await present.tenant_row(fleet, slug)
                await _change_terms(fleet, row, change)
            case RuleChanged() | AdminAdded() | AdminAppointed():
                inside.append(change)
            case AdminInactive() | AdminRemoved():
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
        case StatusChanged(after="suspended"):
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


async def _take_in(work: Work, change: AdminAdded) -> None:
    """Take an admin in; where their identity provider was quicker by a moment, appoint whom it sent."""
    try:
        async with work.db.begin_nested():
            await people.take_in(work, change.draft, role=change.role)
    except (Taken, IntegrityError):
        person = await people.find_by_user_name(work, change.draft.user_name)
        if person.account.active:
            await people.give_role(work, person.account.id, change.role)
