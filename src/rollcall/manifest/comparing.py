"""Comparing a manifest with the database: what differs, in the order in which it would be changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Self

from rollcall.directory import mapping, role_states
from rollcall.directory.role_states import RoleOrigin, RoleState
from rollcall.directory.roles import USUAL_RULE
from rollcall.directory.rules import RoleRule
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
)
from rollcall.manifest.model import AdminTable, Manifest, OverrideTable, PlanTable, PriceTable, TenantTable
from rollcall.manifest.parsing import admin_problems, first_admin_role
from rollcall.manifest.present import PresentPerson, PresentTenant
from rollcall.manifest.problems import ManifestInvalid, Problem
from rollcall.tenancy import prices
from rollcall.tenancy.overrides import Override
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.work import Fleet, TenantRef


class Step(str):
    """How far a long file has come, in words that also know the numbers."""

    __slots__ = ("number", "total")

    def __new__(cls, done: str, number: int, total: int) -> Self:
        return super().__new__(cls, f"{done} {number:,} of {total:,} tenants")

    def __init__(self, done: str, number: int, total: int) -> None:  # noqa: ARG002  # it stands in the words
        self.number = number
        self.total = total


Progress = Callable[[Step], None]
"""Called, for people who wait, with how far a long file has come."""

STEP = 50
"""Tenants between two words on progress."""


async def compare(
    fleet: Fleet, manifest: Manifest, *, prune: bool = False, progress: Progress | None = None
) -> list[Change]:
    """What applying *manifest* would change. What the file does not mention is not looked at, or with *prune* closed.

    Raises:
        ManifestInvalid: a tenant's plan is neither in the file nor in the database, or an admin's role is no admin
            role by the rule the tenant has, or an external id is another tenant's at present.
    """
    stored_plans = await present.terms_of_plans(fleet)
    stored_tenants = await present.tenants_called(fleet, manifest.tenants)
    problems = [*_problems(manifest, stored_plans, stored_tenants)]
    for key, slugs in (("external_id", present.slugs_by_external_id), ("customer", present.slugs_by_customer)):
        said: list[str | None] = [getattr(table, key) for table in manifest.tenants.values()]
        problems += _others_ids(manifest, key, await slugs(fleet, [each for each in said if each is not None]))
    if problems:
        raise ManifestInvalid(problems)
    changes: list[Change] = [*_plan_changes(manifest.plans, stored_plans)]
    if manifest.prices is not None:
        changes += _price_changes(manifest.prices, await prices.every(fleet))
    if prune:
        changes += _plans_to_close(manifest, stored_plans)
    tables = list(manifest.tenants.items())
    for begin in range(0, len(tables), STEP):
        some = tables[begin : begin + STEP]
        present_admins = await _present_admins(fleet, some, stored_tenants)
        for slug, table in some:
            stored = stored_tenants.get(slug)
            if stored is None:
                changes += _new_tenant(slug, table, fleet.now)
            else:
                changes += _terms_changes(slug, table, stored, fleet.now)
                changes += _people_changes(slug, table, stored, present_admins.get(stored.ref, {}))
        report(progress, "compared", begin + len(some), len(tables))
    if prune:
        open_now = await present.slugs_of_open(fleet)
        changes += [TenantClosed(slug) for slug in open_now if slug not in manifest.tenants]
    return changes


def closings(changes: Iterable[Change]) -> list[TenantClosed | PlanChanged]:
    """Those of *changes* that close a tenant, or a plan."""
    return [
        change
        for change in changes
        if isinstance(change, TenantClosed)
        or (isinstance(change, PlanChanged) and change.after.closed and not change.before.closed)
    ]


def _plans_to_close(manifest: Manifest, stored: Mapping[str, PlanTerms]) -> Iterator[PlanChanged]:
    """Those that the file does not name: as a plan, as one of its tenants', or as what one of its prices stands for."""
    named = {*manifest.plans, *(table.plan for table in manifest.tenants.values())}
    named |= {price.plan for price in (manifest.prices or {}).values() if price.plan is not None}
    for key, before in stored.items():
        if key not in named and not before.closed:
            yield PlanChanged(key, before, replace(before, closed=True))


