"""Tenants: the product's customers, their plan and their standing with us."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rollcall.errors import Invalid, NotFound, Taken
from rollcall.journal.events import (
    Event,
    TenantChanged,
    TenantCreated,
    TenantPlanChanged,
    TenantResumed,
    TenantSuspended,
)
from rollcall.journal.record import record
from rollcall.tenancy import plans
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, TenantRef, Work

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


LEAST_RATE = 25
"""Calls a second that a limit has to let through; with less, providers' first syncs fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTerms:
    """What can be set for a tenant. A rate of None takes the plan's, 0 switches the limit off."""

    name: str
    plan: str
    token_issuing: str = "self_service"  # noqa: S105  # a policy's name
    profile: str = "default"
    """How the identity provider is read and answered; a key of `scim.providers.PROFILES`."""
    rate_per_second: int | None = None
    rate_burst: int | None = None
    mass_change_threshold: int = 100
    """How many may leave within an hour before it is an alert, and what can't be undone waits."""


async def create(fleet: Fleet, slug: str, terms: TenantTerms, *, role_rule: dict[str, Any]) -> Tenant:
    """Take on a customer.

    Raises:
        Invalid: *slug* can't be one, or the rate limit can't be that low.
        NotFound: there is no such plan.
        Taken: another tenant has this slug.
    """
    _check_rate(terms)
    if not SLUG.fullmatch(slug) or _is_uuid(slug):
        msg = f"“{slug}” can't be a slug: use at most 63 lower-case letters, digits and -, e.g. acme-corp, but no UUID"
        raise Invalid(msg)
    await plans.find(fleet, terms.plan)
    tenant = Tenant(
        slug=slug,
        name=terms.name,
        plan=terms.plan,
        token_issuing=terms.token_issuing,
        profile=terms.profile,
        rate_per_second=terms.rate_per_second,
        rate_burst=terms.rate_burst,
        mass_change_threshold=terms.mass_change_threshold,
        role_rule=role_rule,
    )
    try:
        async with fleet.db.begin_nested():
            fleet.db.add(tenant)
            await fleet.db.flush()  # the database gives the id
    except IntegrityError as error:
        if "uq_tenants_slug" not in str(error.orig):
            raise
        msg = f"There is a tenant “{slug}” already; choose another slug or change that tenant."
        raise Taken(msg) from error
    await _record(fleet, tenant, TenantCreated(slug=slug, plan=terms.plan))
    return tenant


async def change(fleet: Fleet, tenant: Tenant, terms: TenantTerms) -> bool:
    """Change a tenant to *terms*; its next call is judged by them. Returns whether anything changed.

    Raises:
        Invalid: the rate limit can't be that low.
        NotFound: there is no such plan.
    """
    _check_rate(terms)
    before = terms_of(tenant)
    if before == terms:
        return False
    await plans.find(fleet, terms.plan)
    changes: dict[str, Any] = {}
    for name in ("name", "token_issuing", "profile", "rate_per_second", "rate_burst", "mass_change_threshold"):
        if getattr(before, name) != getattr(terms, name):
            changes[name] = getattr(terms, name)
            setattr(tenant, name, getattr(terms, name))
    if changes:
        await _record(fleet, tenant, TenantChanged(changes=changes))
    if before.plan != terms.plan:
        tenant.plan = terms.plan
        await _record(fleet, tenant, TenantPlanChanged(before=before.plan, after=terms.plan))
    return True


async def suspend(fleet: Fleet, tenant: Tenant) -> None:
    """Refuse everything of this tenant, from the commit on. Doing it twice is the same as doing it once."""
    if tenant.status != "suspended":
        tenant.status = "suspended"
        await _record(fleet, tenant, TenantSuspended())


async def resume(fleet: Fleet, tenant: Tenant) -> None:
    """Let a suspended tenant in again."""
    if tenant.status != "active":
        tenant.status = "active"
        await _record(fleet, tenant, TenantResumed())


def terms_of(tenant: Tenant) -> TenantTerms:
    """The terms a stored tenant has."""
    return TenantTerms(
        name=tenant.name,
        plan=tenant.plan,
        token_issuing=tenant.token_issuing,
        profile=tenant.profile,
        rate_per_second=tenant.rate_per_second,
        rate_burst=tenant.rate_burst,
        mass_change_threshold=tenant.mass_change_threshold,
    )


async def find(fleet: Fleet, name: str) -> Tenant:
    """The tenant with this id or slug.

    Raises:
        NotFound: there is none.
    """
    wanted = Tenant.id == UUID(name) if _is_uuid(name) else Tenant.slug == name
    tenant = await fleet.db.scalar(select(Tenant).where(wanted))
    if tenant is None:
        raise NotFound("tenant")
    return tenant


async def every(fleet: Fleet) -> Sequence[Tenant]:
    """All tenants, by slug."""
    return (await fleet.db.scalars(select(Tenant).order_by(Tenant.slug))).all()


async def slugs_beginning(fleet: Fleet, text: str, *, limit: int = 2000) -> Sequence[str]:
    """Slugs that begin with *text*, in alphabetical order: what somebody may have meant."""
    question = select(Tenant.slug).where(Tenant.slug.startswith(text, autoescape=True))
    return (await fleet.db.scalars(question.order_by(Tenant.slug).limit(limit))).all()


async def own(work: Work) -> Tenant:
    """The tenant this work is for."""
    return (await work.db.scalars(select(Tenant).where(Tenant.id == work.tenant.id))).one()


async def own_held(work: Work) -> Tenant:
    """The tenant this work is for, held so that its role rule is not edited before this work is committed.

    Whoever also locks accounts takes this first, as an edit of the rule does.
    """
    return (
        await work.db.scalars(
            select(Tenant)
            .where(Tenant.id == work.tenant.id)
            .with_for_update(read=True, key_share=True)
            .execution_options(populate_existing=True)
        )
    ).one()


def ref(tenant: Tenant) -> TenantRef:
    """The tenant as a `Work` needs it."""
    return TenantRef(tenant.id, tenant.slug)


def _check_rate(terms: TenantTerms) -> None:
    if terms.rate_per_second is not None and 0 < terms.rate_per_second < LEAST_RATE:
        msg = f"rate_per_second: choose at least {LEAST_RATE}, or 0 for no limit; providers need that much"
        raise Invalid(msg)


def _is_uuid(name: str) -> bool:
    try:
        return bool(UUID(name))
    except ValueError:
        return False


async def _record(fleet: Fleet, tenant: Tenant, event: Event) -> None:
    """Enter an event into the tenant's own audit. The fleet role may write there for any tenant."""
    await record(Work(fleet.db, ref(tenant), fleet.actor, fleet.origin, fleet.now), event, target=str(tenant.id))
