"""What ``rollcall tenants apply --prune`` would close, named before somebody confirms it by its number."""

import sys
from collections.abc import Sequence

import click
from sqlalchemy import func, select

from rollcall.cli.giving_up import give_up
from rollcall.cli.showing import counted, visible
from rollcall.cli.stopping import by_suspension
from rollcall.manifest.changes import Change, TenantClosed
from rollcall.manifest.comparing import closings
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet

MOST_NAMED = 50
"""Tenants and plans whose effects are said one by one; the others are named."""

_MEANS = "Nothing is deleted: 'rollcall tenants resume' opens a tenant again, and so does a file that names the plan."


async def closing(fleet: Fleet, changes: Sequence[Change]) -> list[str]:
    """What closes by *changes*, a line each: whom it cuts off, or who keeps the plan."""
    found = closings(changes)
    lines = [await _of(fleet, change) for change in found[:MOST_NAMED]]
    if rest := found[MOST_NAMED:]:
        names = [f"tenant {each.slug}" if isinstance(each, TenantClosed) else f"plan {each.key}" for each in rest]
        lines.append(f"and {', '.join(names)}")
    return lines


async def _of(fleet: Fleet, change: Change) -> str:
    if isinstance(change, TenantClosed):
        tenant = await tenants.find(fleet, change.slug)
        async with fleet.within(tenants.ref(tenant)) as work:
            said = await by_suspension(work)
        return f"tenant {tenant.slug} ({tenant.name}): {' '.join(said)}"
    key = getattr(change, "key", "")
    on_it = (Tenant.plan == key) | (Tenant.plan_without_payment == key)
    having = await fleet.db.scalar(select(func.count()).select_from(Tenant).where(on_it)) or 0
    return f"plan {key}: no tenant is put on it any more; {counted(having, 'tenant')} on it {_stay(having)}."


def _stay(having: int) -> str:
    return "stays" if having == 1 else "stay"


def confirm_closing(lines: Sequence[str], number: int, *, given: int | None) -> None:
    """Say what closes, and go on only if somebody gives the number of it.

    Raises:
        UsageError: nobody is there to be asked, and ``--yes-close`` was not given, or with another number.
    """
    if number == 0 and not given:
        return
    if number:
        click.secho(f"The file does not name these, so {counted(number, 'closes', 'close')}:", fg="yellow", err=True)
        for line in lines:
            click.secho(visible(f"  {line}"), fg="yellow", err=True)
        click.echo(_MEANS, err=True)
    if given is not None and given != number:
        msg = (
            f"--yes-close {given} was given, and {number} would be closed. Nothing was changed: look at what is named, "
            f"and give --yes-close {number} if that is meant."
        )
        raise click.UsageError(msg)
    if given is not None:
        return
    if not sys.stdin.isatty():
        msg = f"Nobody is here to be asked. Nothing was changed: add --yes-close {number} to close these {number}."
        raise click.UsageError(msg)
    typed = click.prompt(f"Type {number} to close them", err=True, default="", show_default=False)
    if typed.strip() != str(number):
        give_up("Nothing was changed.")
