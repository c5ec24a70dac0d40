"""``rollcall up``: the whole product on one machine, for trying and developing."""

import asyncio
import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from rollcall import logging, tables, waiting
from rollcall.cli import embedded
from rollcall.cli.announcing import announce
from rollcall.cli.children import Children
from rollcall.cli.credentials import Credentials, commands_for_shells, issue_missing, secret_key, write_private
from rollcall.cli.fresh import begin_anew
from rollcall.cli.listening import insist_on_port, local_url, usable_url
from rollcall.cli.running import DATABASE_FAILURES, give_up, settings_or_give_up
from rollcall.engines import EngineFailed, lock
from rollcall.manifest.problems import ManifestInvalid
from rollcall.settings import Settings
from rollcall.worker.app import WAITING

ADDRESSES = ("ROLLCALL_DATABASE_URL", "ROLLCALL_MIGRATION_DATABASE_URL", "ROLLCALL_REDIS_URL")


class Stopped(KeyboardInterrupt):
    """Somebody pressed Ctrl-C or asked the process to end; event loops and libraries let this kind through."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say."""

    port: int
    host: str
    data_dir: Path
    ready_file: Path | None
    manifest: Path | None
    apply_anew: bool
    fresh: bool
    sure: bool
    web_processes: int


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--data-dir",
    default=Path(".rollcall"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the engines keep their data, and the tokens made for trying.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write addresses and keys here, as JSON only you can read, once everything answers.",
)
@click.option(
    "--tenants",
    "manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The plans and tenants to start with; tenants.example.toml if left out.",
)
@click.option("--apply", "apply_anew", is_flag=True, help="Apply the file of plans and tenants at a later start, too.")
@click.option("--fresh", is_flag=True, help="Begin anew: delete what earlier starts keep in the data directory.")
@click.option("--yes", "sure", is_flag=True, help="Delete it without asking.")
@click.option("--web-processes", default=1, show_default=True, type=click.IntRange(1, 16), help="Web processes.")
def up(**options: Any) -> None:
    """Run the whole product on this machine: engines, web, relay with beat, and workers.

    The first start applies a file of plans and tenants; later ones leave them as they are by then.

    With ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL and ROLLCALL_REDIS_URL set it uses those servers
    instead of starting its own. ROLLCALL_PUBLIC_URL is the address at which others reach it, if that is another one
    than where it listens. Ctrl-C stops everything it started.
    """
    wanted = Wanted(**options)
    if wanted.ready_file is not None:
        wanted.ready_file.unlink(missing_ok=True)
    try:
        with _signals_raise():
            _run(wanted)
    except Stopped:
        click.echo("Stopped.")
    except (EngineFailed, tables.MigrationRefused, ManifestInvalid) as failure:
        give_up(str(failure))
    except DATABASE_FAILURES as error:
        give_up(_explained(error, wanted.data_dir))
    finally:
        if wanted.ready_file is not None:
            wanted.ready_file.unlink(missing_ok=True)


def _run(wanted: Wanted) -> None:
    given = _given_servers()
    if given and wanted.fresh:
        give_up("--fresh deletes what the engines started here keep; servers of your own are for you to empty.")
    with lock(wanted.data_dir):
        insist_on_port(wanted.host, wanted.port)
        if wanted.fresh:
            begin_anew(wanted.data_dir, sure=wanted.sure)
        with _servers(given, wanted.data_dir) as (addresses, revive_engines):
            settings = _settings(addresses, wanted)
            credentials = _prepare_database(settings, wanted)
            _run_processes(settings, credentials, wanted, revive_engines)


def _settings(addresses: Mapping[str, str], wanted: Wanted) -> Settings:
    """The settings, in the environment too, for the processes that are started."""
    os.environ.update(addresses)
    public_url = os.environ.get("ROLLCALL_PUBLIC_URL") or usable_url(wanted.host, wanted.port)
    os.environ["ROLLCALL_PUBLIC_URL"] = public_url.rstrip("/")
    if not os.environ.get("ROLLCALL_SECRET_KEYS_FILE"):
        kept_key = os.environ.get("ROLLCALL_SECRET_KEYS") or secret_key(wanted.data_dir / "secret.key")
        os.environ["ROLLCALL_SECRET_KEYS"] = kept_key
    os.environ.setdefault("ROLLCALL_ENVIRONMENT", "development")
    os.environ.setdefault("ROLLCALL_ALLOW_PRIVATE_DESTINATIONS", "true")
    return settings_or_give_up()


