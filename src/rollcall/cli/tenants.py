"""Commands about customers: ``tenants.toml`` applied, plans changed, tenants suspended, resumed and shown."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from rollcall.access import accounts
from rollcall.cli.running import actor, give_up, origin, run_with_database, table
from rollcall.db import Database
from rollcall.directory import people, roles
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.changes import Change
from rollcall.manifest.reading import Manifest, ManifestInvalid, read_manifest
from rollcall.scim.providers import PROFILES
from rollcall.tenancy import plans
from rollcall.tenancy import tenants as tenant_doors
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.tenants import TenantTerms
from rollcall.work import Fleet, open_fleet

Result = TypeVar("Result")

_COLOURS = {"+": "green", "~": "yellow", "!": "red"}


@click.group()
def tenants() -> None:
    """Customers: what they pay for, who their admins are, whether they are let in."""


@tenants.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def apply_file(file: Path, dry_run: bool) -> None:
    """Bring plans, tenants and admins to what FILE (a tenants.toml) says: all of it, or nothing."""
    manifest = _read(file)
    act = compare if dry_run else apply

    async def run(fleet: Fleet) -> Sequence[Change]:
        return await act(fleet, manifest, progress=lambda said: click.echo(said, err=True))

    changes = _across_tenants(run)
    for change in changes:
        click.secho(str(change), fg=_COLOURS[change.mark])
    made = sum(change.mark != "!" for change in changes)
    click.echo(_summary(made, dry_run=dry_run))


@tenants.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_tenants(as_json: bool) -> None:
    """List all tenants."""

    async def run(fleet: Fleet) -> list[dict[str, Any]]:
        return [_facts(tenant) for tenant in await tenant_doors.every(fleet)]

    rows = _across_tenants(run)
    if as_json:
        click.echo(json.dumps(rows))
    else:
        table([{name: row[name] for name in ("slug", "name", "plan", "status", "tokens")} for row in rows])


@tenants.command("show")
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_tenant(slug: str, as_json: bool) -> None:
    """Show one tenant: its terms, its roles, and how many people and admins it has."""

    async def run(fleet: Fleet) -> dict[str, Any]:
        tenant = await tenant_doors.find(fleet, slug)
        plan = await plans.find(fleet, tenant.plan)
        facts = _facts(tenant) | {"features": plan.features, "seats": plan.seats}
        async with fleet.within(tenant_doors.ref(tenant)) as work:
            total, _ = await people.every(work, limit=1)
            rule, version = await roles.current(work)
            return facts | {
                "people": total,
                "admins": await accounts.admins(work),
                "role_rule": rule.model_dump(mode="json"),
                "role_rule_version": version,
            }

    facts = _across_tenants(run)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _print(facts)


@tenants.command("plan")
@click.argument("slug")
@click.argument("plan")
def change_plan(slug: str, plan: str) -> None:
    """Put the tenant SLUG on PLAN; its next call is judged by it."""
    before = _changed(slug, plan=plan).plan
    if before == plan:
        click.echo(f"{slug} is on {plan} already.")
    else:
        click.echo(f"{slug}: {before} -> {plan}, from the next call on.")


@tenants.command("profile")
@click.argument("slug")
@click.argument("profile", type=click.Choice(list(PROFILES)))
def change_profile(slug: str, profile: str) -> None:
    """Read and answer the calls of the tenant SLUG as its identity provider, PROFILE, wants it."""
    before = _changed(slug, profile=profile).profile
    if before == profile:
        click.echo(f"{slug} has the profile {profile} already.")
    else:
        click.echo(f"{slug}: profile {before} -> {profile}, from the next call on.")


@tenants.command("threshold")
@click.argument("slug")
@click.argument("departures", type=click.IntRange(1, 100_000_000))
def change_threshold(slug: str, departures: int) -> None:
    """Raise an alert when more than DEPARTURES people leave the tenant SLUG within an hour."""
    _changed(slug, mass_change_threshold=departures)
    click.echo(f"{slug}: more than {departures} departures within an hour are an alert.")


@tenants.command("suspend")
@click.argument("slug")
def suspend(slug: str) -> None:
    """Refuse everything of the tenant SLUG, from the next call on."""

    async def run(fleet: Fleet) -> None:
        await tenant_doors.suspend(fleet, await tenant_doors.find(fleet, slug))

    _across_tenants(run)
    click.echo(f"{slug} is suspended.")


@tenants.command("resume")
@click.argument("slug")
def resume(slug: str) -> None:
    """Let the suspended tenant SLUG in again."""

    async def run(fleet: Fleet) -> None:
        await tenant_doors.resume(fleet, await tenant_doors.find(fleet, slug))

    _across_tenants(run)
    click.echo(f"{slug} is active.")


def _changed(slug: str, **wanted: Any) -> TenantTerms:
    """Change some of a tenant's terms; returns them as they were."""

    async def run(fleet: Fleet) -> TenantTerms:
        tenant = await tenant_doors.find(fleet, slug)
        before = tenant_doors.terms_of(tenant)
        await tenant_doors.change(fleet, tenant, replace(before, **wanted))
        return before

    return _across_tenants(run)


