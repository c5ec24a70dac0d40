"""Tenants: the product's customers, their plan, and whether they are suspended."""

import json
import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from rollcall import paging
from rollcall.errors import Invalid, NotFound, Taken
from rollcall.functions import qualified
from rollcall.journal.event import Event
from rollcall.journal.events import (
    TenantChanged,
    TenantCreated,
    TenantPlanChanged,
    TenantResumed,
    TenantSuspended,
    message,
)
from rollcall.journal.record import call_of, have_mailed, record
from rollcall.paging import Page
from rollcall.scim.reader import unholdable
from rollcall.tenancy import customers, lapse, payment, plans
from rollcall.tenancy.models import AUTO, Tenant
from rollcall.work import Fleet, TenantRef, Work

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_CREATE = text(qualified("SELECT * FROM fn.create_tenants(CAST(:new AS jsonb), CAST(:call AS jsonb))"))
_LOCK_RULE_VERSION = text(qualified("SELECT fn.held_rule_version(:tenant)"))

LONGEST_EXTERNAL_ID = 255
MOST_BREAK_GLASS, LONGEST_USER_NAME = 10, 320
MOST_METADATA, LONGEST_METADATA_KEY, LONGEST_METADATA_VALUE = 50, 40, 500

LONGEST_PAUSE = 86_400
"""Seconds; identity providers give up a connection that fails for longer."""

LEAST_RATE = 25
"""Calls a second that a limit has to let through; with less, providers' first syncs fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTerms:
    """What can be set for a tenant. A rate of None takes the plan's, 0 switches the limit off."""

    name: str
    plan: str
    token_issuing: str = "self_service"  # noqa: S105  # a policy's name
    owner_leaves: str = "stop"
    """What becomes of a SCIM token whose owner is no longer an active admin: ``stop``, or ``offboarding_only``."""
    last_admin: str = "obey"
    """What becomes of the admin role as the last one stops: ``obey``, or ``keep_one``, by which a deputy has it."""
    break_glass: tuple[str, ...] = ()
    """userNames of those who may sign in to the console with a password; nobody may where there is none."""
    profile: str = AUTO
    """How the identity provider is read and answered: a key of `scim.providers.PROFILES`, or `AUTO`."""
    rate_per_second: int | None = None
    rate_burst: int | None = None
    mass_change_threshold: int = 100
    """How many may leave within an hour before it is an alert, and what can't be undone waits."""
    external_id: str | None = None
    """The vendor's own id for the customer; no two tenants have the same."""
    customer: str | None = None
    """What the payment provider calls the customer; no two tenants have the same. Then *plan* is what it has unpaid."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else the vendor keeps with it: shown to ops, and never to the customer."""


NEWEST_COMPARISON = 2
"""The version of the comparison of names that a tenant begins with; others change to it by an edit of their rule."""

