"""``rollcall tenants apply``: plans, tenants and admins brought to what a file says."""

from pathlib import Path

import click

from rollcall.cli.reaching import across_tenants
from rollcall.cli.running import give_up
from rollcall.cli.showing import counted, json_option, print_json, progress, visible
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.changes import Change
from rollcall.manifest.reading import Manifest, ManifestInvalid, read_manifest
from rollcall.work import Fleet

_COLOURS = {"+": "green", "~": "yellow", "!": "red"}


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@json_option
def apply_file(file: Path, dry_run: bool, as_json: bool) -> None:
    """Bring plans, tenants and admins to what FILE (a tenants.toml) says: all of it, or nothing."""
    manifest = _read(file)
    act = compare if dry_run else apply

    async def run(fleet: Fleet) -> list[Change]:
        with progress("tenants") as advance:
            return await act(fleet, manifest, progress=lambda step: advance(step, step.number, step.total))

    changes = across_tenants(run)
    if as_json:
        listed = [{"mark": change.mark, "change": str(change)} for change in changes]
        print_json({"applied": not dry_run, "changes": listed})
        return
    for change in changes:
        click.secho(visible(str(change)), fg=_COLOURS[change.mark])
    made = sum(change.mark != "!" for change in changes)
    click.echo(_summary(made, dry_run=dry_run))


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