def _prepare_database(settings: Settings, wanted: Wanted) -> Credentials:
    click.echo("Bringing the database to the present tables …")
    begun = time.monotonic()
    asyncio.run(waiting.for_servers(settings))
    asyncio.run(tables.migrate(settings))
    click.echo(f"  it stands at {tables.newest_revision()} after {time.monotonic() - begun:.1f} s")
    return asyncio.run(
        issue_missing(
            settings,
            wanted.data_dir / "credentials.json",
            wanted.manifest or _example(),
            say=click.echo,
            apply_anew=wanted.apply_anew,
        )
    )


def _run_processes(
    settings: Settings, credentials: Credentials, wanted: Wanted, revive_engines: Callable[[], None]
) -> None:
    host, port, data_dir = wanted.host, wanted.port, wanted.data_dir
    base_url, local = settings.public_url, local_url(host, port)
    with Children(os.environ, data_dir / "logs") as children:
        click.echo("Starting web, relay, worker, delivery and beat …")
        children.start("web", "serve", "--host", host, "--port", str(port), "--workers", str(wanted.web_processes))
        children.start("worker", "worker")
        children.start("delivery", "worker", "--queues", ",".join(WAITING))
        children.start("relay", "relay", "--beat-schedule", str(data_dir.resolve() / "beat-schedule"))
        children.wait_until_ready(f"{local}/health/ready", settings, say=click.echo)
        addresses = credentials.for_programs(base_url) | {"local_url": local}
        write_private(data_dir / "try.sh", credentials.for_shells(base_url))
        write_private(data_dir / "try.json", json.dumps(addresses, indent=2))
        write_private(data_dir / "ops.sh", commands_for_shells(os.environ))
        announce(credentials, base_url, local, data_dir)
        if wanted.ready_file is not None:
            write_private(wanted.ready_file, json.dumps(addresses, indent=2))
        children.watch(revive_engines)


def _given_servers() -> Mapping[str, str]:
    """The addresses of servers that somebody else runs, as they were given: all of them, or none."""
    named = {name: each for name in ADDRESSES for each in (name, f"{name}_FILE") if os.environ.get(each)}
    given = {each: os.environ[each] for each in named.values()}
    if given and len(named) < len(ADDRESSES):
        missing = ", ".join(name for name in ADDRESSES if name not in named)
        give_up(f"To use your own servers set {missing} too; to have engines started here, set none of them.")
    return given


@contextmanager
def _servers(given: Mapping[str, str], data_dir: Path) -> Generator[tuple[Mapping[str, str], Callable[[], None]]]:
    """The servers' addresses, given or of engines of our own, and what starts one of ours again that has ended."""
    if given:
        yield given, lambda: None
        return
    click.echo("Starting PostgreSQL and Valkey …")
    begun = time.monotonic()
    with embedded.started(data_dir) as (postgres, valkey):

        def revive() -> None:
            for engine in (postgres, valkey):
                if not engine.running:
                    click.secho(f"{engine.title} has ended; starting it again.", fg="yellow", err=True)
                    engine.start()

        engines = asyncio.run(embedded.prepare(postgres, valkey))
        click.echo(f"  both answer after {time.monotonic() - begun:.1f} s")
        yield engines.environment, revive


def _example() -> Path:
    packaged = Path(tables.__file__).parent / "tenants.example.toml"
    return packaged if packaged.is_file() else Path(tables.__file__).parents[2] / "tenants.example.toml"


def _explained(error: BaseException, data_dir: Path) -> str:
    """A failure of the disk or of a server, with what to do about it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {data_dir} is full. Make room, or choose another place with --data-dir."
    return f"It could not be started: {logging.masked(str(error))}\nLogs, if there are any, are in {data_dir / 'logs'}."


@contextmanager
def _signals_raise() -> Generator[None]:
    """Turn Ctrl-C and a polite kill into an exception, once; what is being stopped is not interrupted again."""
    assert threading.current_thread() is threading.main_thread()

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield
