"""``rollcall tenants apply``: plans, tenants and admins brought to what a file says."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import across_tenants
from rollcall.cli.running import give_up
from rollcall.cli.showing import counted, json_option, print_json, progress, visible
from rollcall.cli.stopping import by_losing_scim, by_suspension
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.changes import Change, PlanAdded, PlanChanged, StatusChanged, TenantChanged
from rollcall.manifest.parsing import Manifest, ManifestInvalid, read_manifest
from rollcall.manifest.previewing import preview
from rollcall.tenancy import plans, tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet

MOST_SAID = 20
"""Lines about whom an act cuts off; a file can name thousands."""

_COLOURS = {"+": "green", "~": "yellow", "!": "red"}


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@yes_option
@json_option
def apply_file(file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Bring plans, tenants and admins to what FILE (a tenants.toml) says: all of it, or nothing."""
    manifest = _read(file)

    async def run(fleet: Fleet, *, only_compare: bool) -> list[Change]:
        act = compare if only_compare else apply
        with progress("tenants") as advance:
            return await act(fleet, manifest, progress=lambda step: advance(step, step.number, step.total))

    async def effects(fleet: Fleet) -> list[str]:
        return await _cut_off(fleet, await run(fleet, only_compare=True))

    if not dry_run and not yes:
        confirm(across_tenants(effects), yes=yes)
    changes = across_tenants(partial(run, only_compare=dry_run))
    said = across_tenants(partial(_affected, changes=changes)) if dry_run else []
    if as_json:
        listed = [{"mark": change.mark, "change": str(change)} for change in changes]
        print_json({"applied": not dry_run, "changes": listed} | ({"affected": said} if dry_run else {}))
        return
    for change in changes:
        click.secho(visible(str(change)), fg=_COLOURS[change.mark])
    for line in _cut(said):
        click.echo(visible(f"  {line}"))
    made = sum(change.mark != "!" for change in changes)
    click.echo(_summary(made, dry_run=dry_run))


async def _cut_off(fleet: Fleet, changes: Sequence[Change]) -> list[str]:
    """Whom the changes would cut off: tenants that are suspended, and those whose plan no longer includes SCIM."""
    terms = {plan.key: plans.terms_of(plan) for plan in await plans.every(fleet)}
    had_scim = {key for key, before in terms.items() if "scim" in before.features}
    have_scim = set(had_scim)
    for change in changes:
        match change:
            case PlanAdded(key=key, terms=after) | PlanChanged(key=key, after=after):
                (have_scim.add if "scim" in after.features else have_scim.discard)(key)
                terms[key] = after
            case _:
                pass
    to_be = {change.slug: change.after.plan for change in changes if isinstance(change, TenantChanged)}
    suspended = {change.slug for change in changes if isinstance(change, StatusChanged) and change.after == "suspended"}
    found: list[str] = []
    for tenant in await tenants.every(fleet):
        plan = _plan_after(tenant, to_be)
        loses = tenant.plan in had_scim and plan not in have_scim
        if tenant.slug not in suspended and not loses:
            continue
        async with fleet.within(tenants.ref(tenant)) as work:
            if tenant.slug in suspended:
                said = await by_suspension(work)
            else:
                said = await by_losing_scim(work, plan, terms[tenant.plan].lapse)
        found += [f"{tenant.slug}: {line}" for line in said]
    return _cut(found)


async def _affected(fleet: Fleet, *, changes: Sequence[Change]) -> list[str]:
    """What the changes mean for tenants, each by its name: those of an edited plan, and those that get another one."""
    before = {plan.key: plans.terms_of(plan) for plan in await plans.every(fleet)}
    edited = {change.key: change.after for change in changes if isinstance(change, PlanChanged)}
    after = before | {change.key: change.terms for change in changes if isinstance(change, PlanAdded)} | edited
    to_be = {change.slug: change.after.plan for change in changes if isinstance(change, TenantChanged)}
    found: list[str] = []
    for tenant in await tenants.every(fleet):
        plan = _plan_after(tenant, to_be)
        if plan != tenant.plan or plan in edited:
            shown = await preview(fleet, tenant, before[tenant.plan], after[plan])
            found += [f"{tenant.slug}: {line}" for line in shown.sentences]
    return found


def _plan_after(tenant: Tenant, to_be: Mapping[str, str]) -> str:
    """The plan in effect afterwards: while one that is paid for stands in, another choice changes nothing yet."""
    return tenant.plan if tenant.plan_without_payment is not None else to_be.get(tenant.slug, tenant.plan)


def _cut(found: list[str]) -> list[str]:
    rest = len(found) - MOST_SAID
    return found if rest <= 0 else [*found[:MOST_SAID], f"… and {rest} more such lines."]


def _read(file: Path) -> Manifest:
    try:
        return read_manifest(file)
    except ManifestInvalid as invalid:
        give_up(invalid.detail)


def _summary(made: int, *, dry_run: bool) -> str:
    if not made:
        return "Nothing to change."
    changes = counted(made, "change")
    return f"{changes} to make; nothing was changed." if dry_run else f"{changes} made."