_COLUMNS = {"metadata": "metadata_", "profile": "chosen_profile"}
"""Where an attribute of the row has another name than the term: the mapper keeps ``metadata`` for itself, and the
row's ``profile`` is the one in effect."""
_PLAIN = tuple(each.name for each in fields(TenantTerms) if each.name != "plan")
"""The terms that are simply set; a plan change is an event of its own."""
_VENDORS = {"metadata", "customer"}
_UNIQUE = {
    "external_id": "GET /v1/tenants?external_id=… or 'rollcall tenants list --json' says which",
    "customer": "'rollcall tenants list --json' says which",
}
"""The terms that no two tenants share, and what says whose one is."""


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A customer to be taken on. A rule that does not say how it compares names does it by the newest comparison."""

    slug: str
    terms: TenantTerms
    role_rule: Mapping[str, Any]


async def create(fleet: Fleet, slug: str, terms: TenantTerms, *, role_rule: dict[str, Any]) -> Tenant:
    """Take on a customer.

    Raises:
        Invalid, NotFound, Taken: as for `create_all`.
    """
    made = await create_all(fleet, [NewTenant(slug, terms, role_rule)])
    return (await fleet.db.scalars(select(Tenant).where(Tenant.id == made[slug].id))).one()


async def create_all(fleet: Fleet, new: Sequence[NewTenant]) -> Mapping[str, TenantRef]:
    """Take on customers, by one statement; returns them by their slugs.

    Raises:
        Invalid: a slug can't be one, or terms are beyond what can be set.
        NotFound, PlanClosed: there is no such plan, or no tenant is put on it any more.
        Taken: another tenant has this slug, external id or customer.
    """
    for each in new:
        _check(each.terms)
        if not SLUG.fullmatch(each.slug) or _is_uuid(each.slug):
            msg = (
                f"“{each.slug}” can't be a slug: use at most 63 lower-case letters, digits and -, e.g. acme-corp, but "
                "no UUID"
            )
            raise Invalid(msg, param="slug")
    for plan in {each.terms.plan for each in new}:
        await plans.choose(fleet, plan)
    paying = [each.slug for each in new if each.terms.customer is not None]
    if paying:
        await payment.hold(fleet)
    call = call_of(fleet.actor, fleet.origin, TenantCreated.topic)
    given = {"new": json.dumps([_row_of(each) for each in new]), "call": json.dumps(call)}
    async with _names_free(fleet, [each.slug for each in new], [each.terms for each in new]):
        rows = (await fleet.db.execute(_CREATE, given)).all()
    if paying:
        for tenant in (await fleet.db.scalars(select(Tenant).where(Tenant.slug.in_(paying)))).all():
            await customers.assign(fleet, tenant)
    return {row.new_slug: TenantRef(row.new_id, row.new_slug) for row in rows}


def _row_of(new: NewTenant) -> dict[str, Any]:
    """A new tenant as the database takes it."""
    terms, rule = new.terms, {name: value for name, value in new.role_rule.items() if name != "comparison"}
    columns = {name: getattr(terms, name) for name in (*_PLAIN, "plan") if name != "profile"}
    return columns | {
        "slug": new.slug,
        "metadata": dict(terms.metadata),
        "profile": "default" if terms.profile == AUTO else terms.profile,
        "profile_auto": terms.profile == AUTO,
        "role_rule": rule,
        "name_comparison": new.role_rule.get("comparison") or NEWEST_COMPARISON,
        "told": message(TenantCreated(slug=new.slug, plan=terms.plan)),
    }


async def change(fleet: Fleet, tenant: Tenant, terms: TenantTerms) -> bool:
    """Change a tenant to *terms*; its next call is judged by them. Returns whether anything changed.

    While a plan that is paid for stands in the place of the chosen one, another choice counts once that is over. One
    that is made together with the customer counts once it is known what that one pays for.

    Raises:
        Invalid: *terms* are beyond what can be set.
        NotFound, PlanClosed: there is no such plan, or no tenant is put on it any more.
        Taken: another tenant has this external id.
    """
    _check(terms)
    before = terms_of(tenant)
    if before == terms:
        return False
    if before.plan != terms.plan:
        await plans.choose(fleet, terms.plan)
    if before.customer != terms.customer:
        await payment.hold(fleet)
    elif before.plan != terms.plan:
        await lapse.hold_plans(fleet, before.plan, terms.plan)  # before the tenant's row, as an edit of a plan does
    changes = {name: getattr(terms, name) for name in _PLAIN if getattr(before, name) != getattr(terms, name)}
    if changes:
        async with _names_free(fleet, [tenant.slug], [terms]):
            for name, value in changes.items():
                setattr(tenant, _COLUMNS.get(name, name), value)
            await fleet.db.flush()  # the database says whether the external id is free
        for name in _VENDORS & changes.keys():
            changes[name] = "changed"  # the tenant reads its audit, and these are the vendor's
        await _record(fleet, tenant, TenantChanged(changes=changes))
    if before.plan != terms.plan:
        await _choose_plan(fleet, tenant, terms.plan, is_new=before.customer != terms.customer)
        await customers.ask_again(fleet, tenant)
    if before.customer != terms.customer:
        await customers.assign(fleet, tenant)
    await _judge_lapse(fleet, tenant)
    return True


async def _choose_plan(fleet: Fleet, tenant: Tenant, plan: str, *, is_new: bool) -> None:
    """Choose a plan; *is_new*: the tenant has just been given another customer, or none."""
    await fleet.db.refresh(tenant, with_for_update={"key_share": True})
    waits = is_new and tenant.customer is not None and not await customers.is_known(fleet, tenant.customer)
    if waits or tenant.plan_without_payment is not None:
        tenant.plan_without_payment = plan
        await _record(fleet, tenant, TenantChanged(changes={"plan_without_payment": plan}))
        return
    await _record(fleet, tenant, TenantPlanChanged(before=tenant.plan, after=plan))
    await lapse.change_plan(fleet, tenant, plan)


async def suspend(fleet: Fleet, tenant: Tenant) -> None:
    """Refuse everything of this tenant, from the commit on. Doing it twice is the same as doing it once."""
    if tenant.status != "suspended":
        tenant.status = "suspended"
        await _record(fleet, tenant, TenantSuspended())
        await _judge_lapse(fleet, tenant)


async def hold(fleet: Fleet, tenant: Tenant) -> None:
    """Lock a tenant's row and read it as it is, so that nobody else changes it until the transaction ends."""
    await fleet.db.flush()
    await fleet.db.refresh(tenant, with_for_update={"key_share": True})


