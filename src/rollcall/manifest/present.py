"""What the database holds at present of what a manifest names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.orm import InstrumentedAttribute

from rollcall.access.models import Account
from rollcall.directory import mapping
from rollcall.directory.models import UserNameKey, UserRow
from rollcall.directory.role_states import RoleState
from rollcall.directory.rules import RoleRule
from rollcall.manifest.model import AdminTable
from rollcall.scim.name_keys import composed, name_key
from rollcall.scim.resources import first_key, key
from rollcall.tenancy import plans, tenants
from rollcall.tenancy.models import Plan, Tenant
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


@dataclass(frozen=True, slots=True)
class PresentPerson:
    """Somebody who is, or was, in a tenant's directory; *document* is missing when they were removed from it."""

    account_id: UUID
    user_name: str
    external_id: str | None
    active: bool
    role_state: RoleState
    document: mapping.Document | None


async def lock_manifest(fleet: Fleet, slugs: Iterable[str]) -> None:
    """Wait until no other manifest is being applied, and keep the tenants called *slugs* from being changed.

    Until the transaction ends their terms and role rules stay as they are read after this. People come and go.
    """
    await fleet.db.execute(_LOCK_MANIFEST)
    await fleet.db.execute(select(Plan.key).order_by(Plan.key).with_for_update(key_share=True))
    chosen = select(Tenant.id).where(Tenant.slug.in_(list(slugs))).order_by(Tenant.id)
    await fleet.db.execute(chosen.with_for_update(key_share=True))


async def terms_of_plans(fleet: Fleet) -> dict[str, PlanTerms]:
    """All plans, by key."""
    return {plan.key: plans.terms_of(plan) for plan in await plans.every(fleet)}


async def tenants_called(fleet: Fleet, slugs: Iterable[str]) -> dict[str, PresentTenant]:
    """Those of *slugs* that are tenants already."""
    query = select(Tenant).where(Tenant.slug.in_(list(slugs)))
    rows = await fleet.db.scalars(query.execution_options(populate_existing=True))
    return {
        row.slug: PresentTenant(tenants.ref(row), tenants.terms_of(row), row.status, mapping.rule_of(row))
        for row in rows
    }


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


async def people_like(work: Work, admins: Iterable[AdminTable]) -> Mapping[AdminTable, PresentPerson]:
    """Whom a tenant has already of *admins*: found by userName, else by externalId, else among the removed."""
    found: dict[AdminTable, PresentPerson] = {}
    wanted = list(admins)
    there = await _people_there(work, wanted)
    for admin in wanted:
        if (person := _match(admin, there)) is not None:
            found[admin] = person
    if missing := [admin for admin in wanted if admin not in found]:
        removed = await _people_removed(work)
        found |= {admin: person for admin in missing if (person := _match(admin, removed)) is not None}
    return found


async def _people_there(work: Work, admins: list[AdminTable]) -> list[PresentPerson]:
    names = {each for admin in admins for each in (name_key(admin.user_name), first_key(admin.user_name)) if each}
    by_present_key = select(UserNameKey.user_id).where(
        UserNameKey.tenant_id == work.tenant.id, UserNameKey.key.in_(names)
    )
    ids = [composed(admin.external_id) for admin in admins if admin.external_id is not None]
    rows = await work.db.execute(
        select(Account.id, UserRow.external_id, Account.active, Account.role_state, UserRow.document)
        .join(UserRow, (UserRow.tenant_id == Account.tenant_id) & (UserRow.account_id == Account.id))
        .where(Account.tenant_id == work.tenant.id)
        .where(or_(UserRow.user_name_key.in_(names), UserRow.id.in_(by_present_key), UserRow.external_id.in_(ids)))
        .order_by(Account.id)
    )
    return [
        PresentPerson(
            id_, str(document["userName"]), external_id, active, mapping.read_role_state(role_state), document
        )
        for id_, external_id, active, role_state, document in rows
    ]


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


def _match(admin: AdminTable, people: list[PresentPerson]) -> PresentPerson | None:
    for spelling in (key, name_key):  # of several whose names are the same, the one that is spelled so
        wanted = spelling(admin.user_name)
        for person in people:
            if spelling(person.user_name) == wanted:
                return person
    if admin.external_id is None:
        return None
    external_id = composed(admin.external_id)
    return next((person for person in people if person.external_id == external_id), None)
