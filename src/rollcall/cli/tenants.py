"""``rollcall tenants``: customers taken on by hand or from a file, listed, shown, changed, suspended and resumed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import click

from rollcall.access import accounts
from rollcall.api.v1.tenants import tenant_view
from rollcall.cli import stopping
from rollcall.cli.applying import apply_file
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.deputies import change_last_admin, name_deputy
from rollcall.cli.exporting import export_file
from rollcall.cli.lapse import lapse_in_words, lapse_tenant
from rollcall.cli.passwords import change_break_glass
from rollcall.cli.pausing import pause_tenant, unpause_tenant
from rollcall.cli.providers import profile_of, show_provider
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.running import actor
from rollcall.cli.seats import show_seats
from rollcall.cli.showing import Row, counted, json_option, print_facts, print_json, print_list
from rollcall.directory import people, refused_departures, roles
from rollcall.directory.people import Draft
from rollcall.scim.providers import PROFILES
from rollcall.tenancy import overrides, plans, seats
from rollcall.tenancy import tenants as doors
from rollcall.tenancy.models import AUTO, Plan, Tenant
from rollcall.tenancy.tenants import LEAST_RATE, TenantTerms
from rollcall.work import Fleet

_PROFILES = [AUTO, *PROFILES]
_ISSUED_BY = {"ops": "issued by ops only", "self_service": "issued by the tenant's admins"}


_OWNER_LEAVES = {"stop": "their SCIM tokens end", "offboarding_only": "their SCIM tokens still take away"}
_LAST_ADMIN = {"obey": "may leave the tenant without one", "keep_one": "is followed by the deputy"}


@click.group()
def tenants() -> None:
    """Customers: what they pay for, who their admins are, whether they are let in."""


tenants.add_command(apply_file)
tenants.add_command(export_file)
tenants.add_command(show_provider)
tenants.add_command(lapse_tenant)
tenants.add_command(change_last_admin)
tenants.add_command(name_deputy)
tenants.add_command(change_break_glass)
tenants.add_command(show_seats)
tenants.add_command(pause_tenant)
tenants.add_command(unpause_tenant)


@tenants.command("list")
@json_option
def list_tenants(as_json: bool) -> None:
    """List all tenants."""

    async def run(fleet: Fleet) -> None:
        found = await doors.every(fleet)
        rows = [
            {
                "slug": tenant.slug,
                "name": tenant.name,
                "plan": tenant.plan,
                "scim": tenant.lapse_state,
                "status": tenant.status,
                "tokens": tenant.token_issuing,
                "since": tenant.created_at,
            }
            for tenant in found
        ]
        print_list(rows, [tenant_view(tenant, to=actor()) for tenant in found], as_json=as_json)

    across_tenants(run)


@tenants.command("show")
@click.argument("tenant")
@json_option
def show_tenant(tenant: str, as_json: bool) -> None:
    """Show TENANT: its terms, its roles, and how many people and admins it has."""

    async def run(fleet: Fleet) -> None:
        row = await find_tenant(fleet, tenant)
        plan = await plans.find(fleet, row.plan)
        async with fleet.within(doors.ref(row)) as work:
            total, _ = await people.every(work, limit=1)
            rule, version = await roles.current(work)
            more = {
                "features": plan.features,
                "seats": (await seats.own(work)).allowed,
                "people": total,
                "active": await accounts.active(work),
                "admins": await accounts.admins(work),
                "refused_departures": await refused_departures.count(work),
                "role_rule": rule.model_dump(mode="json"),
                "role_rule_version": version,
            }
        print_facts(_facts(row, plan, more), {**tenant_view(row, to=actor()).model_dump(), **more}, as_json=as_json)

    across_tenants(run)


def _facts(tenant: Tenant, plan: Plan, more: dict[str, Any]) -> Row:
    rule = more["role_rule"]
    rate = tenant.rate_per_second
    left = more["refused_departures"]
    return {
        "tenant": f"{tenant.name} ({tenant.slug}, {tenant.status})",
        "taken on": tenant.created_at,
        "id": tenant.id,
        "external id": tenant.external_id or "none",
        "customer": tenant.customer,
        "plan": f"{tenant.plan} (features: {' '.join(plan.features) or 'none'})",
        "plan without payment": tenant.plan_without_payment,
        "SCIM": lapse_in_words(tenant),
        "seats": more["seats"] or "any",
        "calls/s": "the plan's" if rate is None else rate or "unlimited",
        "mass change": f"more than {tenant.mass_change_threshold} departures within an hour",
        "provider": profile_of(tenant),
        "tokens": _ISSUED_BY[tenant.token_issuing],
        "owner leaves": _OWNER_LEAVES[tenant.owner_leaves],
        "last admin": _LAST_ADMIN[tenant.last_admin],
        **({"passwords": ", ".join(tenant.break_glass)} if tenant.break_glass else {}),
        "people": f"{more['people']:,}, {more['active']:,} active, {more['admins']:,} of them admins",
        "roles": f"{', '.join(rule['roles'])} (see 'rollcall roles show {tenant.slug}')",
        **({"left meanwhile": f"{left:,}; 'rollcall tenants resume' takes them out"} if left else {}),
        **{f"metadata {name}": value for name, value in tenant.metadata_.items()},
    }


@tenants.command("create")
@click.argument("slug")
@click.option("--name", required=True, help="What people call it.")
@click.option("--plan", required=True, help="The key of its plan; 'rollcall plans list' shows them.")
@click.option("--admin", "admins", multiple=True, help="userName of an admin to take in; may be repeated.")
@click.option(
    "--tokens",
    "token_issuing",
    type=click.Choice(["self_service", "ops"]),
    default="self_service",
    show_default=True,
    help="Who issues its tokens: its admins, or ops only.",
)
@click.option(
    "--profile",
    type=click.Choice(_PROFILES),
    default=AUTO,
    show_default=True,
    help="Its provider; auto takes the profile of whoever is recognised, once.",
)
@click.option(
    "--rate",
    type=click.IntRange(0, 100_000),
    help=f"Calls a second: 0 for no limit, else at least {LEAST_RATE}; the plan's if left out.",
)
@json_option
def create_tenant(  # one parameter for each option
    slug: str,
    name: str,
    plan: str,
    admins: tuple[str, ...],
    token_issuing: str,
    profile: str,
    rate: int | None,
    as_json: bool,
) -> None:
    """Take on a customer as SLUG, with the roles admin and member; 'tenants apply' takes whole files."""
    terms = TenantTerms(name=name, plan=plan, token_issuing=token_issuing, profile=profile, rate_per_second=rate)

    async def run(fleet: Fleet) -> Tenant:
        made = await doors.create(fleet, slug, terms, role_rule=roles.USUAL_RULE.model_dump(mode="json"))
        async with fleet.within(doors.ref(made)) as work:
            for admin in admins:
                await people.take_in(work, Draft(user_name=admin), role="admin")
        return made

    made = across_tenants(run)
    if as_json:
        print_json(tenant_view(made, to=actor()))
        return
    click.echo(f"{slug} is on {plan}, with {counted(len(admins), 'admin')}.")
    if not admins:
        click.echo("Nobody can own a token yet: name people with --admin, or issue one that the tenant owns.", err=True)


@tenants.command("plan")
@click.argument("tenant")
@click.argument("plan")
@yes_option
@json_option
def change_plan(tenant: str, plan: str, yes: bool, as_json: bool) -> None:
    """Put TENANT on PLAN; its next call is judged by it."""

    async def effects(fleet: Fleet) -> list[str]:
        row, wanted = await find_tenant(fleet, tenant), await plans.find(fleet, plan)
        had = await plans.find(fleet, row.plan)
        then, now = (overrides.features_with(row, each.features, fleet.now) for each in (wanted, had))
        if "scim" in then or "scim" not in now or row.plan_without_payment is not None:
            return []
        async with fleet.within(doors.ref(row)) as work:
            return await stopping.by_losing_scim(work, wanted.name, plans.terms_of(had).lapse)

    confirm(across_tenants(effects), yes=yes)
    before, after = _changed(tenant, plan=plan)
    if before.plan == plan:
        said = f"{after.slug} is on {plan} already."
    elif after.plan_without_payment is not None:
        said = f"{after.slug}: {plan} from when {after.plan}, which is paid for, is over."
    else:
        said = f"{after.slug}: {before.plan} -> {plan}, from the next call on."
    _show(said, after, as_json=as_json)


@tenants.command("profile")
@click.argument("tenant")
@click.argument("profile", type=click.Choice(_PROFILES))
@json_option
def change_profile(tenant: str, profile: str, as_json: bool) -> None:
    """Read and answer the calls of TENANT as its identity provider, PROFILE, wants it; auto waits to recognise it."""
    before, after = _changed(tenant, profile=profile)
    if before.profile == profile:
        said = f"{after.slug} has the profile {profile} already."
    else:
        said = f"{after.slug}: profile {before.profile} -> {profile}, from the next call on."
    _show(said, after, as_json=as_json)


@tenants.command("owner-leaves")
@click.argument("tenant")
@click.argument("policy", type=click.Choice(["stop", "offboarding_only"]))
@json_option
def change_owner_leaves(tenant: str, policy: str, as_json: bool) -> None:
    """Say what becomes of a SCIM token of TENANT whose owner is no longer an active admin: it ends, or takes away."""
    _, after = _changed(tenant, owner_leaves=policy)
    said = "stops at once" if policy == "stop" else "still reads and takes away, until another admin takes it over"
    _show(f"{after.slug}: a SCIM token whose owner is no longer an active admin {said}.", after, as_json=as_json)


@tenants.command("threshold")
@click.argument("tenant")
@click.argument("departures", type=click.IntRange(1, 100_000_000))
@json_option
def change_threshold(tenant: str, departures: int, as_json: bool) -> None:
    """Raise an alert when more than DEPARTURES people leave TENANT within an hour."""
    _, after = _changed(tenant, mass_change_threshold=departures)
    _show(f"{after.slug}: more than {departures} departures within an hour are an alert.", after, as_json=as_json)


@tenants.command("suspend")
@click.argument("tenant")
@yes_option
@json_option
def suspend(tenant: str, yes: bool, as_json: bool) -> None:
    """Refuse everything of TENANT, from the next call on."""

    async def effects(fleet: Fleet) -> list[str]:
        row = await find_tenant(fleet, tenant)
        if row.status == "suspended":
            return []
        async with fleet.within(doors.ref(row)) as work:
            return await stopping.by_suspension(work)

    confirm(across_tenants(effects), yes=yes)
    after = _done(tenant, doors.suspend)
    _show(f"{after.slug} is suspended.", after, as_json=as_json)


@tenants.command("resume")
@click.argument("tenant")
@json_option
def resume(tenant: str, as_json: bool) -> None:
    """Let the suspended TENANT in again, but for those who left meanwhile: they are taken out."""

    async def run(fleet: Fleet) -> tuple[Tenant, int]:
        row = await find_tenant(fleet, tenant)
        return row, await refused_departures.resume(fleet, row)

    after, left = across_tenants(run)
    out = f" {counted(left, 'person', 'people')} who left meanwhile cannot come in any more." if left else ""
    _show(f"{after.slug} is active.{out}", after, as_json=as_json)


def _changed(tenant: str, **wanted: Any) -> tuple[TenantTerms, Tenant]:
    """Change some of a tenant's terms; returns them as they were, and the tenant as it is."""

    async def run(fleet: Fleet) -> tuple[TenantTerms, Tenant]:
        row = await find_tenant(fleet, tenant)
        before = doors.terms_of(row)
        await doors.change(fleet, row, replace(before, **wanted))
        return before, row

    return across_tenants(run)


def _done(tenant: str, act: Callable[[Fleet, Tenant], Awaitable[None]]) -> Tenant:
    async def run(fleet: Fleet) -> Tenant:
        row = await find_tenant(fleet, tenant)
        await act(fleet, row)
        return row

    return across_tenants(run)


def _show(said: str, tenant: Tenant, *, as_json: bool) -> None:
    if as_json:
        print_json(tenant_view(tenant, to=actor()))
    else:
        click.echo(said)