async def resume(fleet: Fleet, tenant: Tenant) -> None:
    """Let a suspended tenant in again; all but `directory.refused_departures`, which calls this, go through there."""
    if tenant.status != "active":
        tenant.status = "active"
        await _record(fleet, tenant, TenantResumed())
        await _judge_lapse(fleet, tenant)


async def pause(fleet: Fleet, tenant: Tenant, seconds: int) -> None:
    """Have a tenant's provider come again later, but for what reads or only takes away; 0 seconds end it.

    Raises:
        Invalid: that is too long.
    """
    if not 0 <= seconds <= LONGEST_PAUSE:
        msg = f"seconds: choose at most {LONGEST_PAUSE}, which is a day, or suspend the tenant"
        raise Invalid(msg, param="seconds")
    until = func.clock_timestamp() + timedelta(seconds=seconds) if seconds else None
    await fleet.db.execute(update(Tenant).where(Tenant.id == tenant.id).values(paused_until=until))
    await fleet.db.refresh(tenant)
    said = None if tenant.paused_until is None else tenant.paused_until.isoformat()
    await _record(fleet, tenant, TenantChanged(changes={"paused_until": said}))
    have_mailed(_work(fleet, tenant), "tenant.paused" if seconds else "tenant.unpaused", {"until": said})


def terms_of(tenant: Tenant) -> TenantTerms:
    """The terms a stored tenant has."""
    plain: dict[str, Any] = {name: getattr(tenant, _COLUMNS.get(name, name)) for name in _PLAIN}
    plain["break_glass"] = tuple(tenant.break_glass)
    return TenantTerms(plan=tenant.chosen_plan, **plain)


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


async def page(
    fleet: Fleet, *, limit: int = paging.USUAL, cursor: str | None = None, external_id: str | None = None
) -> Page[Tenant]:
    """Some of the tenants, by slug; or the one that the vendor calls *external_id*.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Tenant)
    if external_id is not None:
        rows = rows.where(Tenant.external_id == external_id)
    return await paging.page(fleet.db, rows, Tenant.slug, limit=limit, cursor=cursor)


async def names(fleet: Fleet, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """What these tenants are called."""
    rows = await fleet.db.execute(select(Tenant.id, Tenant.name).where(Tenant.id.in_(ids)))
    return {row.id: row.name for row in rows}


async def slugs_of(fleet: Fleet, ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The slugs of these tenants, by id; whoever is none is left out."""
    if not ids:
        return {}
    rows = await fleet.db.execute(select(Tenant.id, Tenant.slug).where(Tenant.id.in_(ids)))
    return {row.id: row.slug for row in rows}


async def slugs_beginning(fleet: Fleet, text: str, *, limit: int = 2000) -> Sequence[str]:
    """Slugs that begin with *text*, in alphabetical order: what somebody may have meant."""
    question = select(Tenant.slug).where(Tenant.slug.startswith(text, autoescape=True))
    return (await fleet.db.scalars(question.order_by(Tenant.slug).limit(limit))).all()


async def own(work: Work) -> Tenant:
    """The tenant this work is for."""
    return (await work.db.scalars(select(Tenant).where(Tenant.id == work.tenant.id))).one()


async def lock_own(work: Work) -> Tenant:
    """The tenant this work is for, held so that its role rule is not edited before this work is committed.

    Whoever also locks accounts takes this first, as an edit of the rule does.
    """
    await work.db.execute(_LOCK_RULE_VERSION, {"tenant": work.tenant.id})
    return (
        await work.db.scalars(
            select(Tenant).where(Tenant.id == work.tenant.id).execution_options(populate_existing=True)
        )
    ).one()


