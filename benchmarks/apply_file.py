"""``python -m benchmarks.apply_file``: how long ``rollcall tenants apply`` takes for a file of ten thousand tenants.

The command itself is run, as people type it, on durable engines of its own: the file dry, applied, and applied again,
which changes nothing. Its progress stands on standard error; told are seconds of the clock and of its own processor.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from pydantic import SecretStr

from rollcall import tables
from rollcall.cli.embedded import prepare, running
from rollcall.crypto import new_secret_key
from rollcall.settings import Settings

GOAL_SECONDS = 60
LONGEST_SECONDS = 1_800

PLAN = '[plans.business]\nname = "Business"\nfeatures = ["scim"]\nseats = 250\n'
ONE = """
[tenants.{slug}]
name = "Number {number}"
plan = "business"
external_id = "crm-{number}"
metadata = {{ owner = "emea" }}

[[tenants.{slug}.admins]]
user_name = "ada@{slug}.example"

[[tenants.{slug}.admins]]
user_name = "ben@{slug}.example"
given_name = "Ben"
"""


@click.command()
@click.option("--tenants", default=10_000, show_default=True, type=click.IntRange(1, 100_000), help="In the file.")
@click.option("--no-goal", is_flag=True, help="End well whatever it takes.")
def main(tenants: int, no_goal: bool) -> None:
    """Make such a file, and apply it; more than a minute for applying it is an error."""
    with tempfile.TemporaryDirectory(prefix="rollcall-apply-") as folder:
        file = Path(folder) / "tenants.toml"
        file.write_text(PLAN + "".join(ONE.format(slug=f"number-{each:05}", number=each) for each in range(tenants)))
        click.echo(f"{tenants:,} tenants with two admins each; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        with running(Path(folder) / "engines") as (postgres, valkey):
            engines = asyncio.run(prepare(postgres, valkey))
            environment = engines.environment | {
                "ROLLCALL_PUBLIC_URL": "https://rollcall.bench.example",
                "ROLLCALL_SECRET_KEYS": new_secret_key(),
            }
            settings = Settings(
                database_url=SecretStr(engines.database_url),
                migration_database_url=SecretStr(engines.migration_database_url),
                redis_url=SecretStr(engines.valkey.url),
                secret_keys=(SecretStr(environment["ROLLCALL_SECRET_KEYS"]),),
            )
            asyncio.run(tables.migrate(settings))
            _timed("dry run", environment, str(file), "--dry-run")
            taken = _timed("applied", environment, str(file), "--yes")
            _timed("again", environment, str(file), "--yes")
    if taken > GOAL_SECONDS and not no_goal:
        raise click.ClickException(f"applying took {taken:.1f} s; the goal is {GOAL_SECONDS} s")


def _timed(what: str, environment: dict[str, str], *words: str) -> float:
    """Run the command, and say what it took; returns the seconds."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "rollcall", "tenants", "apply", *words],
        env=others | environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise click.ClickException(f"'rollcall tenants apply' ended with {done.returncode}:\n{done.stdout[-2_000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    click.echo(f"{what:8} {seconds:6.1f} s, {own:5.1f} s of the command's own processor: {_last(done.stdout)}")
    return seconds


def _last(printed: str) -> str:
    return printed.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
