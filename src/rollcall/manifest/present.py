"""What the database holds at present of what a manifest names."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import InstrumentedAttribute

from rollcall.access.models import Account
from rollcall.directory import mapping
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import RoleRule
from rollcall.manifest import statements
from rollcall.manifest.model import AdminTable
from rollcall.manifest.statements import Asked
from rollcall.scim.name_keys import composed, name_key
from rollcall.scim.resources import first_key, key
from rollcall.tenancy import overrides, plans, tenants
from rollcall.tenancy.models import Plan, Tenant
from rollcall.tenancy.overrides import Override
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.tenants import TenantTerms
from rollcall.work import Fleet, TenantRef, Work

_LOCK_MANIFEST = text("SELECT pg_advisory_xact_lock(hashtextextended('rollcall.manifest', 0))")


@dataclass(frozen=True, slots=True)
class PresentTenant:
    """A tenant as it is now."""

    ref: TenantRef
    terms: TenantTerms
    status: str
    rule: RoleRule
    deputy_id: UUID | None
    overrides: Mapping[str, Override]
    """Those that hold."""


@dataclass(frozen=True, slots=True)
class PresentPerson:
    """Somebody who is, or was, in a tenant's directory; *document* is missing when they were removed from it."""

    account_id: UUID
    user_name: str
    external_id: str | None
    active: bool
    role_state: RoleState
    document: mapping.Document | None


async def lock_manifest(fleet: Fleet) -> None:
    """Wait until no other manifest is being applied, and keep the next one waiting until the transaction ends."""
    await fleet.db.execute(_LOCK_MANIFEST)


async def hold(fleet: Fleet, edited: Collection[str], slugs: Collection[str]) -> None:
    """Keep plans that are to be *edited*, and the tenants called *slugs*, from being changed by anybody else.

    Until the transaction ends their terms and role rules stay as they are read after this. People come and go. The
    other plans are kept from being edited, if tenants are to be changed, which may move from or to them.
    """
    for plan in (await fleet.db.scalars(select(Plan.key).order_by(Plan.key))).all():
        if slugs or plan in edited:
            one = select(Plan.key).where(Plan.key == plan)
            await fleet.db.execute(one.with_for_update(read=plan not in edited, key_share=plan in edited))
    chosen = select(Tenant.id).where(Tenant.slug.in_(list(slugs))).order_by(Tenant.id)
    await fleet.db.execute(chosen.with_for_update(key_share=True))


async def terms_of_plans(fleet: Fleet) -> dict[str, PlanTerms]:
    """All plans, by key."""
    return {plan.key: plans.terms_of(plan) for plan in await plans.every(fleet)}


async def tenants_called(fleet: Fleet, slugs: Iterable[str]) -> dict[str, PresentTenant]:
    """Those of *slugs* that are tenants already."""
    query = select(Tenant).where(Tenant.slug.in_(list(slugs)))
    rows = await fleet.db.scalars(query.execution_options(populate_existing=True))
    return {row.slug: present_tenant(row, fleet.now) for row in rows}


def present_tenant(row: Tenant, now: datetime) -> PresentTenant:
    """A tenant as its row has it."""
    held = {each.key: each for each in overrides.of(row) if each.holds(now)}
    return PresentTenant(tenants.ref(row), tenants.terms_of(row), row.status, mapping.rule_of(row), row.deputy_id, held)


async def slugs_of_open(fleet: Fleet) -> Sequence[str]:
    """The tenants that are not suspended, in alphabetical order."""
    return (await fleet.db.scalars(select(Tenant.slug).where(Tenant.status == "active").order_by(Tenant.slug))).all()


async def slugs_by_external_id(fleet: Fleet, external_ids: Iterable[str]) -> dict[str, str]:
    """Which tenants have these external ids already."""
    return await _slugs_by(fleet, Tenant.external_id, external_ids)


async def slugs_by_customer(fleet: Fleet, customers: Iterable[str]) -> dict[str, str]:
    """Which tenants are these customers of the payment provider already."""
    return await _slugs_by(fleet, Tenant.customer, customers)


async def _slugs_by(fleet: Fleet, column: InstrumentedAttribute[str | None], ids: Iterable[str]) -> dict[str, str]:
    rows = await fleet.db.execute(select(column, Tenant.slug).where(column.in_(list(ids))))
    return {own: slug for own, slug in rows if own is not None}


async def tenant_row(fleet: Fleet, slug: str) -> Tenant:
    """The tenant's row, to be changed."""
    return (await fleet.db.scalars(select(Tenant).where(Tenant.slug == slug))).one()


async def people_like(
    fleet: Fleet, wanted: Mapping[TenantRef, Sequence[AdminTable]]
) -> Mapping[TenantRef, Mapping[AdminTable, PresentPerson]]:
    """Whom tenants have already of the *wanted*: found by userName, else by externalId, else among the removed."""
    there = await _people_there(fleet, wanted)
    found: dict[TenantRef, dict[AdminTable, PresentPerson]] = {}
    for tenant, admins in wanted.items():
        mine = found[tenant] = _matched(admins, there[tenant])
        if missing := [admin for admin in admins if admin not in mine]:
            async with fleet.within(tenant) as work:
                mine |= _matched(missing, await _people_removed(work))
    return found


def _matched(admins: Sequence[AdminTable], people: Sequence[PresentPerson]) -> dict[AdminTable, PresentPerson]:
    matches = ((admin, _match(admin, people)) for admin in admins)
    return {admin: person for admin, person in matches if person is not None}


async def _people_there(
    fleet: Fleet, wanted: Mapping[TenantRef, Sequence[AdminTable]]
) -> Mapping[TenantRef, Sequence[PresentPerson]]:
    there: dict[TenantRef, list[PresentPerson]] = {tenant: [] for tenant in wanted}
    by_id = {tenant.id: found for tenant, found in there.items()}
    for row in await statements.people_named(fleet, [_asked(tenant, admins) for tenant, admins in wanted.items()]):
        document: mapping.Document = row["person"]
        by_id[row["tenant"]].append(
            PresentPerson(
                row["account"],
                str(document["userName"]),
                row["outside_id"],
                row["is_active"],
                mapping.read_role_state(row["state"]),
                document,
            )
        )
    return there


def _asked(tenant: TenantRef, admins: Sequence[AdminTable]) -> Asked:
    names = {each for admin in admins for each in (name_key(admin.user_name), first_key(admin.user_name)) if each}
    ids = [composed(admin.external_id) for admin in admins if admin.external_id is not None]
    return Asked(tenant.id, [*names], ids)


async def _people_removed(work: Work) -> list[PresentPerson]:
    """Everybody the provider has deleted. Names are compared in Python, because the column keeps their case."""
    rows = await work.db.execute(
        select(Account.id, Account.user_name, Account.external_id, Account.active, Account.role_state)
        .where(Account.tenant_id == work.tenant.id, Account.detached_at.is_not(None))
        .order_by(Account.id)
    )
    return [
        PresentPerson(id_, user_name, external_id, active, mapping.read_role_state(role_state), None)
        for id_, user_name, external_id, active, role_state in rows
    ]


def _match(admin: AdminTable, people: Sequence[PresentPerson]) -> PresentPerson | None:
    for spelling in (key, name_key):  # of several whose names are the same, the one that is spelled so
        wanted = spelling(admin.user_name)
        for person in people:
            if spelling(person.user_name) == wanted:
                return person
    if admin.external_id is None:
        return None
    external_id = composed(admin.external_id)
    return next((person for person in people if person.external_id == external_id), None)
