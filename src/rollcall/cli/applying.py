"""``rollcall tenants apply``: plans, tenants and admins brought to what a file says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.giving_up import give_up
from rollcall.cli.pruning import closing, confirm_closing
from rollcall.cli.reaching import across_tenants
from rollcall.cli.showing import counted, json_option, print_json, progress, visible
from rollcall.cli.stopping import by_losing_scim, by_suspension
from rollcall.manifest.applying import apply, closings, compare
from rollcall.manifest.changes import (
    Change,
    OverrideEnded,
    OverrideSet,
    PlanAdded,
    PlanChanged,
    StatusChanged,
    TenantChanged,
)
from rollcall.manifest.comparing import Step
from rollcall.manifest.parsing import Manifest, ManifestInvalid, read_manifest
from rollcall.manifest.previewing import preview
from rollcall.tenancy import customers, overrides, plans, tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import Fleet

MOST_SAID = 20
"""Lines about whom an act cuts off; a file can name thousands."""

_COLOURS = {"+": "green", "~": "yellow", "!": "red"}


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--prune",
    is_flag=True,
    help="Close what FILE does not name: tenants are suspended, plans take no tenant any more; nothing is deleted.",
)
@click.option(
    "--yes-close",
    type=click.IntRange(min=0),
    metavar="N",
    help="Don't ask about what --prune closes if it is N tenants and plans, and refuse it if it is another number.",
)
@yes_option
@json_option
def apply_file(  # one parameter for each option
    file: Path, dry_run: bool, prune: bool, yes_close: int | None, yes: bool, as_json: bool
) -> None:
    """Bring plans, tenants and admins to what FILE (a tenants.toml) says: all of it, or nothing."""
    if yes_close is not None and not prune:
        msg = "--yes-close says how many --prune may close; add --prune, or leave it out."
        raise click.UsageError(msg)
    manifest = _read(file)

    async def look(fleet: Fleet) -> Planned:
        with progress("tenants") as advance:
            heard = partial(_say, advance)
            changes = await compare(fleet, manifest, prune=prune, progress=heard)
        return Planned(
            changes,
            affected=await _affected(fleet, changes) if dry_run else [],
            cut_off=[] if dry_run or yes else await _cut_off(fleet, changes),
            closing=await closing(fleet, changes) if prune else [],
        )

    async def act(fleet: Fleet) -> Planned:
        with progress("tenants") as advance:
            heard = partial(_say, advance)
            number = len(closings(planned.changes)) if prune and planned is not None else None
            return Planned(await apply(fleet, manifest, prune=number, progress=heard))

    planned = across_tenants(look) if dry_run or prune or not yes else None
    if planned is not None and not dry_run:
        if prune:
            confirm_closing(planned.closing, len(closings(planned.changes)), given=yes_close)
        confirm(planned.cut_off, yes=yes)
    done = planned if planned is not None and dry_run else across_tenants(act)
    _print(done, dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True)
class Planned:
    """What changes, and what has to be said of it."""

    changes: Sequence[Change]
    affected: Sequence[str] = ()
    """What a dry run says of tenants whose plan changes."""
    cut_off: Sequence[str] = ()
    """Whom it cuts off."""
    closing: Sequence[str] = ()
    """What closes, because the file does not name it."""


def _say(advance: Callable[[str, int, int | None], None], step: Step) -> None:
    advance(step, step.number, step.total)


def _print(done: Planned, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        listed = [{"mark": change.mark, "change": str(change)} for change in done.changes]
        more = {"affected": [*done.affected], "closing": [*done.closing]} if dry_run else {}
        print_json({"applied": not dry_run, "changes": listed} | more)
        return
    for change in done.changes:
        click.secho(visible(str(change)), fg=_COLOURS[change.mark])
    if dry_run:
        for line in (*_cut([*done.affected]), *done.closing):
            click.echo(visible(f"  {line}"))
    made = sum(change.mark != "!" for change in done.changes)
    click.echo(_summary(made, dry_run=dry_run))


async def _cut_off(fleet: Fleet, changes: Sequence[Change]) -> list[str]:
    """Whom the changes would cut off: tenants that are suspended, and those that have SCIM no more."""
    before, after = await _plans(fleet, changes)
    to_be = await _plans_to_be(fleet, changes)
    by_hand = [change for change in changes if isinstance(change, OverrideSet | OverrideEnded) and change.key == "scim"]
    given = {change.slug: isinstance(change, OverrideSet) for change in by_hand}
    suspended = {change.slug for change in changes if isinstance(change, StatusChanged) and change.after == "suspended"}
    found: list[str] = []
    for tenant in await tenants.every(fleet):
        plan = _plan_after(tenant, to_be)
        had = "scim" in overrides.features_with(tenant, before[tenant.plan].features, fleet.now)
        loses = had and not _has_scim(tenant, after[plan], given.get(tenant.slug), fleet.now)
        if tenant.slug not in suspended and not loses:
            continue
        async with fleet.within(tenants.ref(tenant)) as work:
            if tenant.slug in suspended:
                said = await by_suspension(work)
            else:
                said = await by_losing_scim(work, plan, after[tenant.plan].lapse)
        found += [f"{tenant.slug}: {line}" for line in said]
    return _cut(found)


async def _affected(fleet: Fleet, changes: Sequence[Change]) -> list[str]:
    """What the changes mean for tenants, each by its name: those of an edited plan, and those that get another one."""
    before, after = await _plans(fleet, changes)
    edited = {change.key for change in changes if isinstance(change, PlanChanged)}
    to_be = await _plans_to_be(fleet, changes)
    found: list[str] = []
    for tenant in await tenants.every(fleet):
        plan = _plan_after(tenant, to_be)
        if plan != tenant.plan or plan in edited:
            shown = await preview(fleet, tenant, before[tenant.plan], after[plan])
            found += [f"{tenant.slug}: {line}" for line in shown.sentences]
    return found


async def _plans(fleet: Fleet, changes: Sequence[Change]) -> tuple[Mapping[str, PlanTerms], Mapping[str, PlanTerms]]:
    """All plans as they are, and as they are afterwards."""
    before = {plan.key: plans.terms_of(plan) for plan in await plans.every(fleet)}
    added = {change.key: change.terms for change in changes if isinstance(change, PlanAdded)}
    return before, before | added | {change.key: change.after for change in changes if isinstance(change, PlanChanged)}


async def _plans_to_be(fleet: Fleet, changes: Sequence[Change]) -> Mapping[str, str]:
    """The plans that tenants are put on, but where the choice waits until it is known what a new customer pays for."""
    found: dict[str, str] = {}
    for change in changes:
        if isinstance(change, TenantChanged):
            customer = change.after.customer
            is_new = customer is not None and customer != change.before.customer
            if not is_new or await customers.is_known(fleet, customer or ""):
                found[change.slug] = change.after.plan
    return found


def _has_scim(tenant: Tenant, terms: PlanTerms, given: bool | None, now: datetime) -> bool:
    """Whether a tenant has SCIM on a plan with *terms*; *given*: the file gives it by an override, or ends that one."""
    if "scim" in terms.features or given:
        return True
    if given is None:
        return "scim" in overrides.features_with(tenant, (), now)
    return any(each.key == "scim" and each.holds(now) for each in overrides.paid_for(tenant))


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