async def _present_admins(
    fleet: Fleet, tables: Sequence[tuple[str, TenantTable]], stored: Mapping[str, PresentTenant]
) -> Mapping[TenantRef, Mapping[AdminTable, PresentPerson]]:
    """Whom tenants that are there have already of the people that the file names, asked once for all of them."""
    asked = {stored[slug].ref: _named(table) for slug, table in tables if slug in stored and _named(table)}
    return await present.people_like(fleet, asked) if asked else {}


def _named(table: TenantTable) -> Sequence[AdminTable]:
    return [*table.admins, *([_deputy(table.deputy)] if table.deputy else [])]


def _deputy(user_name: str) -> AdminTable:
    """A deputy as somebody who is looked for."""
    return AdminTable(user_name=user_name)


def report(progress: Progress | None, done: str, number: int, total: int) -> None:
    """Say how far it is, every so many tenants."""
    if progress is not None and number % STEP == 0:
        progress(Step(done, number, total))


def _problems(
    manifest: Manifest, stored_plans: dict[str, PlanTerms], stored_tenants: dict[str, PresentTenant]
) -> Iterator[Problem]:
    """What is wrong with the manifest in this database."""
    known = manifest.plans.keys() | stored_plans.keys()
    for price, bought in (manifest.prices or {}).items():
        if bought.plan is not None and bought.plan not in known:
            yield manifest.source.problem(("billing", "prices", price, "plan"), _no_plan(bought.plan, known))
    for slug, table in manifest.tenants.items():
        if table.plan not in known:
            yield manifest.source.problem(("tenants", slug, "plan"), _no_plan(table.plan, known))
        if table.roles is None:
            yield from admin_problems(manifest, slug, _rule_after(table, stored_tenants.get(slug)))


def _no_plan(plan: str, known: Iterable[str]) -> str:
    return f'there is no plan "{plan}"; the plans are: {", ".join(sorted(known)) or "none yet"}'


def _others_ids(manifest: Manifest, key: str, owners: Mapping[str, str]) -> Iterator[Problem]:
    """Ids that other tenants have; one that is given on needs two files, applied one after the other."""
    for slug, table in manifest.tenants.items():
        own: str | None = getattr(table, key)
        if own is not None and (owner := owners.get(own, slug)) != slug:
            said = f'"{own}" is the {key} of {owner}; give {owner} another one first'
            yield manifest.source.problem(("tenants", slug, key), said)


def _price_changes(tables: Mapping[str, PriceTable], before: Mapping[str, PriceTerms]) -> Iterator[PricesChanged]:
    after = {price: table.terms() for price, table in tables.items()}
    if after != before:
        yield PricesChanged(before, after)


def _plan_changes(tables: Mapping[str, PlanTable], stored: dict[str, PlanTerms]) -> Iterator[PlanChange]:
    for key, table in tables.items():
        before, after = stored.get(key), table.terms()
        if before is None:
            yield PlanAdded(key, after)
        elif _unordered(before) != _unordered(after):
            yield PlanChanged(key, before, after)


def _unordered(terms: PlanTerms) -> tuple[object, ...]:
    """Features are a set, in whichever order they are written."""
    rest = (terms.seats, terms.seat_policy, terms.rate_per_second, terms.rate_burst, terms.retention_days)
    return (terms.name, frozenset(terms.features), *rest, terms.lapse, terms.closed)


def _new_tenant(slug: str, table: TenantTable, now: datetime) -> Iterator[TenantChange]:
    rule = _rule_after(table, None)
    yield TenantAdded(slug, table.terms(None), rule)
    yield from _override_changes(slug, table, {}, now)
    if table.status == "suspended":
        yield StatusChanged(slug, "suspended")
    for admin in table.admins:
        yield AdminAdded(slug, admin.draft(), admin.role or first_admin_role(rule))
    if table.deputy:
        yield DeputyUnfit(slug, table.deputy, "absent")


