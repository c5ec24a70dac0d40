"""Beginning anew: what ``rollcall up --fresh`` deletes, said before it is gone."""

import shutil
import sys
from pathlib import Path

import click

from rollcall.cli.giving_up import give_up
from rollcall.engines import Postgres, Valkey

MADE_BY_UP = ("credentials.json", "try.json", "try.sh", "ops.sh", "secret.key", "logs", "beat-schedule*")
"""What ``up`` keeps beside the engines' data; whatever else is in the folder is not ours to delete."""


def begin_anew(data_dir: Path, *, sure: bool) -> None:
    """Delete all that an earlier start keeps in *data_dir*, which is locked, after asking whoever is at the terminal.

    Raises:
        EngineFailed: an engine's data can't be deleted.
    """
    engines = (Postgres(data_dir), Valkey(data_dir))
    kept = [path for pattern in MADE_BY_UP for path in sorted(data_dir.glob(pattern))]
    cluster = data_dir / Postgres.name
    if not kept and not cluster.exists():
        return
    click.echo(f"This deletes what earlier starts keep in {data_dir}:")
    if cluster.exists():
        click.echo(f"  the database with all plans, tenants, people and audit ({_megabytes(cluster)})")
    for path in kept:
        click.echo(f"  {path.name}")
    if not sure:
        if not sys.stdin.isatty():
            give_up("Nothing was deleted. Add --yes to delete it without being asked.")
        if not click.confirm("Delete all this?"):
            give_up("Nothing was deleted.")
    for engine in engines:
        engine.erase()
    for path in kept:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    click.echo("Deleted.")


def _megabytes(folder: Path) -> str:
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{max(1, round(used / 1e6)):,} MB"
