"""``rollcall tenants export``: plans, tenants and admins written back as a file."""

from pathlib import Path

import click

from rollcall.cli.giving_up import give_up
from rollcall.cli.reaching import across_tenants, find_tenant
from rollcall.cli.showing import json_option, print_json, progress
from rollcall.manifest.writing import export
from rollcall.work import Fleet


@click.command("export")
@click.argument("tenants", nargs=-1)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of printing.")
@json_option
def export_file(tenants: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write plans, tenants and admins as a tenants.toml: all tenants, or TENANTS alone. Applying it changes nothing."""

    async def run(fleet: Fleet) -> str:
        slugs = [(await find_tenant(fleet, name)).slug for name in tenants]
        with progress("tenants") as advance:
            parts = export(fleet, slugs, progress=lambda step: advance(step, step.number, step.total))
            return "".join([part async for part in parts])

    text = across_tenants(run)
    if output is None and not as_json:
        click.echo(text, nl=False)
    if output is not None:
        _write(output, text)
    if as_json:
        print_json({"written_to": output, "text": text if output is None else None})


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        give_up(f"{output} can't be written: {error.strerror or error}. Choose another --output.")
    click.echo(f"Written to {output}; 'rollcall tenants apply {output} --dry-run' compares it.", err=True)