def _terms_changes(slug: str, table: TenantTable, stored: PresentTenant, now: datetime) -> Iterator[TenantChange]:
    after = table.terms(stored.terms)
    if after != stored.terms:
        yield TenantChanged(slug, stored.terms, after)
    if table.overrides is not None:
        yield from _override_changes(slug, table, stored.overrides, now)
    if table.status is not None and table.status != stored.status:
        yield StatusChanged(slug, table.status)
    if (rule := _rule_after(table, stored)) != stored.rule:
        yield RuleChanged(slug, stored.rule, rule)


def _override_changes(
    slug: str, table: TenantTable, held: Mapping[str, Override], now: datetime
) -> Iterator[OverrideSet | OverrideEnded]:
    tables = (table.overrides or {}).items()
    wanted = {key: after for key, after in tables if after.ends_at is None or after.ends_at > now}
    for key, after in wanted.items():
        before = held.get(key)
        if before is None or not _is_same(before, after):
            yield OverrideSet(slug, key, before, after)
    yield from (OverrideEnded(slug, key) for key in held if key not in wanted)


def _is_same(before: Override, after: OverrideTable) -> bool:
    facts = (before.value, before.reason, before.ends_at)
    return facts == (after.value, after.reason, after.ends_at) and after.by in (None, before.by)


def _people_changes(
    slug: str, table: TenantTable, stored: PresentTenant, people: Mapping[AdminTable, PresentPerson]
) -> list[TenantChange]:
    rule = _rule_after(table, stored)
    judged = (_admin_change(slug, admin, people.get(admin), rule, is_new=rule != stored.rule) for admin in table.admins)
    changes = [change for change in judged if change is not None]
    if table.deputy == "" and stored.deputy_id is not None:
        changes.append(DeputyNamed(slug, None, None))
    elif table.deputy:
        person = people.get(_deputy(table.deputy))
        changes += _deputy_changes(slug, table.deputy, person, rule, stored)
    return changes


def _deputy_changes(
    slug: str, user_name: str, person: PresentPerson | None, rule: RoleRule, stored: PresentTenant
) -> Iterator[DeputyNamed | DeputyUnfit]:
    """What naming somebody comes to who may be there."""
    if person is None or person.document is None:
        yield DeputyUnfit(slug, user_name, "absent")
    elif not person.active:
        yield DeputyUnfit(slug, user_name, "inactive")
    elif _role_by(rule, person, person.document, is_new=rule != stored.rule).role in rule.admin_roles:
        yield DeputyUnfit(slug, user_name, "admin")
    elif person.account_id != stored.deputy_id:
        yield DeputyNamed(slug, person.user_name, person.account_id)


def _admin_change(
    slug: str, admin: AdminTable, person: PresentPerson | None, rule: RoleRule, *, is_new: bool
) -> TenantChange | None:
    role = admin.role or first_admin_role(rule)
    if person is None:
        return AdminAdded(slug, admin.draft(), role)
    if person.document is None:
        return AdminRemoved(slug, admin.user_name)
    if not person.active:
        return AdminInactive(slug, admin.user_name)
    now = _role_by(rule, person, person.document, is_new=is_new)
    if _is_as_wanted(admin, now, rule):
        return None
    return AdminAppointed(slug, person.user_name, person.account_id, now.role, role)


def _role_by(rule: RoleRule, person: PresentPerson, document: mapping.Document, *, is_new: bool) -> RoleState:
    """The role that somebody has once *rule* is the tenant's, which it may be already."""
    if not is_new:
        return person.role_state
    return role_states.rule_changed(rule, person.role_state, mapping.read_roles(rule, document))


def _is_as_wanted(admin: AdminTable, now: RoleState, rule: RoleRule) -> bool:
    """Any admin role will do, unless it was given by hand: then the file's hand is the later one."""
    if now.role not in rule.admin_roles:
        return False
    return admin.role in (None, now.role) or now.origin is not RoleOrigin.HAND


def _rule_after(table: TenantTable, stored: PresentTenant | None) -> RoleRule:
    """The rule that will be in force: the file's, else the tenant's own, else the one every tenant begins with."""
    if stored is None:
        return table.roles or USUAL_RULE
    return stored.rule if table.roles is None else table.roles.following(stored.rule)