def _across_tenants(act: Callable[[Fleet], Awaitable[Result]]) -> Result:
    """Do something across tenants in one transaction, as whoever is at the keyboard."""

    async def run(database: Database) -> Result:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await act(fleet)

    return run_with_database(run)


def _read(file: Path) -> Manifest:
    try:
        return read_manifest(file)
    except ManifestInvalid as invalid:
        give_up(invalid.detail)


def _summary(made: int, *, dry_run: bool) -> str:
    if not made:
        return "Nothing to change."
    counted = "1 change" if made == 1 else f"{made:,} changes"
    return f"{counted} to make; nothing was changed." if dry_run else f"{counted} made."


def _facts(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": str(tenant.id),
        "slug": tenant.slug,
        "external_id": tenant.external_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "status": tenant.status,
        "tokens": tenant.token_issuing,
        "profile": tenant.profile,
        "rate_per_second": tenant.rate_per_second,
        "rate_burst": tenant.rate_burst,
        "mass_change_threshold": tenant.mass_change_threshold,
        "metadata": tenant.metadata_,
        "created": tenant.created_at.isoformat(timespec="seconds"),
    }


def _print(facts: dict[str, Any]) -> None:
    rule = facts["role_rule"]
    own = "the plan's" if facts["rate_per_second"] is None else facts["rate_per_second"] or "unlimited"
    lines = {
        "tenant": f"{facts['name']} ({facts['slug']}, {facts['status']})",
        "taken on": facts["created"],
        "id": facts["id"],
        "external id": facts["external_id"] or "none",
        "plan": f"{facts['plan']} (features: {' '.join(facts['features']) or 'none'})",
        "seats": facts["seats"] or "any",
        "calls/s": own,
        "mass change": f"more than {facts['mass_change_threshold']} departures within an hour",
        "provider": f"{PROFILES[facts['profile']].label} (profile {facts['profile']})",
        "tokens": "issued by ops only" if facts["tokens"] == "ops" else "issued by the tenant's admins",
        "people": f"{facts['people']}, {facts['admins']} of them active admins",
        "prefix": rule["prefix"] or "none, exact names only",
        "default role": rule["default"],
    }
    for name, value in lines.items():
        click.echo(f"{name:<14}{value}")
    for name, value in facts["metadata"].items():
        click.echo(f"metadata {name}: {value}")
    for name, role in rule["roles"].items():
        spelled = [*((rule["prefix"] or "") + part for part in role["names"]), *role["aliases"]]
        kind = " (admin)" if role["admin"] else ""
        click.echo(f"role {name}{kind}: {role['label']}; named {', '.join(spelled) or 'by hand only'}")