def ref(tenant: Tenant) -> TenantRef:
    """The tenant as a `Work` needs it."""
    return TenantRef(tenant.id, tenant.slug)


def external_id_fault(external_id: str) -> str | None:
    """Why this can't be a tenant's external id, nor its customer; None if it can."""
    if (found := unholdable(external_id)) is not None:
        return f"holds {found}; leave it out"
    if not 1 <= len(external_id) <= LONGEST_EXTERNAL_ID:
        return f"has to have 1 to {LONGEST_EXTERNAL_ID} characters"
    return None


def metadata_fault(metadata: Mapping[str, str]) -> str | None:
    """Why this can't be a tenant's metadata; None if it can."""
    if len(metadata) > MOST_METADATA:
        return f"has to have at most {MOST_METADATA} keys"
    for name, value in metadata.items():
        if (found := unholdable(name + value)) is not None:
            return f"holds {found}; leave it out"
        if not 1 <= len(name) <= LONGEST_METADATA_KEY:
            return f'has the key "{name}"; keys have 1 to {LONGEST_METADATA_KEY} characters'
        if len(value) > LONGEST_METADATA_VALUE:
            return f'has more than {LONGEST_METADATA_VALUE} characters under "{name}"'
    return None


def break_glass_fault(names: Sequence[str]) -> str | None:
    """Why these can't be those who may have a password; None if they can."""
    if len(names) > MOST_BREAK_GLASS:
        return f"names more than {MOST_BREAK_GLASS} people; a password is for emergencies, not for everybody"
    for name in names:
        if unholdable(name) is not None or not 1 <= len(name.strip()) <= LONGEST_USER_NAME:
            return f"holds what can't be a userName: it has 1 to {LONGEST_USER_NAME} characters"
    return None


@asynccontextmanager
async def _names_free(fleet: Fleet, slugs: Sequence[str], terms: Sequence[TenantTerms]) -> AsyncGenerator[None]:
    """What the block writes stands, or another tenant is called so already."""
    try:
        async with fleet.db.begin_nested():
            yield
    except IntegrityError as error:
        said = str(error.orig)
        if "uq_tenants_slug" in said:
            name = await fleet.db.scalar(select(Tenant.slug).where(Tenant.slug.in_(slugs)).limit(1))
            msg = f"There is a tenant “{name}” already; choose another slug or change that tenant."
        elif name := next((each for each in _UNIQUE if f"uq_tenants_{each}" in said), None):
            column: InstrumentedAttribute[str | None] = getattr(Tenant, name)
            wanted = [getattr(each, name) for each in terms]
            whose = await fleet.db.scalar(select(column).where(column.in_(wanted)).limit(1))
            msg = f"Another tenant has the {name} “{whose}”: {_UNIQUE[name]}."
        else:
            raise
        raise Taken(msg) from error


def _check(terms: TenantTerms) -> None:
    for name, fault in (
        ("external_id", None if terms.external_id is None else external_id_fault(terms.external_id)),
        ("customer", None if terms.customer is None else external_id_fault(terms.customer)),
        ("metadata", metadata_fault(terms.metadata)),
        ("break_glass", break_glass_fault(terms.break_glass)),
    ):
        if fault is not None:
            msg = f"{name}: {fault}"
            raise Invalid(msg)
    if terms.rate_per_second is not None and 0 < terms.rate_per_second < LEAST_RATE:
        msg = f"rate_per_second: choose at least {LEAST_RATE}, or 0 for no limit; providers need that much"
        raise Invalid(msg, param="rate_per_second")


def _is_uuid(name: str) -> bool:
    try:
        return bool(UUID(name))
    except ValueError:
        return False


async def _judge_lapse(fleet: Fleet, tenant: Tenant) -> None:
    """Have the database say anew what is left of SCIM to a tenant whose row was written."""
    await fleet.db.flush()
    await fleet.db.refresh(tenant, ["lapse_state"])


async def _record(fleet: Fleet, tenant: Tenant, event: Event) -> None:
    """Enter an event into the tenant's own audit. The fleet role may write there for any tenant."""
    await record(_work(fleet, tenant), event, target=str(tenant.id))


def _work(fleet: Fleet, tenant: Tenant) -> Work:
    """The fleet's work, for one tenant."""
    return Work(fleet.db, ref(tenant), fleet.actor, fleet.origin, fleet.now)
