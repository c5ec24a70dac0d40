"""What ``rollcall up`` does once: the database brought to the present tables, and at the end where everything is.

Both are done by processes that end, so that none of their connections and event loops is there when others are forked.
"""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import click

from rollcall import logging, revisions, tables, waiting
from rollcall.cli.announcing import announce
from rollcall.cli.credentials import commands_for_shells, issue_missing, kept_credentials, secret_key, write_private
from rollcall.cli.giving_up import give_up, why_not_started
from rollcall.cli.listening import local_url, usable_url
from rollcall.cli.readiness import wait_until_ready
from rollcall.cli.running import DATABASE_FAILURES, settings_or_give_up
from rollcall.cli.wanted import Order, Wanted
from rollcall.manifest.problems import ManifestInvalid
from rollcall.settings import Settings


def settle_on(order: Order) -> Settings:
    """The settings of everything that is started, put into the environment too."""
    wanted = order.wanted
    os.environ.update(order.addresses)
    public_url = os.environ.get("ROLLCALL_PUBLIC_URL") or usable_url(wanted.host, wanted.port)
    os.environ["ROLLCALL_PUBLIC_URL"] = public_url.rstrip("/")
    if not os.environ.get("ROLLCALL_SECRET_KEYS_FILE"):
        kept_key = os.environ.get("ROLLCALL_SECRET_KEYS") or secret_key(wanted.data_dir / "secret.key")
        os.environ["ROLLCALL_SECRET_KEYS"] = kept_key
    os.environ.setdefault("ROLLCALL_ENVIRONMENT", "development")
    os.environ.setdefault("ROLLCALL_ALLOW_PRIVATE_DESTINATIONS", "true")
    return settings_or_give_up()


def prepare_database(settings: Settings, wanted: Wanted) -> None:
    """Bring the database to the present tables, apply the file of tenants, and issue the keys that are missing.

    What stands in the way ends the process in a line.
    """
    try:
        asyncio.run(_prepare_database(settings, wanted))
    except (tables.MigrationRefused, tables.MigrationStopped, ManifestInvalid) as refusal:
        give_up(str(refusal))
    except DATABASE_FAILURES as error:
        give_up(why_not_started(error, logging.masked(str(error)), wanted.data_dir))


async def _prepare_database(settings: Settings, wanted: Wanted) -> None:
    click.echo("Bringing the database to the present tables …")
    begun = time.monotonic()
    await waiting.for_servers(settings)
    await tables.migrate(settings)
    click.echo(f"  it stands at {revisions.newest()} after {time.monotonic() - begun:.1f} s")
    await issue_missing(
        settings,
        _credentials(wanted),
        wanted.manifest or _example(),
        say=click.echo,
        apply_anew=wanted.apply_anew,
    )


def announce_when_ready(settings: Settings, wanted: Wanted, pids: Mapping[str, int]) -> None:
    """Wait until each process answers, then write down and say where everything is.

    One that does not answer in time ends this process in a line.
    """
    data_dir, base_url, local = wanted.data_dir, settings.public_url, local_url(wanted.host, wanted.port)
    wait_until_ready(pids, f"{local}/health/ready", settings, logs=data_dir / "logs")
    credentials = kept_credentials(_credentials(wanted))
    addresses = json.dumps(credentials.for_programs(base_url) | {"local_url": local}, indent=2)
    try:
        write_private(data_dir / "try.sh", credentials.for_shells(base_url))
        write_private(data_dir / "try.json", addresses)
        write_private(data_dir / "ops.sh", commands_for_shells(os.environ))
        announce(credentials, base_url, local, data_dir)
        if wanted.ready_file is not None:
            write_private(wanted.ready_file, addresses)
    except OSError as error:
        give_up(why_not_started(error, str(error), data_dir))


def _credentials(wanted: Wanted) -> Path:
    return wanted.data_dir / "credentials.json"


def _example() -> Path:
    packaged = Path(tables.__file__).parent / "tenants.example.toml"
    return packaged if packaged.is_file() else Path(tables.__file__).parents[2] / "tenants.example.toml"
